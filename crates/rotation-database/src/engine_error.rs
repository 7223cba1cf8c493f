//! The errors of statements after a successful login.

use rotation::operator::{give_up, read_pending, rotate_again, secret_file, store};

use crate::login_error::LoginError;

const ADMINISTRATOR: &str = "As an administrator of the database: ";

/// Returns the remedy that tells an administrator of the database to do `what`.
pub fn administrator(what: &str) -> String {
    format!("{ADMINISTRATOR}{what}.")
}

/// Returns the remedy for a denied statement: the one that is known, or a general one for a
/// statement that every user may normally run.
pub fn privilege_remedy(known: Option<&str>) -> String {
    known.map_or_else(
        || administrator("grant the user of the session the privilege that the message names"),
        str::to_owned,
    )
}

/// Joins several remedies into one. Drops duplicates, and collects the statements for
/// administrators in one list.
pub(crate) fn join_remedies<'a>(remedies: impl IntoIterator<Item = &'a str>) -> String {
    let mut statements: Vec<&str> = Vec::new();
    let mut others: Vec<&str> = Vec::new();
    for remedy in remedies {
        let statement = remedy.strip_prefix(ADMINISTRATOR).and_then(|rest| rest.strip_suffix('.'));
        let (list, text) = match statement {
            Some(statement) => (&mut statements, statement),
            None => (&mut others, remedy),
        };
        if !list.contains(&text) {
            list.push(text);
        }
    }
    let joined = (!statements.is_empty()).then(|| administrator(&statements.join("; ")));
    joined.into_iter().chain(others.into_iter().map(str::to_owned)).collect::<Vec<_>>().join(" ")
}

/// Returns a remedy that edits the secret, with instructions for the case that a version is
/// pending, because the pending version does not contain the edit.
///
/// The database may already have the pending password, and no version of the edited secret would
/// contain it. The operator therefore has to keep that password, and to store the password that
/// logs in.
pub fn edit_of_secret(remedy: &str) -> String {
    if secret_file().is_some() {
        return format!(
            "{remedy} Then run the same command again. It reports how to continue an unfinished \
             rotation."
        );
    }
    format!(
        "{remedy} If a version is pending when you edit the secret, the database may already have \
         the password of that version. Save that password first ({}), and put the password that \
         logs in into the edited secret (aws secretsmanager put-secret-value). Then cancel the \
         rotation ({}), and rotate again: {}.",
        read_pending(),
        give_up("VERSION"),
        rotate_again()
    )
}

/// The error of one operation. No variant contains a statement with a password or a verifier in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The session's user lacks a privilege.
    #[error("permission denied: could not {action}: {message}")]
    PrivilegeMissing {
        /// The action that failed, as it reads after "could not".
        action: String,
        /// The reason for the denial: the server's message, in which passwords are redacted, or the
        /// engine's own finding.
        message: String,
        /// The statement that an administrator runs.
        remedy: String,
    },
    /// The server's password policy rejects the new password.
    #[error("the database's password policy rejected the new password: {message}")]
    PasswordRejected {
        /// The reason for the rejection: the server's message, in which passwords are redacted, or
        /// the rule that the password breaks.
        message: String,
        /// The settings to change.
        remedy: String,
    },
    /// The account or its password has expired, as an open session has found.
    #[error("the account has expired: {message}")]
    AccountExpired {
        /// The message of the server, or the setting that shows it.
        message: String,
        /// The statement that an administrator runs.
        remedy: String,
    },
    /// The user in the secret does not exist.
    #[error("user {user} does not exist")]
    NoSuchUser {
        /// The name of the user that the server does not know.
        user: String,
    },
    /// The rotation cannot continue until the operator has decided something.
    #[error("{what}")]
    NeedsDecision {
        /// The reason, as a clause.
        what: String,
        /// The options of the operator.
        remedy: String,
    },
    /// Two users have the names of a pair, but nothing on the server proves that they are one.
    #[error(
        "{}: they may belong to different people",
        unverified_pair_message(.base, .alternate, .why, .consent.is_some())
    )]
    UnverifiedPair {
        /// The base user, whose name has no suffix such as `_clone`.
        base: String,
        /// The user that has the name of its alternate user.
        alternate: String,
        /// The evidence against a pair, if there is any.
        why: Option<String>,
        /// The statement with which an administrator confirms that they are a pair, if the target
        /// is the alternate user. `None` if the target is the base user: then only a version of the
        /// secret can prove it.
        consent: Option<String>,
    },
    /// The server is temporarily busy: a lock was not available, or a statement took too long.
    #[error("the database could not {action} in time: {message}")]
    Busy {
        /// The action that failed, as it reads after "could not".
        action: String,
        /// The message about the lock or the wait, redacted, from the server or the function.
        message: String,
    },
    /// Another session changed the same objects at the same time. Most likely it belongs to an
    /// earlier attempt that was still running. The session is usable, and the change may be
    /// retried.
    #[error(
        "another session changed the same objects, so the database could not {action}: {message}"
    )]
    Conflict {
        /// The action that failed, as it reads after "could not".
        action: String,
        /// The message of the server about the concurrent change, in which passwords are redacted.
        message: String,
    },
    /// The connection failed. Whether the statement took effect is unknown until the next attempt
    /// checks it.
    #[error("could not {action}: {cause}")]
    Disconnected {
        /// The action that failed, as it reads after "could not".
        action: String,
        /// The error of the connection.
        cause: LoginError,
    },
    /// Any other error that the server reports.
    #[error("the database failed to {action}: {code}: {message}")]
    Failed {
        /// The action that failed, as it reads after "to".
        action: String,
        /// The server's error code.
        code: String,
        /// The message of the server, in which passwords are redacted, or a description of an
        /// unexpected result.
        message: String,
    },
}

impl EngineError {
    /// Converts the error of a query that is part of the login, with its error type and remedy.
    pub(crate) fn into_login_error(self, host: &str, port: u16) -> LoginError {
        match self {
            Self::Disconnected { cause, .. } => cause,
            Self::AccountExpired { message, remedy } => LoginError::Expired { message, remedy },
            Self::Failed { code, message, .. } => LoginError::Other { code, message },
            other => LoginError::Query {
                error_type: other.error_type(),
                message: other.to_string(),
                remedy: other.remedy(host, port),
            },
        }
    }

    /// Creates the error for a privilege that user `who` lacks. `action` is read after "could not".
    pub fn lacks(action: impl Into<String>, who: &str, privilege: &str, remedy: String) -> Self {
        Self::PrivilegeMissing {
            action: action.into(),
            message: format!("{who} lacks {privilege}"),
            remedy,
        }
    }

    /// Creates the error for a rotation whose target is the base user, if no version of the secret
    /// proves that the base user belongs to the secret.
    pub fn unproven_base(base: impl Into<String>, alternate: impl Into<String>) -> Self {
        Self::UnverifiedPair {
            base: base.into(),
            alternate: alternate.into(),
            why: Some("no earlier version of the secret contains that user".into()),
            consent: None,
        }
    }

    /// Creates the error for a server that is a replica, a standby or read-only. `what` is a clause
    /// that describes it.
    pub fn not_writable(what: impl Into<String>) -> Self {
        Self::NeedsDecision {
            what: format!("the server is not writable: {}", what.into()),
            remedy: "Use the endpoint of the writer (the primary) in \"host\", in the master \
                     secret as well. For Aurora, that is the cluster endpoint, not a reader \
                     endpoint."
                .into(),
        }
    }

    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::PrivilegeMissing { .. } => "PrivilegeMissing",
            Self::PasswordRejected { .. } => "PasswordRejected",
            Self::AccountExpired { .. } => "AccountExpired",
            Self::NoSuchUser { .. } => "UserNotFound",
            Self::NeedsDecision { .. } | Self::UnverifiedPair { .. } => "NeedsDecision",
            Self::Busy { .. } | Self::Conflict { .. } => "DatabaseBusy",
            Self::Disconnected { cause: cause @ LoginError::TemporaryFolder { .. }, .. } => {
                cause.error_type()
            }
            Self::Disconnected { .. } => "ConnectionFailed",
            Self::Failed { .. } => "StatementFailed",
        }
    }

    pub(crate) fn remedy(&self, host: &str, port: u16) -> String {
        match self {
            Self::PasswordRejected { remedy, .. } => format!(
                "{remedy} The password of the pending version does not change, so cancel the \
                 rotation ({}), and rotate again: {}.",
                give_up("VERSION"),
                rotate_again()
            ),
            Self::Busy { .. } => {
                "Secrets Manager retries the rotation. If the error persists, find the session \
                 that holds the lock (a backup, a migration)."
                    .into()
            }
            Self::Conflict { .. } => {
                "Secrets Manager retries the rotation. If the error persists, find the session \
                 that keeps changing this user."
                    .into()
            }
            Self::PrivilegeMissing { remedy, .. }
            | Self::AccountExpired { remedy, .. }
            | Self::NeedsDecision { remedy, .. } => remedy.clone(),
            Self::UnverifiedPair { base, alternate, consent: Some(consent), .. } => format!(
                "If {alternate} is meant to be the alternate user of {base}, confirm it. {} \
                 Otherwise rename one of them.",
                administrator(consent)
            ),
            Self::UnverifiedPair { base, alternate, consent: None, .. } => format!(
                "If both users belong to this secret, cancel this rotation ({}), store the \
                 credential of {base} in the secret ({}), and rotate it again. Otherwise rename \
                 {alternate}, or rotate it as a single user.",
                give_up("VERSION"),
                store()
            ),
            Self::NoSuchUser { .. } => "Correct \"username\" in the secret, or create the \
                                        user."
                .into(),
            Self::Disconnected { cause, .. } => {
                format!(
                    "Secrets Manager retries the rotation, which continues from the current state. \
                     If the error persists, do this: {}",
                    cause.remedy(host, port)
                )
            }
            Self::Failed { .. } => "Read the server's message and its log.".into(),
        }
    }
}

fn unverified_pair_message(
    base: &str,
    alternate: &str,
    why: &Option<String>,
    alternate_is_target: bool,
) -> String {
    let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    if alternate_is_target {
        format!(
            "users {base} and {alternate} exist, and nothing proves that {alternate} was created \
             to alternate with {base}{why}"
        )
    } else {
        format!(
            "the secret's user {alternate} has the name of an alternate user of {base}, whose \
             password would be changed next, and nothing proves that {base} also belongs to the \
             secret{why}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_query_of_a_login_keeps_its_type_and_remedy() {
        let denied = EngineError::lacks("read the account", "app", "SELECT", "GRANT it.".into());
        let error = denied.clone().into_login_error("db", 1);
        assert_eq!(error.error_type(), "PrivilegeMissing");
        assert_eq!(error.remedy("db", 1), "GRANT it.");
        assert_eq!(error.to_string(), denied.to_string());
        assert!(!error.is_account_state() && !error.is_wrong_password());
        let broken = LoginError::Network { message: "reset".into() };
        let lost = EngineError::Disconnected { action: "read".into(), cause: broken.clone() };
        assert_eq!(lost.into_login_error("db", 1), broken);
    }
}
