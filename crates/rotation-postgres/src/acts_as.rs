//! The role as which a session of the alternate role acts.

use rotation_database::{EngineError, UserPair};
use sqlx::Row;

use crate::failure::failure;
use crate::quote::identifier;
use crate::session::{Access, Session};

/// Checks that a session of the alternate role acts as the base role, or as the role that the base
/// role acts as. If a `role` setting fails at login, the server only warns.
pub(crate) async fn check_acts_as_base(
    session: &mut Session,
    pair: &UserPair,
) -> Result<(), EngineError> {
    const QUERY: &str = "SELECT session_user = $1 OR (current_user <> session_user AND \
                         pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')), \
                         session_user::text, current_user::text FROM pg_catalog.pg_roles r WHERE \
                         r.rolname::text = $1";
    const ACTION: &str = "read the role as which the session acts";
    let mut transaction = session.begin(Access::ReadAsRole).await?;
    let rows = transaction.rows(ACTION, QUERY, &[&pair.base]).await?;
    transaction.commit().await?;
    let row = rows.first().ok_or_else(|| EngineError::NoSuchUser { user: pair.base.clone() })?;
    let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    let (fine, login, acts_as): (bool, String, String) =
        read().map_err(|error| failure(&error, ACTION, None))?;
    if fine {
        return Ok(());
    }
    Err(EngineError::NeedsDecision {
        what: format!("{login} logs in, but acts as {acts_as} instead of {}", pair.base),
        remedy: format!(
            "As an administrator of the database: GRANT {0} TO {1}; ALTER ROLE {1} SET role = {0}. \
             Secrets Manager then retries the rotation.",
            identifier(&pair.base),
            identifier(&pair.alternate)
        ),
    })
}
