//! Maps the errors of failed statements to [`EngineError`].

use rotation_database::{EngineError, LoginError, mask, privilege_remedy};
use sqlx::postgres::PgDatabaseError;

use crate::messages::Refusal;

/// Maps an error of the driver. `remedy` is the statement that a DBA runs if a privilege is
/// missing.
pub(crate) fn failure(error: &sqlx::Error, action: &str, remedy: Option<&str>) -> EngineError {
    let broken = |cause| EngineError::Disconnected { action: action.to_owned(), cause };
    match error {
        sqlx::Error::Database(error) => {
            refused(&Refusal::from(error.downcast_ref::<PgDatabaseError>()), action, remedy)
        }
        sqlx::Error::Io(error) => broken(LoginError::from_io(error)),
        other => broken(LoginError::from_any(other)),
    }
}

impl From<&PgDatabaseError> for Refusal {
    fn from(error: &PgDatabaseError) -> Self {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Self {
            code: error.code().to_owned(),
            message: error.message().to_owned(),
            detail: owned(error.detail()),
            hint: owned(error.hint()),
            schema: owned(error.schema()),
            routine: owned(error.routine()),
        }
    }
}

/// Maps an error of the server, as [`failure`] does for errors of the driver.
pub(crate) fn refused(refusal: &Refusal, action: &str, remedy: Option<&str>) -> EngineError {
    let action = action.to_owned();
    let words = [Some(&refusal.message), refusal.detail.as_ref(), refusal.hint.as_ref()];
    let words = words.into_iter().flatten().map(String::as_str).filter(|words| !words.is_empty());
    let message = words.collect::<Vec<_>>().join(": ");
    let message = mask(&message).into_owned();
    match refusal.code.as_str() {
        "42501" => {
            EngineError::PrivilegeMissing { action, message, remedy: privilege_remedy(remedy) }
        }
        // lock_timeout and statement_timeout.
        "55P03" | "57014" => EngineError::Busy { action, message },
        // Another session changed or created the same catalog row and has now ended its
        // transaction.
        "XX000" if refusal.message.starts_with("tuple concurrently ") => {
            EngineError::Conflict { action, message }
        }
        "23505" if refusal.schema.as_deref() == Some("pg_catalog") => {
            EngineError::Conflict { action, message }
        }
        "42710" | "40P01" => EngineError::Conflict { action, message },
        "25006" => EngineError::not_writable(message),
        "0A000" if refusal.message.contains("during recovery") => {
            EngineError::not_writable(message)
        }
        // transaction_timeout, idle_in_transaction_session_timeout and idle_session_timeout.
        "25P04" | "25P03" | "57P05" => EngineError::NeedsDecision {
            what: format!("the server ended the session before it could {action}: {message}"),
            remedy: "As an administrator of the database: find the timeout that ended the session \
                (SELECT * FROM pg_db_role_setting), and raise it: ALTER DATABASE … SET \
                idle_session_timeout = '30s', or transaction_timeout."
                .into(),
        },
        code => EngineError::Failed { action, code: format!("SQLSTATE {code}"), message },
    }
}

fn is_cleartext_required(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "not a plain text",
        "plaintext password",
        "plain text password",
        "encrypted password is not allowed",
    ]
    .iter()
    .any(|part| message.contains(part))
        || message.contains("encrypted password") && message.contains("allowed")
}

/// Maps the error of a statement that sets a password: a password check module (passwordcheck,
/// credcheck) may have rejected the password.
pub(crate) fn of_password(failure: EngineError) -> EngineError {
    match failure {
        // The module must see the cleartext password, such as credcheck or Neon's module.
        EngineError::Failed { message, .. } if is_cleartext_required(&message) => {
            EngineError::PasswordRejected {
                message,
                remedy: "The server has a module that rejects hashed passwords, and this function \
                sends a hash so that no log contains the password. Configure the module to accept \
                hashed passwords (credcheck.encrypted_password_allowed = on), or set \
                POSTGRES_PASSWORD_FORM=cleartext on the function, which sends the cleartext \
                password over verified TLS."
                    .into(),
            }
        }
        EngineError::Failed { code, message, .. }
            if ["SQLSTATE 22023", "SQLSTATE P0001"].contains(&code.as_str()) =>
        {
            EngineError::PasswordRejected {
                message,
                remedy:
                    "Adjust PASSWORD_LENGTH, EXCLUDE_CHARACTERS or the other password settings \
                    of the function to the server's rules (a rule that must see the cleartext \
                    password needs POSTGRES_PASSWORD_FORM=cleartext)."
                        .into(),
            }
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error type is `StatementFailed`. The password in the message is redacted.
    #[test]
    fn unknown_error_code_is_a_failed_statement() {
        let password = rotation_database::Password::new("pw-of-the-failed-statement");
        let refusal = Refusal {
            code: "53100".into(),
            message: format!("no space left for {}", password.expose()),
            ..Refusal::default()
        };
        assert_eq!(
            refused(&refusal, "set the password of app", None),
            EngineError::Failed {
                action: "set the password of app".into(),
                code: "SQLSTATE 53100".into(),
                message: "no space left for ****".into(),
            }
        );
    }

    #[test]
    fn module_that_needs_cleartext_is_named_in_remedy() {
        for (code, message) in [
            ("28000", "password type is not a plain text"),
            ("XX000", "password type is not a plain text"),
            ("0A000", "Only plaintext passwords are supported: plaintext password required"),
        ] {
            let refusal =
                Refusal { code: code.into(), message: message.into(), ..Refusal::default() };
            match of_password(refused(&refusal, "set the password of app", None)) {
                EngineError::PasswordRejected { remedy, .. } => {
                    assert!(remedy.contains("credcheck.encrypted_password_allowed"), "{remedy}");
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
