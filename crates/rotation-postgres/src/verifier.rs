//! The form in which PostgreSQL stores a password, computed here, so that the password never
//! travels in a statement.
//!
//! A server stores what it is given when it looks like a verifier (`get_password_type` in
//! `src/backend/libpq/crypt.c`).

use std::fmt::Write as _;
use std::num::NonZeroU32;

use ::md5::{Digest as _, Md5};
use rotation_database::{Password, remember_derived};
use zeroize::Zeroizing;

use crate::password_form::KNOWS_SCRAM;
use crate::scram;

/// What the server's `password_encryption` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// `scram-sha-256`, with this many iterations.
    ScramSha256(NonZeroU32),
    /// `md5`, or `on` on old servers.
    Md5,
}

impl Encryption {
    /// How many iterations the computation of a verifier takes.
    pub(crate) fn iterations(self) -> NonZeroU32 {
        match self {
            Self::ScramSha256(iterations) => iterations,
            Self::Md5 => NonZeroU32::MIN,
        }
    }

    /// The statement after which a server of this version stores a readable password so.
    pub(crate) fn as_setting(self, version: u32) -> &'static str {
        match self {
            Self::ScramSha256(_) => "SET LOCAL password_encryption = 'scram-sha-256'; ",
            Self::Md5 if version < KNOWS_SCRAM => "SET LOCAL password_encryption = on; ",
            Self::Md5 => "SET LOCAL password_encryption = 'md5'; ",
        }
    }
}

/// The verifier of a user's password.
///
/// # Errors
/// When no random salt is to be had.
pub fn verifier(
    user: &str,
    password: &Password,
    encryption: Encryption,
) -> Result<Zeroizing<String>, &'static str> {
    match encryption {
        Encryption::Md5 => Ok(in_md5(&[password.expose().as_bytes(), user.as_bytes()])),
        Encryption::ScramSha256(iterations) => scram::verifier(password, iterations),
    }
}

/// The answer to a server that asks for an MD5 password with this salt.
pub(crate) fn md5_answer(user: &str, password: &Password, salt: &[u8]) -> Zeroizing<String> {
    let stored = in_md5(&[password.expose().as_bytes(), user.as_bytes()]);
    in_md5(&[stored.trim_start_matches(MD5).as_bytes(), salt])
}

const MD5: &str = "md5";

/// `md5` and the hash in hexadecimal digits.
fn in_md5(parts: &[&[u8]]) -> Zeroizing<String> {
    let mut hash = Md5::new();
    parts.iter().for_each(|part| hash.update(part));
    // Room for all of it: what grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(35));
    text.push_str(MD5);
    for byte in hash.finalize() {
        let _ = write!(text, "{byte:02x}");
    }
    // A server can quote the statement that holds it.
    remember_derived(&text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_md5_form_is_the_server_s() {
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
