//! What a master lacks, read without changing anything.

use rotation_database::{EngineError, UserPair, administrator};

use crate::quote::identifier;
use crate::session::Session;

/// Whether the master may change logins and see what they may do.
pub(crate) async fn missing(
    session: &mut Session,
    master: &str,
    _pair: &UserPair,
) -> Result<Vec<EngineError>, EngineError> {
    let mut missing = Vec::new();
    for permission in ["ALTER ANY LOGIN", "VIEW ANY DEFINITION"] {
        let question = format!("HAS_PERMS_BY_NAME(NULL, NULL, '{permission}')");
        if !session.is_so("ask what the master may do", &question).await? {
            let remedy =
                administrator(&format!("USE [master]; GRANT {permission} TO {}", identifier(master)));
            missing.push(EngineError::lacks("administer logins", master, permission, remedy));
        }
    }
    Ok(missing)
}
