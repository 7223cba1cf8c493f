//! Why a statement failed after the login had worked.

use rotation::operator::{give_up, read_pending, rotate_again, secret_file, store};

use crate::login_error::LoginError;

const ADMINISTRATOR: &str = "As an administrator of the database: ";

/// Returns a remedy: what an administrator of the database does.
pub fn administrator(what: &str) -> String {
    format!("{ADMINISTRATOR}{what}.")
}

/// Returns one remedy for several: the same one only once, and the statements of administrators in
/// one list.
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

/// A remedy that is an edit of the secret, which a pending version does not have.
///
/// The database may have the pending password already, and after the edit no version of the same
/// server would lead to it. So the operator keeps that password, and stores the one that logs in.
pub fn edit_of_secret(remedy: &str) -> String {
    if secret_file().is_some() {
        return format!(
            "{remedy} Then run the same command again; it says what to do about an unfinished rotation."
        );
    }
    format!(
        "{remedy} If the secret is edited while a version is pending: the database may have the password of that version \
         already, so keep it first ({}), and put the password that logs in into the edited secret (aws secretsmanager \
         put-secret-value). Then cancel the rotation ({}), and rotate again: {}.",
        read_pending(),
        give_up("VERSION"),
        rotate_again()
    )
}

/// One operation that failed. No variant holds a statement with a password or a verifier in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The session's user may not do that.
    #[error("the database does not allow it to {action}: {message}")]
    PrivilegeMissing {
        /// The action that failed, as it reads after "to".
        action: String,
        /// The server's message.
        message: String,
        /// The statement that an administrator runs.
        remedy: String,
    },
    /// The server's password policy does not take the new password.
    #[error("the database's password policy refuses the new password: {message}")]
    PasswordRejected {
        /// The server's message.
        message: String,
        /// Which settings to change.
        remedy: String,
    },
    /// The account has expired, found out by somebody who may look.
    #[error("the account has expired: {message}")]
    AccountExpired {
        /// What was found.
        message: String,
        /// The statement that an administrator runs.
        remedy: String,
    },
    /// The user in the secret does not exist.
    #[error("there is no user {user}")]
    NoSuchUser {
        /// The user.
        user: String,
    },
    /// Something stands in the way that only a person can decide.
    #[error("{what}")]
    NeedsDecision {
        /// What stands in the way.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// Two users only look like a pair, as far as the server can tell.
    #[error("{}: they may belong to different people", looks_wrong(.base, .alternate, .why, .consent.is_some()))]
    PerhapsUnrelated {
        /// The base user.
        base: String,
        /// The one that is named like its second user.
        alternate: String,
        /// What speaks against a pair, if that can be told.
        why: Option<String>,
        /// How an administrator says that they are a pair, when it is the alternate user's turn.
        /// When it is the base user's, only the secret can say it.
        consent: Option<String>,
    },
    /// The server is busy for now: a lock was not available, or a statement took too long.
    #[error("the database could not {action} in time: {message}")]
    Busy {
        /// The action that failed, as it reads after "could not".
        action: String,
        /// The server's message.
        message: String,
    },
    /// Another session has changed the same objects meanwhile, most likely an earlier attempt that
    /// was still running. The session is usable, and the change may be retried.
    #[error("another session was changing the same, so the database could not {action}: {message}")]
    Overtaken {
        /// The action that failed, as it reads after "could not".
        action: String,
        /// The server's message.
        message: String,
    },
    /// The connection broke; whether the statement took effect is unknown, and the next attempt
    /// finds out.
    #[error("the connection failed while trying to {action}: {cause}")]
    Disconnected {
        /// The action that failed, as it reads after "to".
        action: String,
        /// What broke.
        cause: LoginError,
    },
    /// Anything else that the server says.
    #[error("the database failed to {action}: {code}: {message}")]
    Failed {
        /// The action that failed, as it reads after "to".
        action: String,
        /// The server's error code.
        code: String,
        /// The server's message.
        message: String,
    },
}

impl EngineError {
    /// Converts the error of a query that is part of the login.
    pub(crate) fn into_login_error(self) -> LoginError {
        match self {
            Self::Disconnected { cause, .. } => cause,
            Self::AccountExpired { message, remedy } => LoginError::Expired { message, remedy },
            Self::Failed { code, message, .. } => LoginError::Other { code, message },
            other => {
                LoginError::Other { code: other.error_type().into(), message: other.to_string() }
            }
        }
    }

    /// Creates the error for a privilege that `who` lacks, as the server reports it. `action` is
    /// read after "to".
    pub fn lacks(action: impl Into<String>, who: &str, privilege: &str, remedy: String) -> Self {
        Self::PrivilegeMissing {
            action: action.into(),
            message: format!("{who} lacks {privilege}"),
            remedy,
        }
    }

    /// The target of the rotation is the base user, and no version of the secret proves that it is
    /// the secret's own.
    pub fn unproven_base(base: impl Into<String>, alternate: impl Into<String>) -> Self {
        Self::PerhapsUnrelated {
            base: base.into(),
            alternate: alternate.into(),
            why: Some("no earlier version of the secret was of it".into()),
            consent: None,
        }
    }

    /// The server is a replica, a standby or read-only. `what` is a sentence about it.
    pub fn takes_no_changes(what: impl Into<String>) -> Self {
        Self::NeedsDecision {
            what: format!("the server takes no changes: {}", what.into()),
            remedy: "Use the endpoint of the writer (the primary) in \"host\", in the master's secret as well. For Aurora \
                that is the cluster's endpoint, not a reader's."
                .into(),
        }
    }

    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::PrivilegeMissing { .. } => "PrivilegeMissing",
            Self::PasswordRejected { .. } => "PasswordRejected",
            Self::AccountExpired { .. } => "AccountExpired",
            Self::NoSuchUser { .. } => "UserNotFound",
            Self::NeedsDecision { .. } | Self::PerhapsUnrelated { .. } => "NeedsDecision",
            Self::Busy { .. } | Self::Overtaken { .. } => "DatabaseBusy",
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
                "{remedy} The pending version keeps its password, so give it up ({}), and rotate again: {}.",
                give_up("VERSION"),
                rotate_again()
            ),
            Self::Busy { .. } => {
                "Nothing, if it passes: the rotation is repeated. Otherwise see which session holds the lock \
                (a backup, a migration)."
                    .into()
            }
            Self::Overtaken { .. } => {
                "Nothing, if it passes: the rotation is repeated. Otherwise see which session changes this user all the time."
                    .into()
            }
            Self::PrivilegeMissing { remedy, .. }
            | Self::AccountExpired { remedy, .. }
            | Self::NeedsDecision { remedy, .. } => remedy.clone(),
            Self::PerhapsUnrelated { base, alternate, consent: Some(consent), .. } => format!(
                "If {alternate} is meant to be the second user of {base}, say so. {} Otherwise rename one of them.",
                administrator(consent)
            ),
            Self::PerhapsUnrelated { base, alternate, consent: None, .. } => format!(
                "If both are this secret's: give this rotation up ({}), store the credential of {base} in the secret ({}), and \
                 rotate it again. Otherwise rename {alternate}, or rotate it as a single user.",
                give_up("VERSION"),
                store()
            ),
            Self::NoSuchUser { .. } => "Correct \"username\" in the secret, or create the user.".into(),
            Self::Disconnected { cause, .. } => {
                format!(
                    "The rotation is repeated and goes on from where it stands. If it comes again: {}",
                    cause.remedy(host, port)
                )
            }
            Self::Failed { .. } => "Read the server's message, and its log.".into(),
        }
    }
}

fn looks_wrong(
    base: &str,
    alternate: &str,
    why: &Option<String>,
    is_alternates_turn: bool,
) -> String {
    let why = why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    if is_alternates_turn {
        format!(
            "there are users {base} and {alternate}, and nothing shows that {alternate} was made to alternate with {base}{why}"
        )
    } else {
        format!(
            "the secret's user {alternate} is named like the second user of {base}, whose password would be changed next, and nothing \
             shows that {base} is the secret's as well{why}"
        )
    }
}
