//! What a master lacks, read without changing anything.

use rotation_database::{EngineError, UserPair};
use sqlx::Row;

use crate::alternate::administer;
use crate::session::Session;

/// Whether the master may administer each of the two roles that is there.
pub(crate) async fn missing(
    session: &mut Session,
    master: &str,
    pair: &UserPair,
) -> Result<Vec<EngineError>, EngineError> {
    // From version 16 on, CREATEROLE alone administers no role.
    const QUERY: &str = "SELECT m.rolsuper OR (m.rolcreaterole AND (current_setting('server_version_num')::int < 160000 \
        OR r.oid IS NULL OR EXISTS (SELECT FROM pg_catalog.pg_auth_members a \
            WHERE a.roleid = r.oid AND a.member = m.oid AND a.admin_option))) \
        FROM pg_catalog.pg_roles m LEFT JOIN pg_catalog.pg_roles r ON r.rolname = $1 WHERE m.rolname = current_user";
    let mut missing = Vec::new();
    for role in [&pair.base, &pair.alternate] {
        let rows = session.rows("ask what the master may do", QUERY, &[role]).await?;
        if !rows.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
            missing.push(EngineError::PrivilegeMissing {
                doing: format!("administer role {role}"),
                said: format!("{master} lacks CREATEROLE or ADMIN OPTION"),
                remedy: administer(session, master, role),
            });
        }
    }
    Ok(missing)
}
