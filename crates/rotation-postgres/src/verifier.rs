//! The form in which PostgreSQL stores a password, computed here, so that the password never travels in a statement.
//!
//! A server stores what it is given when it looks like a verifier (`get_password_type` in `src/backend/libpq/crypt.c`).

use std::num::NonZeroU32;

use ::md5::{Digest as _, Md5};
use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rotation_database::Password;
use zeroize::Zeroizing;

/// `scram_iterations` of servers that do not say (before 16).
pub(crate) const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT_BYTES: usize = 16;

/// What the server's `password_encryption` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// `scram-sha-256`, with this many iterations.
    ScramSha256(NonZeroU32),
    /// `md5`, or `on` on old servers.
    Md5,
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
        Encryption::Md5 => Ok(md5(user, password)),
        Encryption::ScramSha256(iterations) => {
            let mut salt = [0; SALT_BYTES];
            rand::fill(&mut salt).map_err(|_| "the system gives no random numbers")?;
            Ok(scram_sha_256(password, &salt, iterations))
        }
    }
}

/// RFC 5802, section 3, with the hash of RFC 7677, in the form of `scram_build_secret` (`src/common/scram-common.c`).
fn scram_sha_256(password: &Password, salt: &[u8], iterations: NonZeroU32) -> Zeroizing<String> {
    let normalized = normalize(password);
    let mut salted = Zeroizing::new([0; digest::SHA256_OUTPUT_LEN]);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, iterations, salt, normalized.as_bytes(), &mut *salted);
    let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
    let client_key = hmac::sign(&key, b"Client Key");
    let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
    let server_key = hmac::sign(&key, b"Server Key");
    Zeroizing::new(format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        BASE64_STANDARD.encode(salt),
        BASE64_STANDARD.encode(stored_key.as_ref()),
        BASE64_STANDARD.encode(server_key.as_ref()),
    ))
}

/// SASLprep; a password that it does not take is used as it is, as the server does (`pg_saslprep`).
fn normalize(password: &Password) -> Zeroizing<String> {
    let text = password.expose();
    Zeroizing::new(stringprep::saslprep(text).map_or_else(|_| text.to_owned(), |text| text.into_owned()))
}

fn md5(user: &str, password: &Password) -> Zeroizing<String> {
    let mut hash = Md5::new();
    hash.update(password.expose());
    hash.update(user);
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Zeroizing::new(format!("md5{hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7677, section 3: user "user", password "pencil". The verifier must prove that exchange.
    #[test]
    fn the_example_of_rfc_7677_is_accepted() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = scram_sha_256(&Password::new("pencil"), &salt, DEFAULT_ITERATIONS);
        let (stored, server) = verifier.rsplit_once('$').unwrap().1.split_once(':').unwrap();
        let decode = |text: &str| BASE64_STANDARD.decode(text).unwrap();

        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let message = format!(
            "n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}"
        );
        let sign = |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes());
        assert_eq!(sign(&decode(server)).as_ref(), decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));

        let proof = decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let client_key: Vec<u8> =
            proof.iter().zip(sign(&decode(stored)).as_ref()).map(|(a, b)| a ^ b).collect();
        assert_eq!(digest::digest(&digest::SHA256, &client_key).as_ref(), decode(stored));
    }

    #[test]
    fn the_md5_form_is_the_server_s() {
        // SELECT 'md5' || md5('pencil' || 'user')
        assert_eq!(*md5("user", &Password::new("pencil")), "md520c46e3762c864548e296b33c3406aa9");
    }

    #[test]
    fn a_password_is_normalized_as_rfc_4013_says_or_left_alone() {
        assert_eq!(*normalize(&Password::new("I\u{ad}X")), "IX");
        assert_eq!(*normalize(&Password::new("\u{2168}")), "IX");
        assert_eq!(*normalize(&Password::new("a\u{7}b")), "a\u{7}b");
    }
}
