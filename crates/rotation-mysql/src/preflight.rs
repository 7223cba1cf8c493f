//! The check for privileges that a master user lacks.

use rotation_database::{EngineError, MasterTask, administrator};

use crate::administer::default_role_alternative;
use crate::quote::Literals;
use crate::session::{Session, text};

/// Returns the privileges that the master user lacks to create users and to read the accounts, and
/// on MySQL to update them.
pub(crate) async fn missing_privileges(
    session: &mut Session,
    master: &str,
    _task: MasterTask<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    const ACTION: &str = "read the privileges of the master user";
    let inactive_roles = session.activate_roles().await?;
    let lacks = |grant: &str| {
        let to = Literals::BackslashEscapes.quote(master);
        let or = default_role_alternative(&inactive_roles, &to);
        let remedy = administrator(&format!("GRANT {grant} TO {to}@'HOST'{or}"));
        EngineError::lacks("administer users", master, grant, remedy)
    };
    let granted = session.rows(ACTION, "SHOW GRANTS").await?;
    let makes_users = granted.iter().filter_map(|row| text(row, 0)).any(|grant| {
        let (privileges, _) = grant.split_once(" TO ").unwrap_or((&grant, ""));
        privileges.ends_with(" ON *.*")
            && (privileges.contains("CREATE USER") || privileges.contains("ALL PRIVILEGES"))
    });
    // SHOW GRANTS does not list the privileges of roles. setSecret reports what is missing.
    let has_role = session.has_active_role().await;
    let mut missing = Vec::new();
    if !makes_users && !has_role {
        missing.push(lacks("CREATE USER ON *.*"));
    }
    match session.rows(ACTION, "SELECT 1 FROM mysql.user LIMIT 1").await {
        Err(EngineError::PrivilegeMissing { .. }) => {
            missing.push(lacks("SELECT, UPDATE ON mysql.*"))
        }
        read => drop(read?),
    }
    Ok(missing)
}
