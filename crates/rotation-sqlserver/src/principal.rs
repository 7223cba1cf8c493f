//! The principal of a session: a login of the server, or a user of a contained database.

use crate::quote::binary;

/// `authentication_type` in [`sys.database_principals`][doc] of a user that authenticates with the
/// password of a login.
///
/// [doc]: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-database-principals-transact-sql
pub(crate) const AUTHENTICATED_BY_SERVER: i32 = 1;
/// `authentication_type` of a user that authenticates with its own password.
pub(crate) const AUTHENTICATED_BY_DATABASE: i32 = 2;

/// The kind of principal that has a user's password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A login of the server.
    Login,
    /// A user of a contained database.
    ContainedUser,
}

impl Kind {
    /// Returns the keyword of the kind in `ALTER …`.
    pub(crate) fn keyword(self) -> &'static str {
        match self {
            Self::Login => "LOGIN",
            Self::ContainedUser => "USER",
        }
    }
}

/// The security identifier of an account, and the kind of principal that has its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    pub(crate) kind: Kind,
    pub(crate) sid: Vec<u8>,
}

impl Principal {
    /// Returns the identifier of the account for [`SessionAccount::id`].
    ///
    /// [`SessionAccount::id`]: rotation_database::SessionAccount::id
    pub(crate) fn id(&self) -> String {
        format!("{} {}", self.kind.keyword(), binary(&self.sid))
    }
}

/// The account of a session.
#[derive(Debug, Clone)]
pub(crate) struct SessionPrincipal {
    pub(crate) principal: Principal,
    pub(crate) name: String,
    /// `true` if it is the account that the server finds by the name of the user.
    pub(crate) is_of_user: bool,
    /// The database of the session, if its login can only be changed in another one.
    pub(crate) away_from_master: Option<String>,
}
