//! Connects to a server and logs in.

use std::time::Duration;

use rotation_database::{APPLICATION, Login, LoginError, TlsUse, administrator, dial, mask};
use tiberius::error::{Error, TokenError};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::time::timeout;
use tokio_util::compat::TokioAsyncWriteCompatExt;

use crate::failure::broken;
use crate::prelogin::{Answer, RecordingStream};
use crate::quote::identifier;
use crate::redirect::{CONNECT_TIMEOUT, Redirect};
use crate::session::Session;

/// The timeout of one answer. The strategies limit the time of a whole login.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Logs in, and follows one redirect to another server.
///
/// The other server gets the password under the same TLS policy as the first one, and its
/// certificate must be for the name to which the first one has redirected. A second redirect is an
/// error: a gateway redirects to the server that has the database.
pub(crate) async fn log_in(login: &Login<'_>) -> Result<Session, LoginError> {
    let first = match log_in_at(login, None).await {
        Ok(session) => return Ok(session),
        Err(Failed { redirect: Some(first), .. }) => first,
        Err(failed) => return Err(failed.error),
    };
    match log_in_at(login, Some(&first)).await {
        Ok(session) => Ok(session),
        Err(Failed { redirect: Some(second), .. }) => Err(LoginError::RedirectedAgain {
            first: first.to_string(),
            second: second.to_string(),
        }),
        Err(failed) => Err(first.explain(failed.error)),
    }
}

/// Logs in to one server with at most one attempt that sends the password.
///
/// A server can be configured to accept only [TDS 8.0], in which TLS comes first. It closes the
/// connection of a client that starts with an older version of TDS. No password has been sent then,
/// so the client connects again with TDS 8.0.
///
/// [TDS 8.0]: https://learn.microsoft.com/sql/relational-databases/security/networking/tds-8
async fn log_in_at(login: &Login<'_>, redirect: Option<&Redirect>) -> Result<Session, Failed> {
    match login.tls {
        TlsUse::Off => connect(login, redirect, EncryptionLevel::NotSupported).await,
        TlsUse::Verified => match connect(login, redirect, EncryptionLevel::Required).await {
            Err(Failed { closed_without_answer: true, .. }) => {
                connect(login, redirect, EncryptionLevel::Strict).await
            }
            result => result,
        },
        TlsUse::NotOffered => Err(NO_TLS.into()),
    }
}

/// The error for a server without TLS. TDS itself does not encrypt a password, but only obfuscates
/// it.
const NO_TLS: LoginError = LoginError::TlsNotOffered { keeps_password: false };

/// The failure of a login attempt.
struct Failed {
    error: LoginError,
    /// `true` if the server closed the connection without an answer. No password has been sent
    /// then.
    closed_without_answer: bool,
    /// The other server to which this one redirects its clients.
    redirect: Option<Redirect>,
}

impl From<LoginError> for Failed {
    fn from(error: LoginError) -> Self {
        Self { error, closed_without_answer: false, redirect: None }
    }
}

async fn connect(
    login: &Login<'_>,
    redirect: Option<&Redirect>,
    encryption: EncryptionLevel,
) -> Result<Session, Failed> {
    let (host, port) = match redirect {
        Some(redirect) => (redirect.host.as_str(), redirect.port),
        None => (login.host, login.port),
    };
    let mut config = Config::new();
    config.host(host);
    config.port(port);
    if let Some(instance) = redirect.and_then(|redirect| redirect.instance.as_ref()) {
        config.instance_name(instance);
    }
    config.application_name(APPLICATION);
    config.authentication(AuthMethod::sql_server(login.user, login.password.expose()));
    config.encryption(encryption);
    config.trust_cert_ca_bundle(login.authorities.pem().as_bytes());
    config.handshake_timeout(None);
    config.command_timeout(Some(COMMAND_TIMEOUT));
    if let Some(database) = login.database {
        config.database(database);
    }
    let stream = match redirect {
        Some(_) => {
            let seconds = CONNECT_TIMEOUT.as_secs();
            let late = |_| LoginError::ConnectTimeout { seconds };
            timeout(CONNECT_TIMEOUT, dial(host, port)).await.map_err(late)??
        }
        None => dial(host, port).await?,
    };
    let (stream, heard) = RecordingStream::to(stream);
    // On the heap: the driver's login is a large state machine.
    match Box::pin(Client::connect(config, stream.compat_write())).await {
        Ok(client) => Ok(Session::new(client)),
        Err(error) => {
            let answer = heard.answer();
            let closed_without_answer =
                matches!(error, Error::Io { .. }) && answer == Answer::Nothing;
            let redirect = match &error {
                Error::Routing { host, port } => Some(Redirect::to(host, *port)),
                _ => None,
            };
            Err(Failed { error: failure(&error, login, answer), closed_without_answer, redirect })
        }
    }
}

fn failure(error: &Error, login: &Login<'_>, answer: Answer) -> LoginError {
    match (error, answer) {
        (Error::Server(error), _) => refusal(error, login),
        (_, Answer::None) if login.tls == TlsUse::Verified => NO_TLS,
        // The client has declared that it does not support encryption, but the server requires it.
        (_, Answer::RequiredKeys | Answer::Encrypts) if login.tls == TlsUse::Off => {
            LoginError::ClientRejected {
                message: "it requires TLS".into(),
                remedy: "Remove \"ssl\": false from the secret.".into(),
            }
        }
        (Error::Io { .. }, Answer::Nothing) => LoginError::Network {
            message: "the server closed the connection without an answer".into(),
        },
        (error, _) => broken(error),
    }
}

/// Maps an error of the server during login by its [error number][errors].
///
/// [errors]: https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
fn refusal(error: &TokenError, login: &Login<'_>) -> LoginError {
    let message = mask(error.message()).into_owned();
    let user = identifier(login.user);
    let new_password = || {
        administrator(&format!(
            "ALTER LOGIN {user} WITH PASSWORD = 'a password you know' (this function cannot change \
             it, because it cannot log in), and store it in the secret. To prevent this, set \
             CHECK_EXPIRATION = OFF: a rotated password does not need to expire"
        ))
    };
    match error.code() {
        18456 => LoginError::Refused { message },
        18486 | 15113 => LoginError::Locked {
            message,
            remedy: administrator(&format!(
                "ALTER LOGIN {user} WITH PASSWORD = 'the password of the secret' UNLOCK, and find \
                 out which client uses a wrong password (the server's error log has its address)"
            )),
        },
        18487 | 18488 => LoginError::Expired { message, remedy: new_password() },
        18470 => LoginError::NotPermitted {
            message,
            remedy: administrator(&format!("ALTER LOGIN {user} ENABLE")),
        },
        // The server accepts only Windows logins, or this is a Windows login.
        18450 | 18452 => LoginError::Unsupported { message },
        4060 => LoginError::DatabaseDenied {
            message,
            remedy: format!(
                "The server gives the same answer for a database that does not exist, that is \
                 offline, and that the user may not enter. Correct \"dbname\" in the secret, or as \
                 an administrator of the database: USE {}; CREATE USER {user} FOR LOGIN {user}.",
                identifier(login.database.unwrap_or("DATABASE"))
            ),
        },
        916 | 4064 => LoginError::DatabaseDenied {
            message,
            remedy: administrator(&format!(
                "ALTER LOGIN {user} WITH DEFAULT_DATABASE = a database that it may enter. Or set \
                 \"dbname\" in the secret to one"
            )),
        },
        // A logon trigger.
        17892 => LoginError::ClientRejected {
            message,
            remedy: "Change the server's logon trigger so that it accepts this user from the \
                function's address (program_name is secrets-rotation)."
                .into(),
        },
        40615 => LoginError::ClientRejected {
            message,
            remedy: administrator("allow the function's address in the server's firewall"),
        },
        10928 | 10929 | 17809 => LoginError::TooManyConnections { message },
        // The server or the database is starting, stopping, paused, upgrading, in single-user mode
        // or failing over.
        921 | 922 | 924 | 927 | 976 | 978 | 983 | 17142 | 17147 | 17148 | 17187 | 17188 | 18401
        | 18451 | 18461 | 40613 => LoginError::NotReady { message },
        code => LoginError::Other { code: format!("error {code}"), message },
    }
}
