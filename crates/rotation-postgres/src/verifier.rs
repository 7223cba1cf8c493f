//! Computes the form in which PostgreSQL stores a password, so that no statement contains the
//! password itself.
//!
//! If the password in a statement looks like a verifier, the server stores it unchanged
//! (`get_password_type` in `src/backend/libpq/crypt.c`).

use std::fmt::Write as _;
use std::num::NonZeroU32;

use ::md5::{Digest as _, Md5};
use rotation_database::{Password, redact_derived};
use zeroize::Zeroizing;

use crate::scram;
use crate::scram::FIRST_VERSION_WITH_SCRAM;

/// The form in which the server stores a password (`password_encryption`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// A SCRAM verifier with this many iterations (`scram-sha-256`).
    ScramSha256(NonZeroU32),
    /// An MD5 hash (`md5`, or `on` on old servers).
    Md5,
}

impl Encryption {
    /// Returns the number of iterations that it takes to compute a verifier.
    pub(crate) fn iterations(self) -> NonZeroU32 {
        match self {
            Self::ScramSha256(iterations) => iterations,
            Self::Md5 => NonZeroU32::MIN,
        }
    }

    /// Returns the statement that makes a server of this version store a cleartext password in this
    /// form.
    pub(crate) fn as_setting(self, version: Option<u32>) -> &'static str {
        match self {
            Self::ScramSha256(_) => "SET LOCAL password_encryption = 'scram-sha-256'; ",
            Self::Md5 if version < Some(FIRST_VERSION_WITH_SCRAM) => {
                "SET LOCAL password_encryption = on; "
            }
            Self::Md5 => "SET LOCAL password_encryption = 'md5'; ",
        }
    }
}

/// Returns the verifier of a user's password.
///
/// # Errors
/// If no random salt can be generated.
pub fn verifier(
    user: &str,
    password: &Password,
    encryption: Encryption,
) -> Result<Zeroizing<String>, &'static str> {
    match encryption {
        Encryption::Md5 => Ok(md5_hash(&[password.expose().as_bytes(), user.as_bytes()])),
        Encryption::ScramSha256(iterations) => scram::verifier(password, iterations),
    }
}

/// Returns the answer to a server that asks for an MD5 password with this salt.
pub(crate) fn md5_answer(user: &str, password: &Password, salt: &[u8]) -> Zeroizing<String> {
    let stored = md5_hash(&[password.expose().as_bytes(), user.as_bytes()]);
    md5_hash(&[stored.trim_start_matches(MD5).as_bytes(), salt])
}

const MD5: &str = "md5";

/// Returns `md5` followed by the hash in hexadecimal digits.
fn md5_hash(parts: &[&[u8]]) -> Zeroizing<String> {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    // Allocate the full length: a string that grows leaves copies in freed memory.
    let mut text = Zeroizing::new(String::with_capacity(35));
    text.push_str(MD5);
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    // A server can quote the statement that contains the hash.
    redact_derived(&text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn md5_verifier_matches_server() {
        // SELECT 'md5' || md5('pencil' || 'user')
        let verifier = verifier("user", &Password::new("pencil"), Encryption::Md5).unwrap();
        assert_eq!(*verifier, "md520c46e3762c864548e296b33c3406aa9");
    }

    #[test]
    fn verifier_that_a_server_quotes_is_redacted() {
        let password = Password::new("pw-of-a-verifier");
        let iterations = crate::scram::DEFAULT_ITERATIONS;
        for encryption in [Encryption::Md5, Encryption::ScramSha256(iterations)] {
            let verifier = verifier("user", &password, encryption).unwrap();
            let quoted = format!("syntax error near \"ALTER ROLE x PASSWORD '{}'\"", *verifier);
            let redacted = rotation_database::mask(&quoted).into_owned();
            let secret = verifier.rsplit(['$', ':']).next().unwrap();
            assert!(!redacted.contains(secret), "{redacted}");
        }
        let method = "the server offers \"SCRAM-SHA-256\"";
        assert_eq!(rotation_database::mask(method), method);
    }
}
