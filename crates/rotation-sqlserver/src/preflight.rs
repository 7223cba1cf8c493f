//! What a master lacks, read without changing anything.

use rotation_database::{EngineError, MastersTask, administrator};

use crate::quote::identifier;
use crate::session::Session;

/// Whether the master may change logins and see what they may do.
pub(crate) async fn missing(
    session: &mut Session,
    master: &str,
    task: MastersTask<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    let mut missing = Vec::new();
    let needed = ["ALTER ANY LOGIN", "VIEW ANY DEFINITION"];
    // What a login may do is only read to be copied.
    for permission in &needed[..if task.copies() { 2 } else { 1 }] {
        let question = format!("HAS_PERMS_BY_NAME(NULL, NULL, '{permission}')");
        if !session.is_so("ask what the master may do", &question).await? {
            let remedy =
                administrator(&format!("USE [master]; GRANT {permission} TO {}", identifier(master)));
            missing.push(EngineError::lacks("administer logins", master, permission, remedy));
        }
    }
    Ok(missing)
}
