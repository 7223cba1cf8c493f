//! Property tests: a random secret in random nested encodings is always redacted.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::search::Search;
use super::{json, replace};

/// The encodings of a quotation.
#[derive(Debug, Clone, Copy)]
enum Encoding {
    Json,
    JsonAscii,
    JsonDocument,
    SqlLiteral,
    SqlBackslashes,
    DoubledQuotes,
    Url,
    Form,
    Html,
    Base64,
    Base64Url,
    Hex,
    Debug,
    DebugBytes,
    PrettyBytes,
    HexPairs,
    HexList,
    HexWords,
    Utf16Hex,
    Utf16Base64,
}

use Encoding::*;

/// The number of cases. In a debug build, each case takes a few milliseconds.
const CASES: u32 = 400;

const ALL: [Encoding; 20] = [
    Json,
    JsonAscii,
    JsonDocument,
    SqlLiteral,
    SqlBackslashes,
    DoubledQuotes,
    Url,
    Form,
    Html,
    Base64,
    Base64Url,
    Hex,
    Debug,
    DebugBytes,
    PrettyBytes,
    HexPairs,
    HexList,
    HexWords,
    Utf16Hex,
    Utf16Base64,
];

impl Encoding {
    fn encode(self, text: &str) -> String {
        let inside = |quoted: String| quoted[1..quoted.len() - 1].to_owned();
        match self {
            Json => inside(serde_json::to_string(text).unwrap()),
            JsonAscii => {
                let units = text.encode_utf16().map(|unit| match u8::try_from(unit) {
                    Ok(byte) if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
                    _ => format!("\\u{unit:04x}"),
                });
                units.collect()
            }
            JsonDocument => serde_json::json!({"username": "app", "password": text}).to_string(),
            SqlLiteral => format!("IDENTIFIED BY '{}'", text.replace('\'', "''")),
            SqlBackslashes => {
                let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
                escaped.replace('"', "\\\"").replace('\n', "\\n").replace('\0', "\\0")
            }
            DoubledQuotes => text.replace('"', "\"\""),
            Url => percent(text),
            Form => percent(text).replace("%20", "+"),
            Html => {
                let escaped = text.replace('&', "&amp;").replace('<', "&lt;");
                escaped.replace('"', "&quot;").replace('\'', "&#39;")
            }
            Base64 => BASE64_STANDARD.encode(text),
            Base64Url => BASE64_URL_SAFE_NO_PAD.encode(text),
            Hex => text.bytes().fold(String::from("0x"), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}");
                hex
            }),
            Debug => format!("{text:?}"),
            DebugBytes => format!("{:?}", text.as_bytes()),
            PrettyBytes => format!("{:#?}", text.as_bytes()),
            HexPairs => hex(text.as_bytes(), 1, "", ":"),
            HexList => hex(text.as_bytes(), 1, "0x", ", "),
            HexWords => hex(text.as_bytes(), 2, "", " "),
            Utf16Hex => hex(&utf16(text, u16::to_le_bytes), usize::MAX, "0x", "").to_uppercase(),
            Utf16Base64 => BASE64_STANDARD.encode(utf16(text, u16::to_be_bytes)),
        }
    }

    /// Undoes the encoding, if the text is valid in it.
    fn decode(self, text: &str) -> Option<String> {
        match self {
            Json | JsonAscii => serde_json::from_str(&format!("\"{text}\"")).ok(),
            JsonDocument => {
                let value: serde_json::Value = serde_json::from_str(text).ok()?;
                Some(value["password"].as_str()?.to_owned())
            }
            SqlLiteral => Some(text.replace("''", "'")),
            Base64 => String::from_utf8(BASE64_STANDARD.decode(text).ok()?).ok(),
            Base64Url => String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok(),
            _ => None,
        }
    }
}

/// Returns hexadecimal digits in groups of `group` bytes.
fn hex(bytes: &[u8], group: usize, before: &str, between: &str) -> String {
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let groups: Vec<_> =
        bytes.chunks(group).map(|group| format!("{before}{}", digits(group))).collect();
    groups.join(between)
}

fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(order).collect()
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    })
}

fn redact(secret: &str, text: &str) -> String {
    let secrets = [secret.as_bytes()];
    replace(text, Search::new(&secrets, text.len()).ranges(text.as_bytes())).into_owned()
}

fn redact_line(secret: &str, line: &str) -> String {
    let secrets = [secret.as_bytes()];
    super::redact_line(line, &secrets, &[]).into_owned()
}

fn secrets() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        '\'',
        '"',
        '\\',
        '`',
        '%',
        '&',
        '+',
        '/',
        ' ',
        '\n',
        '\t',
        '\0',
        '\u{1}',
        '\u{7f}',
        'n',
        'u',
        'x',
        '0',
        '{',
        '$',
        'é',
        '\u{1f511}',
        '\u{2028}',
        '\u{300}',
    ]);
    let usual = prop::char::range('!', '~');
    let char = prop_oneof![3 => usual, 2 => hostile, 1 => any::<char>()];
    prop::collection::vec(char, 8..64).prop_map(String::from_iter)
}

fn nests() -> impl Strategy<Value = Vec<Encoding>> {
    prop::collection::vec(prop::sample::select(ALL.to_vec()), 0..=4)
}

fn around() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,30}", "\\PC{0,30}", "[\\\\'\"%&0-9a-z]{0,12}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn secret_in_nested_encodings_never_survives(
        secret in secrets(), nest in nests(), before in around(), after in around(),
    ) {
        let mut levels = vec![secret.clone()];
        for encoding in &nest {
            let encoded = encoding.encode(levels.last().unwrap());
            levels.push(encoded);
        }
        let encoded = levels.last().unwrap();
        let redacted = redact(&secret, &format!("{before}{encoded}{after}"));
        // The surrounding text can contain a part of the secret by chance.
        for level in &levels {
            prop_assert!(!redacted.contains(level.as_str()), "{nest:?} {level:?} in {redacted:?}");
        }
        let rest = redacted.strip_prefix(before.as_str()).unwrap_or(&redacted);
        let mut rest = Some(rest.strip_suffix(after.as_str()).unwrap_or(rest).to_owned());
        for (depth, encoding) in nest.iter().enumerate().rev() {
            rest = rest.and_then(|rest| encoding.decode(&rest));
            if let Some(rest) = &rest {
                prop_assert!(!rest.contains(levels[depth].as_str()), "{nest:?} in {redacted:?}");
            }
        }
        // A second search finds nothing more.
        prop_assert_eq!(redact(&secret, &redacted), redacted);
    }

    #[test]
    fn truncated_quotation_of_a_secret_is_redacted(
        secret in "[!-~]{16,64}", front in 0..8_usize, back in 0..8_usize, encoding in nests(),
    ) {
        let part = &secret[front..secret.len() - back];
        prop_assume!(part.len() >= 12);
        let encoding = encoding.into_iter().find(|e| !matches!(e, JsonDocument | SqlLiteral));
        let quoted = encoding.map_or_else(|| part.to_owned(), |encoding| encoding.encode(part));
        let redacted = redact(&secret, &format!("near '{quoted}' at line 1"));
        prop_assert!(!redacted.contains(&quoted), "{encoding:?} {redacted:?}");
        let redacted = redact(&secret, &format!("LINE 1: ...{quoted}..."));
        prop_assert!(!redacted.contains(&quoted), "{encoding:?} {redacted:?}");
    }

    #[test]
    fn json_line_stays_json_and_shows_no_secret(
        secret in secrets(), nest in nests(), before in around(), after in around(),
        key in "[a-z]{1,8}",
    ) {
        let encoded = nest.iter().fold(secret.clone(), |text, encoding| encoding.encode(&text));
        let message = format!("{before}{encoded}{after}");
        let line = serde_json::json!({"level": "ERROR", key: message, "n": 1.5, "deep": [message]});
        let redacted = redact_line(&secret, &line.to_string());
        let value: serde_json::Value = serde_json::from_str(&redacted).unwrap();
        for text in value.as_object().unwrap().values().filter_map(|value| value.as_str()) {
            prop_assert!(!text.contains(&secret) && !text.contains(&encoded), "{text:?}");
        }
        prop_assert!(json::parts(&redacted).is_some());
    }

    #[test]
    fn any_text_and_secret_redact_without_panic(
        text in "\\PC{0,200}",
        secret in "\\PC{1,12}",
        at in 0..99_usize,
    ) {
        // The replacement can form another secret together with the text next to it.
        prop_assume!(!secret.contains('*'));
        let inside: String =
            text.chars().take(at).chain(secret.chars()).chain(text.chars()).collect();
        prop_assert!(!redact(&secret, &inside).contains(&secret));
        let _ = redact_line(&secret, &format!("{{\"message\":\"{inside}\"}}"));
    }

    #[test]
    fn text_of_escapes_only_does_not_panic(
        text in "[\\\\'\"%&+u{}0-9a-fx;#D]{0,200}",
        secret in secrets(),
    ) {
        let _ = redact(&secret, &text);
    }
}

/// A case that the property test found: the digit before the first group belongs to a word.
#[test]
fn groups_of_digits_begin_after_a_digit_of_a_word() {
    let secret = "'A!AaaAa";
    let encoded = HexPairs.encode(&Url.encode(secret));
    for before in ["a", "9", "f ", "0x", "word:"] {
        let redacted = redact(secret, &format!("{before}{encoded}"));
        assert!(!redacted.contains(&encoded[3..]), "{before}: {redacted}");
    }
}
