//! The authentication plugins that this function supports, and their proofs of a password.

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use rotation_database::{LoginError, Password, mask};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::ed25519;

/// The length of a nonce in bytes. Only ed25519 uses another length.
pub(crate) const NONCE_BYTES: usize = 20;

/// An authentication plugin that this function supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plugin {
    /// The plugin [`mysql_native_password`][doc], which hashes the password with SHA-1.
    ///
    /// [doc]: https://dev.mysql.com/doc/refman/8.4/en/native-pluggable-authentication.html
    Native,
    /// The plugin [`caching_sha2_password`][doc], which caches the hashes of logins.
    ///
    /// [doc]: https://dev.mysql.com/doc/refman/8.4/en/caching-sha2-pluggable-authentication.html
    CachingSha2,
    /// The plugin [`sha256_password`][doc], which needs the password at every login.
    ///
    /// [doc]: https://dev.mysql.com/doc/refman/8.4/en/sha256-pluggable-authentication.html
    Sha256,
    /// MariaDB's plugin [`ed25519`][doc], which verifies a signature.
    ///
    /// [doc]: https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-ed25519
    Ed25519,
}

const ALL: [Plugin; 4] = [Plugin::Native, Plugin::CachingSha2, Plugin::Sha256, Plugin::Ed25519];

impl Plugin {
    /// Returns the plugin with the name that a server sends to a client.
    pub(crate) fn named(name: &[u8]) -> Result<Self, LoginError> {
        if let Some(plugin) = ALL.into_iter().find(|plugin| plugin.name().as_bytes() == name) {
            return Ok(plugin);
        }
        if name == b"mysql_clear_password" {
            return Err(LoginError::CleartextPasswordRequested {
                asked: "the cleartext password (mysql_clear_password)",
                remedy: "Find out which server answers on this port: no account that can be \
                    rotated uses this plugin, and a server that asks for it may belong to an \
                    attacker.",
            });
        }
        let name: String = String::from_utf8_lossy(name).chars().take(64).collect();
        let names = ALL.map(Self::name).join(", ");
        Err(LoginError::Unsupported {
            message: mask(&format!("plugin {name:?} (this function supports {names})"))
                .into_owned(),
        })
    }

    /// Returns the plugin with the name that the server uses for accounts.
    pub(crate) fn of_account(name: &str) -> Option<Self> {
        ALL.into_iter().find(|plugin| plugin.name().trim_start_matches("client_") == name)
    }

    /// Returns the name that the server sends to a client.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "mysql_native_password",
            Self::CachingSha2 => "caching_sha2_password",
            Self::Sha256 => "sha256_password",
            Self::Ed25519 => "client_ed25519",
        }
    }

    /// Returns a proof that the client knows the password, which does not reveal the password.
    ///
    /// Returns `None` if the nonce has the wrong length for this plugin, and for `sha256_password`,
    /// which has no such proof.
    pub(crate) fn proof(self, password: &Password, nonce: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let password = password.expose().as_bytes();
        if self == Self::Ed25519 {
            return Some(ed25519::signature(password, nonce.try_into().ok()?));
        }
        let nonce: &[u8; NONCE_BYTES] = nonce.try_into().ok()?;
        match self {
            Self::Native => {
                let once = Zeroizing::new(<[u8; 20]>::from(Sha1::digest(password)));
                let twice = Sha1::digest(*once);
                let mask = Sha1::new().chain_update(nonce).chain_update(twice).finalize();
                Some(xor(&*once, &mask))
            }
            Self::CachingSha2 => {
                let once = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(password)));
                let twice = Sha256::digest(*once);
                let mask = Sha256::new().chain_update(twice).chain_update(nonce).finalize();
                Some(xor(&*once, &mask))
            }
            Self::Sha256 | Self::Ed25519 => None,
        }
    }
}

/// Returns the cleartext password in the form that is sent over an encrypted connection.
pub(crate) fn cleartext(password: &Password) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([password.expose().as_bytes(), &[0]].concat())
}

/// Encrypts a password with a server's RSA key.
///
/// `pem` is the key that the server has sent. Nothing proves that it belongs to the server, so this
/// is only for secrets with `"ssl": false`, whose network is trusted.
///
/// A password that is too long for the key counts as rejected, because no user can log in with it.
pub(crate) fn encrypt_with_rsa_key(
    password: &Password,
    nonce: &[u8],
    pem: &[u8],
) -> Result<Vec<u8>, LoginError> {
    let unusable = || LoginError::protocol("the server's RSA key is not usable");
    let key = rsa_key(pem).ok_or_else(unusable)?;
    let repeated: Vec<u8> =
        nonce.iter().copied().cycle().take(password.expose().len() + 1).collect();
    let plain = xor(&cleartext(password), &repeated);
    if plain.len() > key.max_plaintext_size(&OAEP_SHA1_MGF1SHA1) {
        return Err(LoginError::Refused {
            message: "not sent: the password is too long for the server's RSA key".into(),
        });
    }
    let mut encrypted = vec![0; key.ciphertext_size()];
    key.encrypt(&OAEP_SHA1_MGF1SHA1, &plain, &mut encrypted, None).map_err(|_| unusable())?;
    Ok(encrypted)
}

fn rsa_key(pem: &[u8]) -> Option<OaepPublicEncryptingKey> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
    OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&der).ok()?).ok()
}

/// Returns the length in bytes of the longest password that a server's RSA key can encrypt.
pub(crate) fn max_password_len_for_rsa_key(pem: &[u8]) -> Option<usize> {
    // A zero byte ends the password.
    rsa_key(pem)?.max_plaintext_size(&OAEP_SHA1_MGF1SHA1).checked_sub(1)
}

fn xor(left: &[u8], right: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(left.iter().zip(right).map(|(left, right)| left ^ right).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_plugins() {
        for plugin in ALL {
            assert_eq!(Plugin::named(plugin.name().as_bytes()), Ok(plugin));
        }
        for name in
            [&b"mysql_old_password"[..], b"", b"auth_gssapi_client", b"mysql_native_passwor\xff"]
        {
            assert!(matches!(Plugin::named(name), Err(LoginError::Unsupported { .. })));
        }
        assert!(matches!(
            Plugin::named(b"mysql_clear_password"),
            Err(LoginError::CleartextPasswordRequested { .. })
        ));
    }

    #[test]
    fn account_plugin_name_of_ed25519_differs() {
        assert_eq!(Plugin::of_account("ed25519"), Some(Plugin::Ed25519));
        assert_eq!(Plugin::of_account("caching_sha2_password"), Some(Plugin::CachingSha2));
        assert_eq!(Plugin::of_account("unix_socket"), None);
    }

    #[test]
    fn nonce_of_wrong_length_gets_no_proof() {
        let password = Password::new("p");
        for plugin in ALL {
            for length in (0..64).filter(|length| ![20, 32].contains(length)) {
                assert!(plugin.proof(&password, &vec![1; length]).is_none(), "{plugin:?} {length}");
            }
        }
    }

    #[test]
    fn invalid_rsa_key_is_rejected() {
        let password = Password::new("p");
        for pem in
            [&b""[..], b"garbage", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]
        {
            assert!(matches!(
                encrypt_with_rsa_key(&password, &[1; 20], pem),
                Err(LoginError::Protocol { .. })
            ));
        }
    }
}
