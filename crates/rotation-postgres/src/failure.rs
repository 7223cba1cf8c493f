//! Statements that failed.

use rotation_database::{EngineError, LoginError, mask};
use sqlx::postgres::PgDatabaseError;

/// Tells the failures of a statement apart. `remedy` is what an administrator runs when a privilege is missing.
pub(crate) fn failure(error: &sqlx::Error, doing: &str, remedy: &str) -> EngineError {
    let doing = doing.to_owned();
    let error = match error {
        sqlx::Error::Database(error) => error.downcast_ref::<PgDatabaseError>(),
        sqlx::Error::Io(error) => {
            return EngineError::Disconnected { doing, cause: LoginError::from_io(error) };
        }
        other => return EngineError::Disconnected { doing, cause: LoginError::from_any(other) },
    };
    let said =
        [Some(error.message()), error.detail(), error.hint()].into_iter().flatten().collect::<Vec<_>>();
    let said = mask(&said.join(": ")).into_owned();
    match error.code() {
        "42501" => EngineError::PrivilegeMissing { doing, said, remedy: remedy.to_owned() },
        // A lock_timeout, a statement_timeout.
        "55P03" | "57014" => EngineError::Busy { doing, said },
        // Another session had the row; once it has ended, the row is another one, or has been made.
        "XX000" if error.message().starts_with("tuple concurrently ") => {
            EngineError::Overtaken { doing, said }
        }
        "23505" if error.schema() == Some("pg_catalog") => EngineError::Overtaken { doing, said },
        "42710" | "40P01" => EngineError::Overtaken { doing, said },
        "25006" => EngineError::NeedsDecision {
            what: format!("the server takes no changes: {said}"),
            remedy: "Use the writer's endpoint in \"host\": this is a read replica, or a server in recovery."
                .into(),
        },
        code => EngineError::Failed { doing, code: format!("SQLSTATE {code}"), said },
    }
}

/// The same for a statement that sets a password, which password-check modules (passwordcheck, credcheck) may refuse.
pub(crate) fn password_failure(error: &sqlx::Error, doing: &str, remedy: &str) -> EngineError {
    match failure(error, doing, remedy) {
        EngineError::Failed { code, said, .. } if ["SQLSTATE 22023", "SQLSTATE P0001"].contains(&code.as_str()) => {
            EngineError::PasswordRejected {
                said,
                remedy: "Adjust PASSWORD_LENGTH, EXCLUDE_CHARACTERS or the other password settings of the function to \
                    the server's rules (a rule that must see the clear text cannot be met: the server gets a verifier)."
                    .into(),
            }
        }
        other => other,
    }
}
