//! The check for privileges that a master user lacks.

use rotation_database::{EngineError, MasterTask, Password, PasswordReset, SyncRequest};

use crate::master_permissions::{self, ALTER_LOGINS, READ_ALL};
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
    // The permissions of logins are only read for a sync.
    let read = if task.copies() { READ_ALL } else { &[] };
    let needed = [&[ALTER_LOGINS], read].concat();
    let lacking = master_permissions::lacking(session, &needed).await?;
    let mut missing: Vec<_> = lacking
        .into_iter()
        .map(|permission| master_permissions::lacks("administer logins", master, &[permission]))
        .collect();
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
