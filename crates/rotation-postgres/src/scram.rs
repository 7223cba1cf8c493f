//! SCRAM-SHA-256 ([RFC 5802](https://www.rfc-editor.org/rfc/rfc5802), [RFC
//! 7677](https://www.rfc-editor.org/rfc/rfc7677)): the verifier that a server stores, and the
//! client's side of the exchange.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rotation_database::{Password, redact_derived};
use zeroize::{Zeroize, Zeroizing};

/// The first server version that supports SCRAM.
pub(crate) const FIRST_VERSION_WITH_SCRAM: u32 = 100_000;

/// The iterations of servers that do not have the setting `scram_iterations` (before 16).
pub(crate) const DEFAULT_ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();
const SALT_BYTES: usize = 16;
const NONCE_BYTES: usize = 18;
/// The maximum number of iterations of a verifier, and of a login, where the other side chooses the
/// number. It is more than is commonly recommended, and takes one or two seconds on the smallest
/// function.
pub(crate) const MAX_ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).unwrap();
/// The GS2 header without channel binding (`n,,`), in base64.
const NO_BINDING: &str = "biws";

/// The keys that are derived from a password and a salt.
struct Keys {
    client: hmac::Tag,
    stored: digest::Digest,
    server: hmac::Tag,
}

impl Keys {
    fn of(password: &Password, salt: &[u8], iterations: NonZeroU32) -> Self {
        let normalized = normalize(password);
        let mut salted = Zeroizing::new([0; digest::SHA256_OUTPUT_LEN]);
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            iterations,
            salt,
            normalized.as_bytes(),
            &mut *salted,
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
        let client = hmac::sign(&key, b"Client Key");
        let stored = digest::digest(&digest::SHA256, client.as_ref());
        Self { client, stored, server: hmac::sign(&key, b"Server Key") }
    }
}

/// Normalizes a password with SASLprep. A password that SASLprep rejects is used unchanged, as in
/// the server (`pg_saslprep`).
fn normalize(password: &Password) -> Zeroizing<String> {
    let text = password.expose();
    let prepared = stringprep::saslprep(text).ok().filter(|prepared| !prepared.is_empty());
    Zeroizing::new(prepared.map_or_else(|| text.to_owned(), |prepared| prepared.into_owned()))
}

/// Returns the verifier of a password with a new salt, in the format of `scram_build_secret`
/// (`src/common/scram-common.c`).
///
/// # Errors
/// If no random numbers can be generated.
pub(crate) fn verifier(
    password: &Password,
    iterations: NonZeroU32,
) -> Result<Zeroizing<String>, &'static str> {
    let mut salt = [0; SALT_BYTES];
    random(&mut salt)?;
    Ok(verifier_with(password, &salt, iterations))
}

/// Returns the salt of a verifier.
pub(crate) fn salt_of(verifier: &str) -> Option<Vec<u8>> {
    let (_, salt) = verifier.split('$').nth(1)?.split_once(':')?;
    BASE64_STANDARD.decode(salt).ok()
}

/// Returns the verifier of a password with a given salt.
pub(crate) fn verifier_with(
    password: &Password,
    salt: &[u8],
    iterations: NonZeroU32,
) -> Zeroizing<String> {
    let keys = Keys::of(password, salt, iterations);
    let verifier = Zeroizing::new(format!(
        "SCRAM-SHA-256${iterations}:{}${}:{}",
        BASE64_STANDARD.encode(salt),
        BASE64_STANDARD.encode(keys.stored.as_ref()),
        BASE64_STANDARD.encode(keys.server.as_ref()),
    ));
    // A server can quote the statement that contains the two keys.
    verifier.rsplit('$').take(1).flat_map(|keys| keys.split(':')).for_each(redact_derived);
    verifier
}

/// The maximum number of iterations that are computed on the runtime's thread. More are computed on
/// another thread, so that timeouts still fire.
const MAX_INLINE_ITERATIONS: u32 = 20_000;

/// Runs a computation of this many iterations without blocking the runtime's only thread for long.
///
/// # Errors
/// If the computation was aborted.
pub(crate) async fn compute<T: Send + 'static>(
    iterations: NonZeroU32,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, &'static str> {
    if iterations.get() <= MAX_INLINE_ITERATIONS {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(|_| "the computation was aborted")
}

fn random(bytes: &mut [u8]) -> Result<(), &'static str> {
    rand::fill(bytes).map_err(|_| "could not generate random numbers")
}

/// A client that is ready to send its first message.
pub(crate) struct Client {
    nonce: String,
}

/// The server's first message, which asks the client for a proof.
pub(crate) struct Challenge {
    client_first: String,
    server_first: String,
    nonce: String,
    pub salt: Vec<u8>,
    pub iterations: NonZeroU32,
}

/// A client that has computed its proof, and waits for the server's signature.
pub(crate) struct Proven {
    server_key: hmac::Key,
    signed: String,
}

impl Client {
    /// Creates a client with a new nonce.
    ///
    /// # Errors
    /// If no random numbers can be generated.
    pub(crate) fn new() -> Result<Self, &'static str> {
        let mut bytes = [0; NONCE_BYTES];
        random(&mut bytes)?;
        Ok(Self { nonce: BASE64_STANDARD.encode(bytes) })
    }

    /// Returns the client's first message. Its user is empty, because the server knows the user
    /// from the startup message.
    pub(crate) fn first(&self) -> String {
        format!("n,,{}", self.bare())
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce)
    }

    /// Parses the server's first message.
    ///
    /// # Errors
    /// If the message is malformed, has another nonce or demands too many iterations.
    pub(crate) fn challenge(self, server_first: &str) -> Result<Challenge, &'static str> {
        let mut fields = server_first.split(',');
        let mut field = |name| fields.next().and_then(|field| field.strip_prefix(name));
        let (nonce, salt, iterations) = (field("r="), field("s="), field("i="));
        let nonce =
            nonce.filter(|nonce| nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce));
        let nonce = nonce.ok_or("the SCRAM nonce is not an extension of the client's nonce")?;
        let salt =
            salt.and_then(|salt| BASE64_STANDARD.decode(salt).ok()).ok_or("no valid SCRAM salt")?;
        let iterations = iterations.and_then(|count| count.parse::<NonZeroU32>().ok());
        let iterations = iterations.ok_or("no valid SCRAM iteration count")?;
        if iterations > MAX_ITERATIONS {
            return Err("the SCRAM iteration count is more than 600000");
        }
        Ok(Challenge {
            client_first: self.bare(),
            server_first: server_first.to_owned(),
            nonce: nonce.to_owned(),
            salt,
            iterations,
        })
    }
}

impl Challenge {
    /// Returns the client's final message, and the state that verifies the server's answer.
    pub(crate) fn prove(&self, password: &Password) -> (Proven, String) {
        let keys = Keys::of(password, &self.salt, self.iterations);
        let without_proof = format!("c={NO_BINDING},r={}", self.nonce);
        let signed = format!("{},{},{without_proof}", self.client_first, self.server_first);
        let stored = hmac::Key::new(hmac::HMAC_SHA256, keys.stored.as_ref());
        let signature = hmac::sign(&stored, signed.as_bytes());
        let mut proof: Vec<u8> = keys
            .client
            .as_ref()
            .iter()
            .zip(signature.as_ref())
            .map(|(key, bit)| key ^ bit)
            .collect();
        let message = format!("{without_proof},p={}", BASE64_STANDARD.encode(&proof));
        proof.zeroize();
        let server_key = hmac::Key::new(hmac::HMAC_SHA256, keys.server.as_ref());
        (Proven { server_key, signed }, message)
    }
}

impl Proven {
    /// Returns `true` if the server's final message proves that the server has the password's
    /// verifier.
    pub(crate) fn verify_server(&self, server_final: &str) -> bool {
        let signature = server_final.split(',').next().and_then(|field| field.strip_prefix("v="));
        let signature =
            signature.and_then(|text| BASE64_STANDARD.decode(text).ok()).unwrap_or_default();
        hmac::verify(&self.server_key, self.signed.as_bytes(), &signature).is_ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The nonce of the example in RFC 7677, section 3. The user of the example is left out,
    /// because PostgreSQL knows it from the startup message.
    pub(crate) const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    pub(crate) const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    pub(crate) fn client() -> Client {
        Client { nonce: NONCE.into() }
    }

    /// Returns the final message of a server that knows the password.
    pub(crate) fn server_final(password: &Password) -> String {
        let (proven, _) = client().challenge(SERVER_FIRST).unwrap().prove(password);
        let signature = hmac::sign(&proven.server_key, proven.signed.as_bytes());
        format!("v={}", BASE64_STANDARD.encode(signature.as_ref()))
    }

    fn pencil() -> Password {
        Password::new("pencil")
    }

    /// A server uses the verifier to check a client's proof and to sign its own answer.
    #[test]
    fn client_and_verifier_of_same_password_agree() {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = verifier_with(&pencil(), &salt, DEFAULT_ITERATIONS);
        // Computed with Python's hashlib from the same password and salt.
        let expected = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$\
            WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
            wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(*verifier, expected);

        let (proven, message) = client().challenge(SERVER_FIRST).unwrap().prove(&pencil());
        let (without_proof, proof) = message.split_once(",p=").unwrap();
        let signed = format!("n=,r={NONCE},{SERVER_FIRST},{without_proof}");
        let (stored, server) = verifier.rsplit_once('$').unwrap().1.split_once(':').unwrap();
        let decode = |text: &str| BASE64_STANDARD.decode(text).unwrap();
        let sign =
            |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        let client_key: Vec<u8> =
            decode(proof).iter().zip(sign(&decode(stored)).as_ref()).map(|(a, b)| a ^ b).collect();
        assert_eq!(digest::digest(&digest::SHA256, &client_key).as_ref(), decode(stored));
        let answer = BASE64_STANDARD.encode(sign(&decode(server)));
        assert!(proven.verify_server(&format!("v={answer}")));
        assert!(!proven.verify_server(&format!("v={}", BASE64_STANDARD.encode([0; 32]))));
        assert!(!proven.verify_server("e=other-error"));
        assert!(!proven.verify_server(""));
    }

    /// Checks the keys against the example of RFC 7677, section 3, with its user.
    #[test]
    fn keys_match_example_of_rfc_7677() {
        let decode = |text: &str| BASE64_STANDARD.decode(text).unwrap();
        let keys = Keys::of(&pencil(), &decode("W22ZaJ0SNY7soEsUEjb6gQ=="), DEFAULT_ITERATIONS);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let signed = format!("n=user,r={NONCE},{SERVER_FIRST},c=biws,r={nonce}");
        let sign =
            |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes());
        let expected = decode("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(sign(keys.server.as_ref()).as_ref(), expected);
        let proof = decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let client_key: Vec<u8> =
            proof.iter().zip(sign(keys.stored.as_ref()).as_ref()).map(|(a, b)| a ^ b).collect();
        assert_eq!(client_key, keys.client.as_ref());
    }

    #[test]
    fn malformed_server_first_message_gets_no_proof() {
        for garbage in [
            "",
            "r=another,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            // The client's own nonce without the server's part.
            "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=%,i=4096",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0",
            "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4294967295",
            "m=ext,r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        ] {
            assert!(client().challenge(garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn password_is_normalized_by_rfc_4013_or_unchanged() {
        assert_eq!(*normalize(&Password::new("I\u{ad}X")), "IX");
        assert_eq!(*normalize(&Password::new("\u{2168}")), "IX");
        assert_eq!(*normalize(&Password::new("a\u{7}b")), "a\u{7}b");
        assert_eq!(*normalize(&Password::new("\u{ad}")), "\u{ad}");
    }
}
