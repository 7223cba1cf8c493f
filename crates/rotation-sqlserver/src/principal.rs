//! Who logs in: a login of the server, or a user of a contained database.

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
