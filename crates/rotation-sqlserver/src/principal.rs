//! Who logs in: a login of the server, or a user of a contained database.

use rotation_database::EngineError;

use crate::session::{Session, column, flag, nullable_text, unexpected};

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

/// What holds the password of the session's user, which must be the user in the secret.
///
/// By what the session is in its database, which every user can see: `authenticating_database_id` of
/// `sys.dm_exec_sessions` is 0 for logins by its page, and 1 on servers. SIDs are compared, because the
/// server compares names under a collation of its own.
///
/// # Errors
/// [`EngineError::NeedsDecision`] if the session belongs to another account. Its password must not be
/// changed, and its login proves nothing about the secret's user.
pub(crate) async fn of_session(session: &mut Session) -> Result<Kind, EngineError> {
    const QUERY: &str = "SELECT CAST(COALESCE((SELECT p.authentication_type FROM sys.database_principals p \
        WHERE p.principal_id = DATABASE_PRINCIPAL_ID()), 0) AS int), \
        CASE WHEN SUSER_SID(@P1) = SUSER_SID() THEN 1 ELSE 0 END, \
        CASE WHEN DATABASE_PRINCIPAL_ID(@P1) = DATABASE_PRINCIPAL_ID() THEN 1 ELSE 0 END, ORIGINAL_LOGIN()";
    let user = session.user().to_owned();
    let rows = session.rows("ask for the session's account", QUERY, &[&user]).await?;
    let row = rows.first().ok_or_else(|| unexpected("no answer"))?;
    let kind = if column::<i32>(row, 0)? == BY_DATABASE { Kind::ContainedUser } else { Kind::Login };
    let is_the_users = match kind {
        Kind::Login => flag(row, 1)?,
        Kind::ContainedUser => flag(row, 2)?,
    };
    if is_the_users {
        return Ok(kind);
    }
    let account = nullable_text(row, 3)?.unwrap_or_else(|| "(unknown)".into());
    Err(EngineError::NeedsDecision {
        what: format!("the session belongs to {account}, not to {user}, which the secret names"),
        remedy: "Find out what maps the login to another account (a proxy in front of the server, a logon trigger), \
            and name in \"username\" a login that logs in as itself."
            .into(),
    })
}
