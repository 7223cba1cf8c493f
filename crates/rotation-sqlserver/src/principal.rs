//! Who logs in: a login of the server, or a user of a contained database.

use crate::quote::binary;

/// `authentication_type` in [`sys.database_principals`][doc]: by a password of the server's logins.
///
/// [doc]: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-database-principals-transact-sql
pub(crate) const BY_SERVER: i32 = 1;
/// By a password of its own.
pub(crate) const BY_DATABASE: i32 = 2;

/// What holds a user's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A login of the server.
    Login,
    /// A user of a contained database.
    ContainedUser,
}

impl Kind {
    /// In `ALTER …`.
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::ContainedUser => "USER",
        }
    }
}

/// A security identifier, and what holds the password of its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) kind: Kind,
    pub(crate) sid: Vec<u8>,
}

impl Principal {
    /// Identifies the account in [`SessionAccount::id`].
    ///
    /// [`SessionAccount::id`]: rotation_database::SessionAccount::id
    pub(crate) fn id(&self) -> String {
        format!("{} {}", self.kind.keyword(), binary(&self.sid))
    }
}
