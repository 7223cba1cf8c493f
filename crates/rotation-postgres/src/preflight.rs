//! The check for privileges that a master user lacks.

use rotation_database::{EngineError, MasterTask};
use sqlx::Row;

use crate::administer::{ADMIN_OPTION_REQUIRED, administer};
use crate::session::{Access, Session};

/// Returns the privileges that the master user lacks to administer each role that exists, or to
/// create the others.
pub(crate) async fn missing_privileges(
    session: &mut Session,
    master: &str,
    task: MasterTask<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    const QUERY: &str = "SELECT m.rolsuper OR (m.rolcreaterole AND ($2::bool OR r.oid IS NULL OR \
                         EXISTS (SELECT FROM pg_catalog.pg_auth_members a WHERE a.roleid = r.oid \
                         AND a.member = m.oid AND a.admin_option))) FROM pg_catalog.pg_roles m \
                         LEFT JOIN pg_catalog.pg_roles r ON r.rolname = $1 WHERE m.rolname = \
                         current_user";
    let mut transaction = session.begin(Access::Look).await?;
    let creates_is_enough = (transaction.version() < ADMIN_OPTION_REQUIRED).to_string();
    let mut missing = Vec::new();
    for role in task.users() {
        let rows = transaction
            .rows("read the privileges of the master user", QUERY, &[role, &creates_is_enough])
            .await?;
        if !rows.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
            let remedy = administer(transaction.version(), master, role);
            let action = format!("administer role {role}");
            missing.push(EngineError::lacks(action, master, "CREATEROLE or ADMIN OPTION", remedy));
        }
    }
    transaction.commit().await?;
    Ok(missing)
}
