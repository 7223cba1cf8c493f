//! The check for privileges that a master user lacks.

use rotation_database::{EngineError, MasterTask, administrator};

use crate::name::Name;
use crate::session::Session;

/// Returns the privileges that the master user lacks to create and change users, and to read the
/// dictionary.
pub(crate) async fn missing_privileges(
    session: &mut Session,
    master: &str,
    task: MasterTask<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    const ACTION: &str = "read the privileges of the master user";
    session.begin().await?;
    let name = Name::written(master).map_or_else(|| master.to_owned(), |name| name.to_string());
    let lacks = |grant: &str| {
        let remedy = administrator(&format!("GRANT {grant} TO {name}"));
        EngineError::lacks("administer users", master, grant, remedy)
    };
    let mut missing = Vec::new();
    let needed = ["ALTER USER", "CREATE USER"];
    for privilege in &needed[..if task.copies() { 2 } else { 1 }] {
        let query = "SELECT privilege FROM SYS.SESSION_PRIVS WHERE privilege = :1";
        if session.rows(ACTION, query, &[privilege]).await?.is_empty() {
            missing.push(lacks(privilege));
        }
    }
    if !task.copies() {
        return Ok(missing);
    }
    match session
        .rows(ACTION, "SELECT username FROM SYS.DBA_USERS WHERE username = :1", &["SYS"])
        .await
    {
        Err(EngineError::PrivilegeMissing { .. }) => missing.push(lacks("SELECT_CATALOG_ROLE")),
        read => drop(read?),
    }
    Ok(missing)
}
