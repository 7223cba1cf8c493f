//! The consequences that the errors of a login have for a rotation.

use super::LoginError;

/// The consequence that a login error has for a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// The password or the user is wrong.
    WrongPassword,
    /// The password is right, and the server demands a new one.
    ExpiredPassword,
    /// The account exists, and may not log in in its current state.
    AccountState,
    /// The secret may name the wrong server or database, or a wrong use of TLS.
    SecretMayBeWrong,
    /// Neither the account nor the secret is the cause.
    Other,
}

impl LoginError {
    /// Returns `true` if the server might accept another password.
    pub(crate) fn is_wrong_password(&self) -> bool {
        self.meaning() == Meaning::WrongPassword
    }

    /// Returns `true` if setting a new password for the account solves the problem: the password is
    /// wrong or has expired.
    pub(crate) fn is_solved_by_new_password(&self) -> bool {
        matches!(self.meaning(), Meaning::WrongPassword | Meaning::ExpiredPassword)
    }

    /// Returns `true` if the error proves that the password is correct: a server reports an expired
    /// password only to a client that knows the password.
    pub(crate) fn proves_password(&self) -> bool {
        self.meaning() == Meaning::ExpiredPassword
    }

    /// Returns `true` if the error concerns only the state of this account: it is locked, has
    /// expired or is not allowed to log in.
    pub(crate) fn is_account_state(&self) -> bool {
        matches!(self.meaning(), Meaning::ExpiredPassword | Meaning::AccountState)
    }

    /// Returns `true` if the remedy can be a change of the secret.
    pub(crate) fn is_remedied_by_secret_edit(&self) -> bool {
        self.meaning() == Meaning::SecretMayBeWrong
    }

    /// Returns what the error means for a rotation. Promotion and recovery depend on it.
    fn meaning(&self) -> Meaning {
        match self {
            Self::Refused { .. } => Meaning::WrongPassword,
            Self::Expired { .. } => Meaning::ExpiredPassword,
            Self::Locked { .. } | Self::NotPermitted { .. } | Self::DatabaseDenied { .. } => {
                Meaning::AccountState
            }
            Self::ClientRejected { .. }
            | Self::NoSuchDatabase { .. }
            | Self::DnsFailed { .. }
            | Self::NoListener { .. }
            | Self::TlsNotOffered { .. }
            | Self::TlsLost { .. }
            | Self::TlsWrongName { .. }
            | Self::CleartextPasswordRequested { .. } => Meaning::SecretMayBeWrong,
            Self::OtherAccount { .. }
            | Self::TooManyConnections { .. }
            | Self::NotReady { .. }
            | Self::ConnectTimeout { .. }
            | Self::Silent { .. }
            | Self::Network { .. }
            | Self::Redirected { .. }
            | Self::RedirectedAgain { .. }
            | Self::TlsUntrusted { .. }
            | Self::TlsExpired { .. }
            | Self::Tls { .. }
            | Self::ServerNotAuthenticated { .. }
            | Self::Unsupported { .. }
            | Self::ReleaseUnsupported { .. }
            | Self::TemporaryFolder { .. }
            | Self::Protocol { .. }
            | Self::Query { .. }
            | Self::Other { .. } => Meaning::Other,
        }
    }
}
