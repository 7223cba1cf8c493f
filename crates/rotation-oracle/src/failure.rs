//! Maps the errors of the driver to [`LoginError`] and [`EngineError`].

use oracledb::{Error, ErrorKind};
use rotation_database::{EngineError, Login, LoginError, administrator, mask, privilege_remedy};

use crate::decision::decision;
use crate::driver::{CALL_TIMEOUT, DriverError};
use crate::name::Name;
use crate::release::too_old_for_driver;

/// ORA-28007: the password is in the password history.
pub(crate) const USED_BEFORE: usize = 28007;

/// ORA-01918: the user does not exist.
pub(crate) const NO_SUCH_USER: usize = 1918;

const ENCRYPTION: &str = "The server may demand native network encryption, which this function \
    does not support. If so, set SQLNET.ENCRYPTION_SERVER=ACCEPTED (and \
    SQLNET.CRYPTO_CHECKSUM_SERVER=ACCEPTED) in the server's sqlnet.ora, or configure the server to \
    listen on TCPS and set \"port\" in the secret to that port.";

/// Returns `true` if the listener knows no service or SID with this name.
pub(crate) fn is_unknown_service(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::InvalidServiceName(..) | ErrorKind::InvalidSid(..) => true,
        ErrorKind::ListenerRefusedConnection(_, _, _, number) => [12505, 12514].contains(number),
        _ => false,
    }
}

/// Returns `true` if the connection itself failed, and not TLS or a message over the connection.
pub(crate) fn is_connection_error(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::StreamOperation) && tls(&error.to_string()).is_none()
}

/// Maps the failure of a driver call during a login.
pub(crate) fn error(error: &DriverError, login: &Login<'_>) -> LoginError {
    match error {
        DriverError::Refused(cause) => cause.clone(),
        DriverError::Panic(words) => panicked(words),
        DriverError::Ended(why) => LoginError::Network { message: (*why).to_owned() },
        DriverError::Error(error) => map_login_error(error, login),
    }
}

/// Maps an error of the driver during a login.
pub(crate) fn map_login_error(error: &Error, login: &Login<'_>) -> LoginError {
    let words = error.to_string();
    let message = mask(&words).into_owned();
    match error.kind() {
        ErrorKind::DbError(error) => refusal(error.code(), message, login),
        ErrorKind::InvalidServiceName(..) | ErrorKind::InvalidSid(..) => {
            LoginError::NoSuchDatabase { message }
        }
        ErrorKind::ListenerRefusedConnection(_, _, _, number) => refusal(*number, message, login),
        ErrorKind::ServerVersionNotSupported => too_old_for_driver(),
        _ => broken(error),
    }
}

/// Returns the TLS error in an error message. The driver reports a TLS error only as the text of
/// rustls.
fn tls(words: &str) -> Option<LoginError> {
    if let Some((_, certificate)) = words.split_once("invalid peer certificate: ") {
        return Some(LoginError::from_certificate_message(certificate));
    }
    let is_tls = [
        "received corrupt message",
        "received fatal alert",
        "peer is incompatible",
        "peer misbehaved",
        "tls handshake",
    ];
    is_tls
        .iter()
        .any(|part| words.contains(part))
        .then(|| LoginError::Tls { message: mask(words).into_owned() })
}

/// Maps a failure of the connection, during the login or later.
fn broken(error: &Error) -> LoginError {
    let words = error.to_string();
    let message = mask(&words).into_owned();
    match (tls(&words), error.kind()) {
        (Some(tls), _) => tls,
        (
            None,
            ErrorKind::DeadConnection | ErrorKind::StreamOperation | ErrorKind::NotConnected,
        ) => LoginError::Network { message },
        (None, ErrorKind::CallTimeoutExceeded) => {
            LoginError::Silent { seconds: CALL_TIMEOUT.as_secs() }
        }
        _ => LoginError::protocol(message),
    }
}

/// Maps a panic of the driver during a login. The driver panics if a server demands something that
/// it does not support.
pub(crate) fn panicked(words: &str) -> LoginError {
    if words.contains("InvalidDnsName") {
        return LoginError::TlsWrongName {
            message: "no certificate can have a name like the one in \"host\"".into(),
        };
    }
    if words.contains("not yet implemented") || words.contains("not implemented") {
        LoginError::ClientRejected {
            message: "the server demands native network encryption, or is not an Oracle listener"
                .into(),
            remedy: ENCRYPTION.into(),
        }
    } else {
        LoginError::ClientRejected {
            message: format!("the driver panicked: {}", mask(words)),
            remedy:
                "The most likely cause is a password verifier that this function does not support. \
                Give the account a 12C verifier (SELECT username, password_versions FROM \
                SYS.DBA_USERS; then set its password again)."
                    .into(),
        }
    }
}

/// Maps an error of the server or the listener during a login by its [error number][errors].
///
/// [errors]: https://docs.oracle.com/en/error-help/db/
fn refusal(number: usize, message: String, login: &Login<'_>) -> LoginError {
    let user =
        Name::written(login.user).map_or_else(|| login.user.to_owned(), |name| name.to_string());
    match number {
        1017 | 1005 => LoginError::Refused { message },
        28000 => LoginError::Locked {
            message,
            remedy: administrator(&format!(
                "ALTER USER {user} ACCOUNT UNLOCK, and find out which client uses a wrong password \
                 (FAILED_LOGIN_ATTEMPTS of the user's profile). If applications cannot log in with \
                 the password of AWSCURRENT, set that password in the same statement (IDENTIFIED \
                 BY), and the next attempt continues from there"
            )),
        },
        28001 => LoginError::Expired {
            message,
            remedy: administrator(&format!(
                "ALTER USER {user} IDENTIFIED BY a password, and store that password in the \
                 secret. To prevent this, give the user a profile with PASSWORD_LIFE_TIME \
                 UNLIMITED: a rotated password does not need to expire"
            )),
        },
        1045 => LoginError::NotPermitted {
            message,
            remedy: administrator(&format!("GRANT CREATE SESSION TO {user}")),
        },
        28009 => LoginError::NotPermitted { message, remedy: "Use a user that is not SYS.".into() },
        12505 | 12514 => LoginError::NoSuchDatabase { message },
        18 | 20 | 2391 | 12516 | 12518 | 12519 | 12520 => {
            LoginError::TooManyConnections { message }
        }
        1033 | 1034 | 1035 | 1089 | 1090 | 1109 | 3135 | 12526 | 12527 | 12528 | 27101 => {
            LoginError::NotReady { message }
        }
        12660 | 12650 | 12537 => LoginError::ClientRejected { message, remedy: ENCRYPTION.into() },
        28040 | 28041 => LoginError::Unsupported { message },
        number => LoginError::Other { code: format!("ORA-{number:05}"), message },
    }
}

/// Maps the failure of a statement. `remedy` is for the DBA, if a privilege is missing.
pub(crate) fn statement(error: &DriverError, action: &str, remedy: Option<&str>) -> EngineError {
    let action = action.to_owned();
    let error = match error {
        DriverError::Error(error) => error,
        DriverError::Refused(cause) => {
            return EngineError::Disconnected { action, cause: cause.clone() };
        }
        DriverError::Panic(words) => {
            let message = format!("the driver panicked: {}", mask(words));
            return EngineError::Disconnected { action, cause: LoginError::Network { message } };
        }
        DriverError::Ended(why) => {
            let message = (*why).to_owned();
            return EngineError::Disconnected { action, cause: LoginError::Network { message } };
        }
    };
    let error = match error.kind() {
        ErrorKind::DbError(error) => error,
        ErrorKind::CallTimeoutExceeded => {
            return EngineError::Busy {
                action,
                message: format!("no answer for {} s", CALL_TIMEOUT.as_secs()),
            };
        }
        _ => return EngineError::Disconnected { action, cause: broken(error) },
    };
    let message = mask(error.message()).into_owned();
    if let Some((why, remedy)) = decision(error.code()) {
        return EngineError::NeedsDecision {
            what: format!("could not {action}, because {why}: {message}"),
            remedy: remedy.into(),
        };
    }
    match error.code() {
        // No privilege, an object that the user may not see, or no admin or grant option.
        942 | 1031 | 1720 | 1929 | 1932 | 4042 | 41900 => {
            EngineError::PrivilegeMissing { action, message, remedy: privilege_remedy(remedy) }
        }
        // A lock, or concurrent DDL.
        54 | 60 | 4021 | 30006 => EngineError::Busy { action, message },
        28003 | USED_BEFORE | 28218 | 28219 | 988 => EngineError::PasswordRejected {
            message,
            remedy: "Adjust PASSWORD_LENGTH, EXCLUDE_CHARACTERS or the other password settings of \
                the function to the profile's PASSWORD_VERIFY_FUNCTION and reuse limits (SELECT * \
                FROM SYS.DBA_PROFILES)."
                .into(),
        },
        16000 | 1456 => EngineError::not_writable(message),
        code => {
            let code = format!("ORA-{code:05}");
            // The message usually starts with the code.
            let rest = message.strip_prefix(&code).and_then(|rest| rest.strip_prefix(": "));
            let message = rest.unwrap_or(&message).to_owned();
            EngineError::Failed { action, code, message }
        }
    }
}

/// Returns the number of the server's error, or `None` if the error is not from the server.
pub(crate) fn number_of(error: &DriverError) -> Option<usize> {
    match error {
        DriverError::Error(error) => match error.kind() {
            ErrorKind::DbError(error) => Some(error.code()),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The texts are those of the driver's panics.
    #[test]
    fn driver_panics_are_mapped_to_errors() {
        let demanded = panicked("not yet implemented");
        assert!(matches!(
            &demanded,
            LoginError::ClientRejected { remedy, .. } if remedy.contains("ENCRYPTION_SERVER")
        ));
        let verifier = panicked("called `Option::unwrap()` on a `None` value");
        assert!(matches!(
            &verifier,
            LoginError::ClientRejected { remedy, .. } if remedy.contains("12C verifier")
        ));
        let name = panicked("called `Result::unwrap()` on an `Err` value: InvalidDnsNameError");
        assert!(matches!(name, LoginError::TlsWrongName { .. }));
    }
}
