//! Computes the hash that a server stores for a password, and compares a stored hash with a
//! password.
//!
//! A password history rejects a password both if the account has it now and if it had it before. A
//! login distinguishes the two cases for one account. For the accounts of other hosts, only the
//! stored hash does.

use rotation_database::{EngineError, Password, redact_derived};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::ed25519;
use crate::native_hash::native_hash;
use crate::plugin::Plugin;

/// Returns the hash that MariaDB stores for a password. With the hash in a statement, the server's
/// log never contains the password.
///
/// # Errors
/// If MariaDB accepts only cleartext passwords for the plugin.
pub(crate) fn mariadb_hash(
    plugin: Option<Plugin>,
    account: &Account,
    password: &Password,
) -> Result<String, EngineError> {
    let stored = match plugin {
        Some(Plugin::Native) => native_hash(password.expose()),
        Some(Plugin::Ed25519) => ed25519::public_key(password.expose()),
        Some(Plugin::CachingSha2 | Plugin::Sha256) | None => {
            return Err(EngineError::NeedsDecision {
                what: format!(
                    "{account} uses a plugin for which MariaDB accepts only cleartext passwords, \
                     which it writes to its log"
                ),
                remedy: "Change the account to ed25519 or mysql_native_password.".into(),
            });
        }
    };
    redact_derived(&stored);
    Ok(stored)
}

/// Returns whether a stored hash belongs to this password, or `None` if its format is unknown.
pub(crate) fn holds(plugin: &str, stored: &[u8], password: &str) -> Option<bool> {
    match plugin {
        "mysql_native_password" => {
            Some(stored.eq_ignore_ascii_case(native_hash(password).as_bytes()))
        }
        "ed25519" => Some(stored == ed25519::public_key(password).as_bytes()),
        // $A$005$, then the salt and the digest. 005 are the rounds in thousands, in hexadecimal
        // digits.
        "caching_sha2_password" => {
            let rest = stored.strip_prefix(b"$A$")?;
            let (thousands, rest) = rest.split_at_checked(3)?;
            let rest = rest.strip_prefix(b"$")?;
            let thousands = u32::from_str_radix(std::str::from_utf8(thousands).ok()?, 16).ok()?;
            let (salt, digest) = rest.split_at_checked(SALT_BYTES)?;
            Some(
                digest
                    == encoded(&sha256_crypt(password.as_bytes(), salt, thousands * 1000))
                        .as_bytes(),
            )
        }
        // $5$, the salt, $ and the digest.
        "sha256_password" => {
            let (salt, digest) = stored.strip_prefix(b"$5$")?.split_at_checked(SALT_BYTES)?;
            let digest = digest.strip_prefix(b"$")?;
            Some(
                digest
                    == encoded(&sha256_crypt(password.as_bytes(), salt, DEFAULT_ROUNDS)).as_bytes(),
            )
        }
        _ => None,
    }
}

const SALT_BYTES: usize = 20;
const DEFAULT_ROUNDS: u32 = 5000;

/// Computes [SHA-crypt](https://www.akkadia.org/drepper/SHA-crypt.txt) as MySQL's
/// `my_crypt_genhash` does. The crate `sha-crypt` cannot be used, because it cuts the salt to 16
/// bytes, as the standard demands.
fn sha256_crypt(password: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<[u8; 32]> {
    let hash = |parts: &[&[u8]]| {
        let hash = parts.iter().fold(Sha256::new(), |hash, part| hash.chain_update(part));
        Zeroizing::new(<[u8; 32]>::from(hash.finalize()))
    };
    let repeated = |bytes: &[u8; 32], length| {
        Zeroizing::new(bytes.iter().copied().cycle().take(length).collect::<Vec<u8>>())
    };
    let b = hash(&[password, salt, password]);
    let mut a = Sha256::new().chain_update(password).chain_update(salt);
    a.update(&*repeated(&b, password.len()));
    let mut bits = password.len();
    while bits > 0 {
        if bits & 1 == 1 {
            a.update(*b)
        } else {
            a.update(password)
        }
        bits >>= 1;
    }
    let mut a = Zeroizing::new(<[u8; 32]>::from(a.finalize()));
    let p = hash(&vec![password; password.len()]);
    let p = repeated(&p, password.len());
    let s = hash(&vec![salt; 16 + usize::from(a[0])]);
    let s = repeated(&s, salt.len());
    for round in 0..rounds {
        let odd = round & 1 == 1;
        let mut c = Sha256::new();
        if odd {
            c.update(&*p)
        } else {
            c.update(*a)
        }
        if round % 3 != 0 {
            c.update(&*s);
        }
        if round % 7 != 0 {
            c.update(&*p);
        }
        if odd {
            c.update(*a)
        } else {
            c.update(&*p)
        }
        *a = c.finalize().into();
    }
    a
}

/// Encodes a digest with the alphabet and the byte order of crypt(3).
fn encoded(digest: &[u8; 32]) -> String {
    const ALPHABET: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const GROUPS: [[usize; 3]; 10] = [
        [0, 10, 20],
        [21, 1, 11],
        [12, 22, 2],
        [3, 13, 23],
        [24, 4, 14],
        [15, 25, 5],
        [6, 16, 26],
        [27, 7, 17],
        [18, 28, 8],
        [9, 19, 29],
    ];
    let mut text = String::with_capacity(43);
    let mut push = |mut bits: u32, count| {
        for _ in 0..count {
            text.push(char::from(ALPHABET[(bits & 0x3f) as usize]));
            bits >>= 6;
        }
    };
    for [a, b, c] in GROUPS {
        push(u32::from(digest[a]) << 16 | u32::from(digest[b]) << 8 | u32::from(digest[c]), 4);
    }
    push(u32::from(digest[31]) << 8 | u32::from(digest[30]), 3);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected digests are from glibc's crypt(3), which has shorter salts. The end-to-end
    /// tests compare with the digests of a real server.
    #[test]
    fn digests_match_glibc_crypt() {
        for (salt, rounds, password, expected) in [
            ("saltstring", 5000, "Hello world!", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"),
            (
                "saltstringsaltst",
                10000,
                "Hello world!",
                "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA",
            ),
            (
                "anotherlongsalts",
                1400,
                "a very much longer text to encrypt.  This one even stretches over \
                 morethan one line.",
                "Rx.j8H.h8HjEDGomFU8bDkXm3XIUnzyxf12oP84Bnq1",
            ),
        ] {
            let digest = encoded(&sha256_crypt(password.as_bytes(), salt.as_bytes(), rounds));
            assert_eq!(digest, expected);
        }
    }

    #[test]
    fn wrong_password_and_unknown_format_are_distinguished() {
        let hash = native_hash("password");
        assert_eq!(holds("mysql_native_password", hash.as_bytes(), "password"), Some(true));
        assert_eq!(
            holds("mysql_native_password", hash.to_lowercase().as_bytes(), "password"),
            Some(true)
        );
        assert_eq!(holds("mysql_native_password", hash.as_bytes(), "passworD"), Some(false));
        for (plugin, stored) in [
            ("unix_socket", &b"x"[..]),
            ("caching_sha2_password", b""),
            ("caching_sha2_password", b"$A$zzz$12345678901234567890"),
            ("caching_sha2_password", b"$A$005$1234"),
            ("sha256_password", b"$5$1234"),
        ] {
            assert_eq!(holds(plugin, stored, "x"), None, "{plugin}");
        }
    }
}
