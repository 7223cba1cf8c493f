//! A user changes its own password.

use rotation_database::{Changed, EngineError, PasswordChange};

use crate::principal::{BY_DATABASE, Kind};
use crate::quote::{identifier, literal};
use crate::session::{Session, column, unexpected};

/// Changes the session's own password.
///
/// Neither statement takes parameters. What they say of passwords is blanked by the server before it is traced or
/// audited. `OLD_PASSWORD` is the one that has really logged in, not the one that AWSCURRENT names.
pub(crate) async fn change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<Changed, EngineError> {
    session.begin().await?;
    let kind = of_session(session).await?;
    let statement = format!(
        "ALTER {} {} WITH PASSWORD = {} OLD_PASSWORD = {}",
        kind.keyword(),
        identifier(change.user),
        password(change.new.expose())?,
        password(change.old.expose())?
    );
    let doing = format!("change the password of {}", change.user);
    let remedy = "Any user may change its own password unless that was denied (DENY ALTER on itself). Or rotate with \
        alternating users.";
    session.run_or(&doing, &statement, remedy).await?;
    Ok(Changed::Now)
}

/// Whether the session was authenticated by the server or by a [contained database][contained].
///
/// By what it is in its database, which everybody may see: `authenticating_database_id` of `sys.dm_exec_sessions` is 0 for
/// logins by its page, and 1 on servers.
///
/// [contained]: https://learn.microsoft.com/sql/relational-databases/security/contained-database-users-making-your-database-portable
async fn of_session(session: &mut Session) -> Result<Kind, EngineError> {
    const QUERY: &str = "SELECT CAST(COALESCE((SELECT p.authentication_type FROM sys.database_principals p \
        WHERE p.principal_id = DATABASE_PRINCIPAL_ID()), 0) AS int)";
    let rows = session.rows("ask what has authenticated the session", QUERY, &[]).await?;
    let kind: i32 = column(rows.first().ok_or_else(|| unexpected("no answer"))?, 0)?;
    Ok(if kind == BY_DATABASE { Kind::ContainedUser } else { Kind::Login })
}

/// A password as a literal.
pub(crate) fn password(password: &str) -> Result<String, EngineError> {
    literal(password).ok_or_else(|| EngineError::PasswordRejected {
        said: "it has a backslash at the end of a line, which T-SQL cannot write".into(),
        remedy: "Use a password without line breaks.".into(),
    })
}
