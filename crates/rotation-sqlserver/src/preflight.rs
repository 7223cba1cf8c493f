//! The check for privileges that a master user lacks.

use rotation_database::{
    EngineError, MasterTask, Password, PasswordReset, SyncRequest, administrator,
};

use crate::quote::identifier;
use crate::session::Session;
use crate::sync;
use crate::sync::passwords;

/// Returns the privileges that the master user lacks to change logins and to read their
/// permissions, and the triggers that would block setSecret.
pub(crate) async fn missing(
    session: &mut Session,
    master: &str,
    task: MasterTask<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    let mut missing = Vec::new();
    let needed = ["ALTER ANY LOGIN", "VIEW ANY DEFINITION"];
    // The permissions of logins are only read for a sync.
    for permission in &needed[..if task.copies() { 2 } else { 1 }] {
        let question = format!("HAS_PERMS_BY_NAME(NULL, NULL, '{permission}')");
        if !session.is_so("read the privileges of the master user", &question).await? {
            let remedy = administrator(&format!(
                "USE [master]; GRANT {permission} TO {}",
                identifier(master)
            ));
            missing.push(EngineError::lacks("administer logins", master, permission, remedy));
        }
    }
    missing.extend(blocking_triggers(session, master, task).await);
    Ok(missing)
}

/// Returns the errors for triggers that would block setSecret. If the triggers cannot be read,
/// setSecret reports that.
async fn blocking_triggers(
    session: &mut Session,
    master: &str,
    task: MasterTask<'_>,
) -> Vec<EngineError> {
    let password = &Password::new("");
    let logs_in_unencrypted = false;
    let found = match task {
        MasterTask::Alternate(pair) => {
            let request = SyncRequest::to_compare(master, pair, password, logs_in_unencrypted);
            sync::blocking_triggers(session, &request).await
        }
        MasterTask::SetPassword(user) => {
            let proven = None;
            let reset = PasswordReset { master, user, password, logs_in_unencrypted, proven };
            passwords::blocking_triggers(session, &reset).await
        }
    };
    found.unwrap_or_default()
}
