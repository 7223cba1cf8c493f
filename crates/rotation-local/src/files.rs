//! The files that hold secrets.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::progress::say;

/// Reads a secret's file, which is a JSON object in UTF-8, or in UTF-16 or with a byte order mark
/// as PowerShell writes it.
pub(crate) fn read_json(path: &Path, option: &str) -> Result<Map<String, Value>> {
    let bytes = fs::read(path).with_context(|| {
        format!(
            "{option} {}: could not read the file. It must contain the value of the secret, for \
             example\n  {}\nThe cause",
            path.display(),
            "{\"engine\":\"postgres\",\"host\":\"localhost\",\"port\":5432,\"username\":\"app\",\
             \"password\":\"…\",\"dbname\":\"app\"}"
        )
    })?;
    let Some(text) = decode(&bytes) else {
        bail!("{option} {}: the file is not text in UTF-8 or UTF-16", path.display());
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => {
            bail!("{option} {}: the file is JSON, but not an object", path.display())
        }
        Err(error) => bail!("{option} {}: the file is not JSON: {error}", path.display()),
    }
}

fn decode(bytes: &[u8]) -> Option<String> {
    let utf16 = |bytes: &[u8], order: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| order([pair[0], pair[1]]));
        char::decode_utf16(units).collect::<Result<String, _>>().ok()
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8(rest.to_vec()).ok(),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// Warns if other users of this machine can read a file with a password.
pub(crate) fn warn_if_open(path: &Path) {
    let Ok(meta) = fs::metadata(path) else { return };
    if meta.permissions().mode() & 0o077 != 0 {
        say(&format!(
            "Note: {0} contains a password, and other users of this machine can read it. Run \
             chmod 600 {0}",
            path.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_common_encoding_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret.json");
        let text = r#"{"password":"Größe-漢"}"#;
        let utf16 = |mark: [u8; 2], order: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain(text.encode_utf16().flat_map(order)).collect::<Vec<_>>()
        };
        for bytes in [
            text.as_bytes().to_vec(),
            [&[0xef, 0xbb, 0xbf][..], text.as_bytes()].concat(),
            utf16([0xff, 0xfe], u16::to_le_bytes),
            utf16([0xfe, 0xff], u16::to_be_bytes),
        ] {
            fs::write(&path, bytes).unwrap();
            assert_eq!(read_json(&path, "--secret").unwrap()["password"], "Größe-漢");
        }
        for (bytes, part) in
            [(&b"\xff\xfe\x00"[..], "not JSON"), (b"\x80", "not text"), (b"[]", "not an object")]
        {
            fs::write(&path, bytes).unwrap();
            let error = read_json(&path, "--secret").unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
