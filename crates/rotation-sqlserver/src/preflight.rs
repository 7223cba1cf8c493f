//! What a master lacks, read without changing anything.

use rotation_database::{
    EngineError, MastersTask, Password, PasswordReset, SyncRequest, UserPair, administrator,
};

use crate::quote::identifier;
use crate::session::Session;
use crate::sync;
use crate::sync::passwords;

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

/// The triggers that would stop setSecret. What cannot be read is left to setSecret, which stops
/// then.
async fn blocking_triggers(
    session: &mut Session,
    master: &str,
    task: MastersTask<'_>,
) -> Vec<EngineError> {
    let password = Password::new("");
    let logs_in_unencrypted = false;
    let found = match task {
        MastersTask::Alternate(pair) => {
            let UserPair { base, alternate } = pair;
            let (target, is_known_pair, password) = (alternate, true, &password);
            let proven = Vec::new();
            let copy = SyncRequest {
                master,
                base,
                alternate,
                target,
                password,
                is_known_pair,
                logs_in_unencrypted,
                proven,
            };
            sync::blocking_triggers(session, &copy).await
        }
        MastersTask::SetPassword(user) => {
            let (password, proven) = (&password, None);
            let reset = PasswordReset { master, user, password, logs_in_unencrypted, proven };
            passwords::blocking_triggers(session, &reset).await
        }
    };
    found.unwrap_or_default()
}
