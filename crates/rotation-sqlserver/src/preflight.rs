//! What a master lacks, read without changing anything.

use rotation_database::{EngineError, UserPair, administrator};

use crate::quote::identifier;
use crate::session::{Session, flag, unexpected};

/// Whether the master may change logins and see what they may do.
pub(crate) async fn missing(
    session: &mut Session,
    master: &str,
    _pair: &UserPair,
) -> Result<Vec<EngineError>, EngineError> {
    let mut missing = Vec::new();
    for permission in ["ALTER ANY LOGIN", "VIEW ANY DEFINITION"] {
        let query = format!("SELECT CAST(COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, '{permission}'), 0) AS int)");
        let rows = session.rows("ask what the master may do", &query, &[]).await?;
        if !flag(rows.first().ok_or_else(|| unexpected("no answer"))?, 0)? {
            missing.push(EngineError::PrivilegeMissing {
                doing: "administer logins".into(),
                said: format!("{master} lacks {permission}"),
                remedy: administrator(&format!("USE [master]; GRANT {permission} TO {}", identifier(master))),
            });
        }
    }
    Ok(missing)
}
