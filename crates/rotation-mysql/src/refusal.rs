//! Errors that a server answers a login with.

use rotation_database::{Login, LoginError, administrator, mask};

use crate::packet::Fields;
use crate::quote::Literals;

/// An
/// [`ERR_Packet`](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) number: u16,
    /// The server's message, masked.
    pub(crate) message: String,
}

impl Refusal {
    /// Reads a payload that begins with [`crate::packet::ERROR`].
    pub(crate) fn parse(payload: &[u8]) -> Self {
        let mut fields = Fields(payload.get(1..).unwrap_or_default());
        let number = fields.array().map(u16::from_le_bytes).unwrap_or_default();
        // The SQLSTATE, which a server leaves out before it knows the client.
        if fields.0.first() == Some(&b'#') {
            fields.bytes(6);
        }
        Self { number, message: mask(&String::from_utf8_lossy(fields.0)).into_owned() }
    }
}

/// The refusal of a server that was asked for its RSA key: it has none, whatever it calls that.
pub(crate) fn no_key(refusal_of_key: &Refusal, login: &Login<'_>) -> LoginError {
    match refusal(refusal_of_key, login) {
        LoginError::Refused { .. } | LoginError::Other { .. } => LoginError::ReadablePassword {
            asked: "the password in cleartext, because it has no RSA key to encrypt it with",
            remedy: "Give the server an RSA key (caching_sha2_password_auto_generate_rsa_keys=ON or \
                sha256_password_auto_generate_rsa_keys=ON, and restart it). Or turn TLS on at the server, and remove \
                \"ssl\": false from the secret.",
        },
        other => other,
    }
}

/// Distinguishes the reasons by the server's [error number][mysql], which is also MariaDB's.
///
/// [mysql]: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
pub(crate) fn refusal(refusal: &Refusal, login: &Login<'_>) -> LoginError {
    let message = refusal.message.clone();
    let user = Literals::BackslashEscapes.quote(login.user);
    match refusal.number {
        1045 => LoginError::Refused { message },
        // The account has a plugin that takes no password (unix_socket, auth_socket).
        1698 => LoginError::Unsupported { message },
        // require_secure_transport
        3159 => LoginError::ClientRejected {
            message,
            remedy:
                "The server takes no connection without TLS: remove \"ssl\": false from the secret."
                    .into(),
        },
        3118 | 4151 => LoginError::Locked {
            message,
            remedy: administrator(&format!("ALTER USER {user}@'HOST' ACCOUNT UNLOCK")),
        },
        3955 | 3957 => LoginError::Locked {
            message,
            remedy: administrator(&format!(
                "ALTER USER {user}@'HOST' ACCOUNT UNLOCK (too many failed logins; or wait). If those are of applications \
                 with the password of AWSCURRENT: set that one in the same statement (IDENTIFIED BY), and the next attempt goes \
                 on from it"
            )),
        },
        4150 => LoginError::Locked {
            message,
            remedy: administrator(
                "FLUSH PRIVILEGES (max_password_errors was reached), or ALTER USER with a new password",
            ),
        },
        1820 | 1862 => LoginError::Expired {
            message,
            remedy: administrator(&format!(
                "ALTER USER {user}@'HOST' PASSWORD EXPIRE NEVER, with a new password"
            )),
        },
        1130 => LoginError::ClientRejected {
            message,
            remedy: administrator(&format!(
                "CREATE USER {user}@'ADDRESS-OF-THE-FUNCTION', with the privileges it needs"
            )),
        },
        1129 => LoginError::ClientRejected { message, remedy: administrator("FLUSH HOSTS") },
        1049 => LoginError::NoSuchDatabase { message },
        1044 => LoginError::DatabaseDenied {
            message,
            remedy: administrator(&format!(
                "GRANT SELECT ON `{}`.* TO {user}@'HOST'",
                login.database.unwrap_or("DATABASE")
            )),
        },
        1040 | 1203 | 1226 => LoginError::TooManyConnections { message },
        1053 | 1077 | 1080 | 1927 => LoginError::NotReady { message },
        1251 | 1524 => LoginError::Unsupported { message },
        number => LoginError::Other { code: format!("error {number}"), message },
    }
}
