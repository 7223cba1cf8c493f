//! Computes the login signature of MariaDB's [ed25519] plugin, and the public key that the server
//! stores.
//!
//! The plugin uses Ed25519 ([RFC 8032], section 5.1.5) with SHA-512 of the *password* instead of
//! SHA-512 of a 32-byte seed, so libraries that take a seed cannot be used.
//!
//! [ed25519]: https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-ed25519
//! [RFC 8032]: https://www.rfc-editor.org/rfc/rfc8032

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use curve25519_dalek::scalar::clamp_integer;
use curve25519_dalek::{EdwardsPoint, Scalar};
use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

/// The length of the server's nonce in bytes.
pub(crate) const NONCE_BYTES: usize = 32;

struct Key {
    secret: Zeroizing<Scalar>,
    prefix: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl Key {
    fn of(password: &[u8]) -> Self {
        let hash = Zeroizing::new(<[u8; 64]>::from(Sha512::digest(password)));
        let (mut secret, mut prefix) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        secret.copy_from_slice(&hash[..32]);
        prefix.copy_from_slice(&hash[32..]);
        let secret = Zeroizing::new(Scalar::from_bytes_mod_order(clamp_integer(*secret)));
        let public = EdwardsPoint::mul_base(&secret).compress().to_bytes();
        Self { secret, prefix, public }
    }
}

/// Returns the signature that answers a server's nonce.
pub(crate) fn signature(password: &[u8], nonce: &[u8; NONCE_BYTES]) -> Zeroizing<Vec<u8>> {
    let key = Key::of(password);
    let hash = |parts: [&[u8]; 3]| {
        let hash = parts.iter().fold(Sha512::new(), |hash, part| hash.chain_update(part));
        Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
    };
    let r = Zeroizing::new(hash([&*key.prefix, nonce, &[]]));
    let point = EdwardsPoint::mul_base(&r).compress().to_bytes();
    let s = hash([&point, &key.public, nonce]) * *key.secret + *r;
    Zeroizing::new([point, s.to_bytes()].concat())
}

/// Returns the public key of a password, which the server stores and which `PASSWORD()` returns for
/// this plugin. It has 43 characters.
pub fn public_key(password: &str) -> String {
    BASE64_STANDARD_NO_PAD.encode(Key::of(password.as_bytes()).public)
}

#[cfg(test)]
mod tests {
    /// `CREATE USER … IDENTIFIED VIA ed25519 USING PASSWORD('secret')`, from MariaDB's manual.
    #[test]
    fn public_key_matches_manual() {
        assert_eq!(super::public_key("secret"), "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY");
    }
}
