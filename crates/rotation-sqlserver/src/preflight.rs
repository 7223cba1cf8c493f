//! The check for privileges that a master user lacks.

use rotation_database::{
    EngineError, MasterTask, Password, PasswordReset, SyncRequest, administrator,
};

use crate::master_permissions::{
    self, ALTER_LOGINS, ALTER_USERS, CREATE_LOGINS, On, READ_ALL, READ_DATABASE,
};
use crate::quote::identifier;
use crate::scope::Scope;
use crate::session::Session;
use crate::sync::passwords;
use crate::sync::{self, Home, Users};

/// Returns the privileges that the master user lacks to change accounts and to read their
/// permissions, and the triggers that would block setSecret.
pub(crate) async fn missing_privileges(
    session: &mut Session,
    master: &str,
    task: MasterTask<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    let mut missing: Vec<_> = match home(session, master, task).await? {
        Home::Server => {
            // Logins are created and their permissions are read only for a sync.
            let for_sync =
                if task.copies() { [&[CREATE_LOGINS], READ_ALL].concat() } else { vec![] };
            let needed = [vec![ALTER_LOGINS], for_sync].concat();
            let lacking = master_permissions::lacking(session, On::Server, &needed).await?;
            lacking
                .into_iter()
                .map(|name| master_permissions::lacks("administer logins", master, &[name]))
                .collect()
        }
        // The master user of contained users needs no permission on the server, and may be a
        // contained user itself.
        Home::Database(database) => {
            let needed = [&[ALTER_USERS], READ_DATABASE].concat();
            let lacking = master_permissions::lacking(session, On::Database, &needed).await?;
            let enter = Scope::Database(&database).enter();
            let lacks = |name: &str| {
                let grant = format!("{enter}GRANT {name} TO {}", identifier(master));
                EngineError::lacks("administer users", master, name, administrator(&grant))
            };
            lacking.into_iter().map(lacks).collect()
        }
    };
    missing.extend(blocking_triggers(session, master, task).await);
    Ok(missing)
}

/// Returns where the account of the base user is.
async fn home(
    session: &mut Session,
    master: &str,
    task: MasterTask<'_>,
) -> Result<Home, EngineError> {
    let password = &Password::new("");
    match task {
        MasterTask::Alternate(pair) => {
            let request = SyncRequest::to_compare(master, pair, password, false);
            Users::new(session, &request).home().await
        }
        MasterTask::SetPassword(user) => {
            Users::new(session, &reset(master, user, password)).home().await
        }
    }
}

fn reset<'a>(master: &'a str, user: &'a str, password: &'a Password) -> PasswordReset<'a> {
    PasswordReset { master, user, password, logs_in_unencrypted: false, proven: None }
}

/// Returns the errors for triggers that would block setSecret. If the triggers cannot be read,
/// setSecret reports that.
async fn blocking_triggers(
    session: &mut Session,
    master: &str,
    task: MasterTask<'_>,
) -> Vec<EngineError> {
    let password = &Password::new("");
    let found = match task {
        MasterTask::Alternate(pair) => {
            let request = SyncRequest::to_compare(master, pair, password, false);
            sync::blocking_triggers(session, &request).await
        }
        MasterTask::SetPassword(user) => {
            passwords::blocking_triggers(session, &reset(master, user, password)).await
        }
    };
    found.unwrap_or_default()
}
