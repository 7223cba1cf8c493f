//! Statements that failed.

use rotation_database::{EngineError, LoginError, mask};
use sqlx::mysql::MySqlDatabaseError;

/// Tells the failures of a statement apart. `remedy` is what an administrator runs when a privilege is missing.
///
/// The server's words pass through the mask: error 1064 quotes the statement.
pub(crate) fn failure(error: &sqlx::Error, doing: &str, remedy: &str) -> EngineError {
    let doing = doing.to_owned();
    let error = match error {
        sqlx::Error::Database(error) => error.downcast_ref::<MySqlDatabaseError>(),
        sqlx::Error::Io(error) => {
            return EngineError::Disconnected { doing, cause: LoginError::from_io(error) };
        }
        other => return EngineError::Disconnected { doing, cause: LoginError::from_any(other) },
    };
    let said = mask(error.message()).into_owned();
    match error.number() {
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1410 | 1698 | 1699 | 3530 | 3619 | 3879 => {
            EngineError::PrivilegeMissing { doing, said, remedy: remedy.to_owned() }
        }
        1819 => EngineError::PasswordRejected {
            said,
            remedy: "Adjust PASSWORD_LENGTH, EXCLUDE_CHARACTERS or the other password settings of the function to the \
                server's policy (SHOW VARIABLES LIKE 'validate_password%')."
                .into(),
        },
        // The sandbox of an expired password, where a server lets one log in.
        1820 => EngineError::AccountExpired {
            said,
            remedy: "As an administrator of the database: ALTER USER … PASSWORD EXPIRE NEVER, with a new password, and \
                store that password in the secret."
                .into(),
        },
        3638 => EngineError::PasswordRejected {
            said,
            remedy: "The password was used before: start another rotation, which makes another password.".into(),
        },
        1290 if said.contains("strict-password-validation") || said.contains("strict_password_validation") => {
            EngineError::PasswordRejected {
                said,
                remedy: "The server checks passwords in clear text only, and they would stand in its log: \
                    SET GLOBAL strict_password_validation = OFF."
                    .into(),
            }
        }
        1290 | 1836 | 3100 => EngineError::NeedsDecision {
            what: format!("the server takes no changes: {said}"),
            remedy: "Use the writer's endpoint in \"host\": this is a read replica, or the server is read-only.".into(),
        },
        number => EngineError::Failed { doing, code: format!("error {number}"), said },
    }
}

/// The server's error number, when the server has answered.
pub(crate) fn number(error: &sqlx::Error) -> Option<u16> {
    match error {
        sqlx::Error::Database(error) => {
            error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
        }
        _ => None,
    }
}
