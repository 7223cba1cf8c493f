//! The account of a session.

use rotation_database::EngineError;

use crate::principal::{BY_DATABASE, Kind, Principal};
use crate::session::{Session, column, flag, nullable, nullable_text, unexpected};

/// The account of a session, and whether it is the one that the server finds by a name.
#[derive(Debug, Clone)]
pub(crate) struct OfSession {
    pub(crate) principal: Principal,
    pub(crate) name: String,
    pub(crate) is_of_user: bool,
}

/// Returns the account of the session, and whether it is the one of `user`.
///
/// By what the session is in its database, which every user can see: `authenticating_database_id`
/// of `sys.dm_exec_sessions` is 0 for logins by its page, and 1 on servers. SIDs are compared,
/// because the server compares names under a collation of its own.
pub(crate) async fn of_session(
    session: &mut Session,
    user: &str,
) -> Result<OfSession, EngineError> {
    const QUERY: &str = "SELECT CAST(COALESCE((SELECT p.authentication_type FROM sys.database_principals p \
        WHERE p.principal_id = DATABASE_PRINCIPAL_ID()), 0) AS int), \
        CASE WHEN SUSER_SID(@P1) = SUSER_SID() THEN 1 ELSE 0 END, \
        CASE WHEN DATABASE_PRINCIPAL_ID(@P1) = DATABASE_PRINCIPAL_ID() THEN 1 ELSE 0 END, ORIGINAL_LOGIN(), \
        SUSER_SID(), (SELECT p.sid FROM sys.database_principals p \
        WHERE p.principal_id = DATABASE_PRINCIPAL_ID()), \
        CASE WHEN EXISTS (SELECT p.sid FROM sys.database_principals p \
        WHERE p.principal_id = DATABASE_PRINCIPAL_ID()) THEN 1 ELSE 0 END";
    let rows = session.rows("ask for the session's account", QUERY, &[user]).await?;
    let row = rows.first().ok_or_else(|| unexpected("no answer"))?;
    let kind =
        if column::<i32>(row, 0)? == BY_DATABASE { Kind::ContainedUser } else { Kind::Login };
    // A contained user that was dropped after its login is nobody in the database any more. A login of
    // the same name is another account.
    let is_somebody = flag(row, 6)?;
    let (is_of_user, sid) = match kind {
        Kind::Login => (flag(row, 1)?, nullable::<&[u8]>(row, 4)?),
        Kind::ContainedUser => (flag(row, 2)?, nullable::<&[u8]>(row, 5)?),
    };
    let sid = sid.ok_or_else(|| unexpected("the session has no security identifier"))?.to_vec();
    let name = nullable_text(row, 3)?.unwrap_or_else(|| "(unknown)".into());
    Ok(OfSession {
        principal: Principal { kind, sid },
        name,
        is_of_user: is_of_user && is_somebody,
    })
}
