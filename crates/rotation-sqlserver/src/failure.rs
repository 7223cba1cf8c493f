//! Maps the errors of failed statements to [`EngineError`].

use std::io;

use rotation_database::{EngineError, LoginError, mask, privilege_remedy};
use tiberius::error::Error;

/// The password is in the password history ("Password validation failed. The password cannot be
/// used at this time").
pub(crate) const USED_BEFORE: u32 = 15115;

/// The database does not exist ("Database … does not exist").
pub(crate) const NO_SUCH_DATABASE: u32 = 911;

/// Maps an error of the driver by the server's [error number][errors]. `remedy` is for the DBA, if
/// a permission is missing.
///
/// The server's message is redacted, because error 102 quotes the statement.
///
/// [errors]: https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
pub(crate) fn failure(error: &Error, action: &str, remedy: Option<&str>) -> EngineError {
    let action = action.to_owned();
    let Error::Server(error) = error else {
        return EngineError::Disconnected { action, cause: broken(error) };
    };
    let message = mask(error.message()).into_owned();
    match error.code() {
        // A permission on an object or column, in a database or on the server is denied; the user
        // is not a member of a role; the object is not found or not visible; the user may not
        // grant; the user may not enter the database.
        229 | 230 | 262 | 297 | 300 | 916 | 4613 | 4619 | 15007 | 15151 | 15247 | 15406 => {
            EngineError::PrivilegeMissing { action, message, remedy: privilege_remedy(remedy) }
        }
        // A deadlock, and LOCK_TIMEOUT.
        1205 | 1222 => EngineError::Busy { action, message },
        15114 => EngineError::NeedsDecision {
            what: format!("the last password change was too recent: {message}"),
            remedy: "Wait until the minimum password age of the server's Windows policy has \
                passed: Secrets Manager retries the rotation, which continues from its current \
                state. Or rotate less often, lower that age, or ALTER LOGIN … WITH CHECK_POLICY = \
                OFF."
                .into(),
        },
        USED_BEFORE..=15119 => EngineError::PasswordRejected {
            message,
            remedy: "Adjust PASSWORD_LENGTH, EXCLUDE_CHARACTERS or the other password settings of \
                the function to the server's Windows policy. Or, for a login, ALTER LOGIN … WITH \
                CHECK_POLICY = OFF."
                .into(),
        },
        3906 | 978 | 976 => EngineError::NeedsDecision {
            what: format!("could not {action}, because the database accepts no changes: {message}"),
            remedy: "Use the address of the primary replica (the listener of the availability \
                group) in \"host\", or set the database READ_WRITE."
                .into(),
        },
        // The user owns a schema or a role, has granted a permission, or owns the object that is
        // granted.
        4624 | 15138 | 15284 | 15421 => EngineError::NeedsDecision {
            what: format!(
                "could not {action}, because of what the alternate user owns or has granted: \
                 {message}"
            ),
            remedy: "In that database, give it to the base user or to a role: ALTER AUTHORIZATION \
                ON SCHEMA::… TO …, ON ROLE::…; or REVOKE … CASCADE."
                .into(),
        },
        15433 => EngineError::NeedsDecision {
            what: format!(
                "there is a login with the SID of the alternate user, under another name: {message}"
            ),
            remedy: "The base login or its alternate login was renamed. Drop the old alternate \
                login, or give it its new name: ALTER LOGIN … WITH NAME = …"
                .into(),
        },
        15010 => EngineError::NeedsDecision {
            what: format!(
                "could not {action}, because the base login's default database does not exist: \
                 {message}"
            ),
            remedy: "Set the default database of the base login to one that exists: ALTER LOGIN … \
                WITH DEFAULT_DATABASE = …"
                .into(),
        },
        code => EngineError::Failed { action, code: format!("error {code}"), message },
    }
}

/// Maps a failure of the connection, during the login or later.
pub(crate) fn broken(error: &Error) -> LoginError {
    match error {
        Error::Io { kind, message } => LoginError::from_io(&io::Error::new(*kind, message.clone())),
        Error::Tls(text) => certificate(text),
        other => LoginError::protocol(other.to_string()),
    }
}

/// Maps a TLS error of the driver. The driver reports it only as text, and adds advice to the text
/// of the TLS library. That advice would turn off the verification of certificates, so it is
/// removed.
fn certificate(text: &str) -> LoginError {
    const BEFORE: &str = "certificate was rejected during the TLS handshake: ";
    let Some((_, rest)) = text.split_once(BEFORE) else {
        return LoginError::Tls { message: mask(text).into_owned() };
    };
    let words = rest.split(". To connect anyway").next().unwrap_or(rest);
    let words = words.split(". The SQL Server presented").next().unwrap_or(words);
    LoginError::from_certificate_message(words)
}
