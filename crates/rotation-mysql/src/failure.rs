//! Maps the errors of failed statements to [`EngineError`].

use rotation_database::{EngineError, LoginError, mask, privilege_remedy};
use sqlx::mysql::MySqlDatabaseError;

/// The [error numbers][errors] that decide how the function continues.
///
/// [errors]: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
pub(crate) mod number {
    /// The server rejects a login (`ER_ACCESS_DENIED_ERROR`).
    pub(crate) const ACCESS_DENIED: u16 = 1045;
    /// The server does not know the syntax (`ER_PARSE_ERROR`).
    pub(crate) const SYNTAX_ERROR: u16 = 1064;
    /// The object of a grant does not exist any more (`ER_BAD_FIELD_ERROR`, `ER_NO_SUCH_TABLE`,
    /// `ER_SP_DOES_NOT_EXIST`). Servers keep the grants on dropped tables.
    pub(crate) const OBJECT_NOT_FOUND: [u16; 3] = [1054, 1146, 1305];
    /// The password history rejects the password (`ER_CREDENTIALS_CONTRADICT_TO_HISTORY`).
    pub(crate) const USED_BEFORE: u16 = 3638;
    /// The password after `REPLACE` is not the primary password (`ER_INCORRECT_CURRENT_PASSWORD`).
    pub(crate) const NOT_THE_PRIMARY_PASSWORD: u16 = 3891;
    /// The account requires its current password for a change (`PASSWORD REQUIRE CURRENT`), and the
    /// statement does not have it (`ER_MISSING_CURRENT_PASSWORD`).
    pub(crate) const CURRENT_PASSWORD_REQUIRED: u16 = 3892;
}

/// Maps an error of the driver. `remedy` is the statement that a DBA runs if a privilege is
/// missing.
///
/// The server's message is redacted, because error 1064 quotes the statement.
pub(crate) fn failure(error: &sqlx::Error, action: &str, remedy: Option<&str>) -> EngineError {
    let action = action.to_owned();
    let error = match error {
        sqlx::Error::Database(error) => error.downcast_ref::<MySqlDatabaseError>(),
        sqlx::Error::Io(error) => {
            let own = error.get_ref().and_then(|inner| inner.downcast_ref::<LoginError>());
            let cause = own.cloned().unwrap_or_else(|| LoginError::from_io(error));
            return EngineError::Disconnected { action, cause };
        }
        other => return EngineError::Disconnected { action, cause: LoginError::from_any(other) },
    };
    let message = mask(error.message()).into_owned();
    match error.number() {
        // Access denied to a database, table, column, routine, GRANT or role.
        1044 | 1045 | 1142 | 1143 | 1227 | 1370 | 1410 | 1698 | 3530 | 3879 => {
            let remedy = remedy_for_message(&message, remedy);
            EngineError::PrivilegeMissing { action, message, remedy }
        }
        // lock_wait_timeout, and MariaDB's max_statement_time.
        1205 | 1969 => EngineError::Busy { action, message },
        1819 | number::USED_BEFORE => EngineError::PasswordRejected {
            message,
            remedy: "Adjust PASSWORD_LENGTH, EXCLUDE_CHARACTERS or the other password settings of \
                the function to the server's policy (SHOW VARIABLES LIKE 'validate_password%')."
                .into(),
        },
        1290 if message.contains("strict-password-validation")
            || message.contains("strict_password_validation") =>
        {
            EngineError::PasswordRejected {
                message,
                remedy: "The server accepts only cleartext passwords, which it would write to its \
                    log: SET GLOBAL strict_password_validation = OFF."
                    .into(),
            }
        }
        // The password has expired, and the server accepts the login in sandbox mode only.
        1820 => EngineError::AccountExpired {
            message,
            remedy:
                "As an administrator of the database: ALTER USER … PASSWORD EXPIRE NEVER, with \
                a new password, and store that password in the secret."
                    .into(),
        },
        1290 | 1836 | 3100 => EngineError::not_writable(message),
        number => EngineError::Failed { action, code: format!("error {number}"), message },
    }
}

/// Returns `remedy`, or another remedy if the server's message names a privilege that `remedy` does
/// not have.
fn remedy_for_message(message: &str, remedy: Option<&str>) -> String {
    let named = message
        .split_once("(at least one of) the ")
        .and_then(|(_, rest)| rest.split_once(" privilege"));
    match named {
        Some((named, _))
            if !named
                .split(" or ")
                .flat_map(|part| part.split(", "))
                .any(|name| remedy.is_some_and(|remedy| remedy.contains(name))) =>
        {
            format!(
                "As an administrator of the database: grant the privilege {named} to the user of \
                 this session."
            )
        }
        _ => privilege_remedy(remedy),
    }
}

/// Returns the error for a rejected login that answers the first statement of a session. A proxy
/// has accepted the password, and the server rejects the one with which the proxy logs in.
pub(crate) fn rejected_behind_proxy(error: &sqlx::Error) -> LoginError {
    let message = error
        .as_database_error()
        .map_or_else(String::new, |error| mask(error.message()).into_owned());
    LoginError::NotPermitted {
        message: format!("a proxy accepted the password, and the server did not: {message}"),
        remedy: "Set \"host\" to the endpoint of the server itself, in this secret and in the \
            master secret. The proxy logs in with its own copy of the password (ProxySQL: table \
            mysql_users), so set the password that the server has there as well."
            .into(),
    }
}

/// Returns the server's error number, or `None` if the error is not from the server.
pub(crate) fn number_of(error: &sqlx::Error) -> Option<u16> {
    match error {
        sqlx::Error::Database(error) => {
            error.try_downcast_ref::<MySqlDatabaseError>().map(MySqlDatabaseError::number)
        }
        _ => None,
    }
}
