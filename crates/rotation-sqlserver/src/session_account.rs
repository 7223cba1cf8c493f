//! The account of a session.

use rotation_database::EngineError;

use crate::edition::{EDITION, MASTER, is_azure_database};
use crate::principal::{AUTHENTICATED_BY_DATABASE, Kind, Principal, SessionPrincipal};
use crate::session::{Session, column, flag, nullable, nullable_text, text, unexpected};

/// Returns the account of the session, and whether it is the one of `user`.
///
/// The kind of account is the `authentication_type` of the session's principal in its database,
/// which every user can read. `authenticating_database_id` of `sys.dm_exec_sessions` is not
/// reliable: for logins, it is 0 in the documentation, but 1 on real servers. The function compares
/// SIDs, because the server compares names under its own collation.
pub(crate) async fn of_session(
    session: &mut Session,
    user: &str,
) -> Result<SessionPrincipal, EngineError> {
    let query = format!(
        "SELECT CAST(COALESCE((SELECT p.authentication_type FROM sys.database_principals p \
         WHERE p.principal_id = DATABASE_PRINCIPAL_ID()), 0) AS int), CASE WHEN \
         SUSER_SID(@P1) = SUSER_SID() THEN 1 ELSE 0 END, CASE WHEN DATABASE_PRINCIPAL_ID(@P1) \
         = DATABASE_PRINCIPAL_ID() THEN 1 ELSE 0 END, ORIGINAL_LOGIN(), SUSER_SID(), (SELECT \
         p.sid FROM sys.database_principals p WHERE p.principal_id = \
         DATABASE_PRINCIPAL_ID()), CASE WHEN EXISTS (SELECT p.sid FROM \
         sys.database_principals p WHERE p.principal_id = DATABASE_PRINCIPAL_ID()) THEN 1 \
         ELSE 0 END, {EDITION}, DB_NAME()"
    );
    let rows = session.rows("read the account of the session", &query, &[user]).await?;
    let row = rows.first().ok_or_else(|| unexpected("the server returned no row"))?;
    let kind = if column::<i32>(row, 0)? == AUTHENTICATED_BY_DATABASE {
        Kind::ContainedUser
    } else {
        Kind::Login
    };
    // A contained user that was dropped after its login is no longer a principal of the database. A
    // login of the same name is another account.
    let exists = flag(row, 6)?;
    let (is_of_user, sid) = match kind {
        Kind::Login => (flag(row, 1)?, nullable::<&[u8]>(row, 4)?),
        Kind::ContainedUser => (flag(row, 2)?, nullable::<&[u8]>(row, 5)?),
    };
    let (is_azure, database) = (is_azure_database(column(row, 7)?), text(row, 8)?);
    session.set_azure_database(is_azure);
    let is_away = kind == Kind::Login && is_azure && !database.eq_ignore_ascii_case(MASTER);
    let sid = sid.ok_or_else(|| unexpected("the session has no security identifier"))?.to_vec();
    let name = nullable_text(row, 3)?.unwrap_or_else(|| "(unknown)".into());
    Ok(SessionPrincipal {
        principal: Principal { kind, sid },
        name,
        is_of_user: is_of_user && exists,
        away_from_master: is_away.then_some(database),
    })
}
