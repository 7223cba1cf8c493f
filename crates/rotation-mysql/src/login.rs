//! Logging in.

use rotation_database::{Login, LoginError, TlsUse, Wire, administrator, dial, mask};
use sqlx::ConnectOptions;
use sqlx::mysql::{MySqlConnectOptions, MySqlDatabaseError, MySqlSslMode};

use crate::quote::Literals;
use crate::session::Session;
use crate::watch::LoginWatch;

const USE_TLS: &str = "Turn TLS on at the server, and set \"ssl\": true in the secret.";

/// One attempt.
pub(crate) async fn log_in(login: &Login<'_>, is_mariadb: bool) -> Result<Session, LoginError> {
    let mut options = MySqlConnectOptions::new()
        .host(login.host)
        .port(login.port)
        .username(login.user)
        .password(login.password.expose())
        // No statement of the driver's own at the start: the handshake has set the character set.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .set_names(false)
        .timezone(None)
        .statement_cache_capacity(0)
        .disable_statement_logging();
    if let Some(database) = login.database {
        options = options.database(database);
    }
    options = match login.tls {
        TlsUse::Verified => options
            .ssl_mode(MySqlSslMode::VerifyIdentity)
            .ssl_ca_from_pem(login.authorities.pem().as_bytes().to_vec()),
        TlsUse::Off | TlsUse::NotOffered => options.ssl_mode(MySqlSslMode::Disabled),
    };
    // Whatever the secret says: no account that can be rotated logs in readably, and the driver answers a greeting
    // that asks for it at once.
    let watch = (login.tls != TlsUse::Verified).then(|| Box::<LoginWatch>::default() as _);
    let stream = dial(login.host, login.port).await?;
    let wire = Wire::offer(stream, "mysql", watch)?;
    match options.socket(wire.folder().join("mysql")).connect().await {
        Ok(connection) => Ok(Session::new(connection, is_mariadb)),
        Err(error) => match wire.refused() {
            Some(asked) => Err(LoginError::ReadablePassword { asked, remedy: USE_TLS }),
            None => Err(failure(&error, login)),
        },
    }
}

fn failure(error: &sqlx::Error, login: &Login<'_>) -> LoginError {
    let said = |text: &str| mask(text).into_owned();
    match error {
        sqlx::Error::Database(error) => refusal(error.downcast_ref(), login),
        // The one text that sqlx has for a greeting without CLIENT_SSL.
        sqlx::Error::Tls(error) if error.to_string().contains("does not support TLS") => {
            LoginError::TlsNotOffered { keeps_password: true }
        }
        sqlx::Error::Tls(error) => LoginError::from_any(&**error),
        sqlx::Error::Io(error) => LoginError::from_io(error),
        // Full authentication without TLS: the password under an RSA key that nobody vouches for.
        sqlx::Error::Configuration(error) if error.to_string().contains("RSA") => {
            LoginError::ReadablePassword {
                asked: "the password under a key of its own (caching_sha2_password with an empty cache, or \
                    sha256_password), and anybody could hand out such a key",
                remedy: USE_TLS,
            }
        }
        sqlx::Error::Protocol(text) if text.contains("plugin") => {
            LoginError::Unsupported { said: said(text) }
        }
        sqlx::Error::Configuration(error) => LoginError::Unsupported { said: said(&error.to_string()) },
        other => LoginError::from_any(other),
    }
}

/// Tells refusals apart by the server's [error number][mysql], which is also MariaDB's.
///
/// [mysql]: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
fn refusal(error: &MySqlDatabaseError, login: &Login<'_>) -> LoginError {
    let said = mask(error.message()).into_owned();
    let user = Literals::BackslashEscapes.quote(login.user);
    match error.number() {
        1045 => LoginError::Refused { said },
        // The account has a plugin that takes no password (unix_socket, auth_socket).
        1698 => LoginError::Unsupported { said },
        // require_secure_transport
        3159 => LoginError::ClientRejected {
            said,
            remedy: "The server takes no connection without TLS: remove \"ssl\": false from the secret."
                .into(),
        },
        3118 | 4151 => LoginError::Locked {
            said,
            remedy: administrator(&format!("ALTER USER {user}@'HOST' ACCOUNT UNLOCK")),
        },
        3955 | 3957 => LoginError::Locked {
            said,
            remedy: administrator(&format!(
                "ALTER USER {user}@'HOST' ACCOUNT UNLOCK (too many failed logins; or wait). If those are of applications \
                 with the password of AWSCURRENT: set that one in the same statement (IDENTIFIED BY), and the next attempt goes \
                 on from it"
            )),
        },
        4150 => LoginError::Locked {
            said,
            remedy: administrator(
                "FLUSH PRIVILEGES (max_password_errors was reached), or ALTER USER with a new password",
            ),
        },
        1820 | 1862 => LoginError::Expired {
            said,
            remedy: administrator(&format!(
                "ALTER USER {user}@'HOST' PASSWORD EXPIRE NEVER, with a new password"
            )),
        },
        1130 => LoginError::ClientRejected {
            said,
            remedy: administrator(&format!(
                "CREATE USER {user}@'ADDRESS-OF-THE-FUNCTION', with the privileges it needs"
            )),
        },
        1129 => LoginError::ClientRejected { said, remedy: administrator("FLUSH HOSTS") },
        1049 => LoginError::NoSuchDatabase { said },
        1044 => LoginError::DatabaseDenied {
            said,
            remedy: administrator(&format!(
                "GRANT SELECT ON `{}`.* TO {user}@'HOST'",
                login.database.unwrap_or("DATABASE")
            )),
        },
        1040 | 1203 | 1226 => LoginError::TooManyConnections { said },
        1053 | 1077 | 1080 | 1927 => LoginError::NotReady { said },
        1251 | 1524 => LoginError::Unsupported { said },
        number => LoginError::Other { code: format!("error {number}"), said },
    }
}
