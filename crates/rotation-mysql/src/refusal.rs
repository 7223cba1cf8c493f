//! Maps the errors of a server during login to [`LoginError`].

use rotation_database::{Login, LoginError, administrator, mask};

use crate::packet::Fields;
use crate::quote::Literals;

/// An error from the server ([`ERR_Packet`][err]).
///
/// [err]: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_err_packet.html
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) number: u16,
    /// The server's message, redacted.
    pub(crate) message: String,
}

impl Refusal {
    /// Parses a payload that begins with [`crate::packet::ERROR`].
    pub(crate) fn parse(payload: &[u8]) -> Self {
        let mut fields = Fields(payload.get(1..).unwrap_or_default());
        let number = fields.array().map(u16::from_le_bytes).unwrap_or_default();
        // Skip the SQLSTATE, which a server leaves out before it knows the client.
        if fields.0.first() == Some(&b'#') {
            fields.bytes(6);
        }
        Self { number, message: mask(&String::from_utf8_lossy(fields.0)).into_owned() }
    }
}

/// Maps an error that answers the request for the server's RSA key. The server has no key, and does
/// not report that with a specific error.
pub(crate) fn map_key_request_error(refusal_of_key: &Refusal, login: &Login<'_>) -> LoginError {
    match refusal(refusal_of_key, login) {
        LoginError::Refused { .. } | LoginError::Other { .. } => {
            LoginError::CleartextPasswordRequested {
                asked: "the cleartext password, because it has no RSA key to encrypt it with",
                remedy: "Give the server an RSA key \
                (caching_sha2_password_auto_generate_rsa_keys=ON or \
                sha256_password_auto_generate_rsa_keys=ON, and restart it). Or turn TLS on at the \
                server, and remove \"ssl\": false from the secret.",
            }
        }
        other => other,
    }
}

/// Maps an error of the server during login by its [error number][mysql]. MariaDB uses the same
/// numbers.
///
/// [mysql]: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
pub(crate) fn refusal(refusal: &Refusal, login: &Login<'_>) -> LoginError {
    let message = refusal.message.clone();
    let user = Literals::BackslashEscapes.quote(login.user);
    match refusal.number {
        1045 => LoginError::Refused { message },
        // The account has a plugin that does not accept a password (unix_socket, auth_socket).
        1698 => LoginError::Unsupported { message },
        // require_secure_transport
        3159 => LoginError::ClientRejected {
            message,
            remedy: "The server requires TLS: remove \"ssl\": false from the secret.".into(),
        },
        3118 | 4151 => LoginError::Locked {
            message,
            remedy: administrator(&format!("ALTER USER {user}@'HOST' ACCOUNT UNLOCK")),
        },
        3955 | 3957 => LoginError::Locked {
            message,
            remedy: administrator(&format!(
                "ALTER USER {user}@'HOST' ACCOUNT UNLOCK (after too many failed logins), or wait. \
                 If applications cannot log in with the password of AWSCURRENT, set that password \
                 in the same statement (IDENTIFIED BY), and the next attempt continues from there"
            )),
        },
        4150 => LoginError::Locked {
            message,
            remedy: administrator(
                "FLUSH PRIVILEGES (after max_password_errors failed logins), or ALTER USER with a \
                 new password",
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
