//! Statements that failed.

use rotation_database::{EngineError, mask};
use tiberius::error::Error;

use crate::login::broken;

/// "Password validation failed. The password cannot be used at this time": it is in the password
/// history.
pub(crate) const USED_BEFORE: u32 = 15115;

/// "Database … does not exist".
pub(crate) const NO_SUCH_DATABASE: u32 = 911;

/// Tells the failures of a statement apart by the server's [error number][errors]. `remedy` is what
/// an administrator does when a privilege is missing.
///
/// The server's words pass through the mask: error 102 quotes the statement.
///
/// [errors]: https://learn.microsoft.com/sql/relational-databases/errors-events/database-engine-events-and-errors
pub(crate) fn failure(error: &Error, doing: &str, remedy: &str) -> EngineError {
    let doing = doing.to_owned();
    let Error::Server(error) = error else {
        return EngineError::Disconnected { doing, cause: broken(error) };
    };
    let message = mask(error.message()).into_owned();
    match error.code() {
        // Denied on an object, a column, in a database, on the server; not a member; not found or
        // not permitted; no right to grant; not entered.
        229 | 230 | 262 | 297 | 300 | 916 | 4613 | 4619 | 15007 | 15151 | 15247 | 15406 => {
            EngineError::PrivilegeMissing { doing, message, remedy: remedy.to_owned() }
        }
        // LOCK_TIMEOUT, a deadlock.
        1205 | 1222 => EngineError::Busy { doing, message },
        15114 => EngineError::NeedsDecision {
            what: format!("the password was changed too short a time ago: {message}"),
            remedy: "Wait until the minimum password age of the server's Windows policy has passed: the rotation is repeated and goes \
                on from where it stands. Or rotate less often, lower that age, or ALTER LOGIN … WITH CHECK_POLICY = OFF."
                .into(),
        },
        USED_BEFORE..=15119 => EngineError::PasswordRejected {
            message,
            remedy: "Adjust PASSWORD_LENGTH, EXCLUDE_CHARACTERS or the other password settings of the function to the \
                server's Windows policy, or ALTER LOGIN … WITH CHECK_POLICY = OFF."
                .into(),
        },
        3906 | 978 | 976 => EngineError::NeedsDecision {
            what: format!("the database takes no changes, in an attempt to {doing}: {message}"),
            remedy: "Use the primary replica's address (the listener of the availability group) in \"host\", or set the database \
                READ_WRITE."
                .into(),
        },
        // It owns a schema, a role; it has granted something. It is the owner of what is granted.
        4624 | 15138 | 15284 | 15421 => EngineError::NeedsDecision {
            what: format!("what the alternate user owns or has granted is in the way, in an attempt to {doing}: {message}"),
            remedy: "In that database, give it to the base user or to a role: ALTER AUTHORIZATION ON SCHEMA::… TO …, ON ROLE::…; or \
                REVOKE … CASCADE."
                .into(),
        },
        15433 => EngineError::NeedsDecision {
            what: format!("there is a login with the SID of the second user, under another name: {message}"),
            remedy: "The base login or its second one was renamed. Drop the old second login, or give it its new name: ALTER LOGIN … \
                WITH NAME = …"
                .into(),
        },
        15010 => EngineError::NeedsDecision {
            what: format!("the base login's default database is gone, in an attempt to {doing}: {message}"),
            remedy: "ALTER LOGIN … WITH DEFAULT_DATABASE = one that is there, for the base login.".into(),
        },
        code => EngineError::Failed { doing, code: format!("error {code}"), message },
    }
}
