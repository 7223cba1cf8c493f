//! What a master lacks, read without changing anything.

use rotation_database::{EngineError, MastersTask, administrator};

use crate::administer::or_default_role;
use crate::quote::Literals;
use crate::session::{Session, text};

/// Whether the master may make users and read the accounts, and on MySQL change them.
pub(crate) async fn missing(
    session: &mut Session,
    master: &str,
    _task: MastersTask<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    const ACTION: &str = "ask what the master may do";
    let inactive_roles = session.activate_roles().await?;
    let lacks = |grant: &str| {
        let to = Literals::BackslashEscapes.quote(master);
        let or = or_default_role(&inactive_roles, &to);
        let remedy = administrator(&format!("GRANT {grant} TO {to}@'HOST'{or}"));
        EngineError::lacks("administer users", master, grant, remedy)
    };
    let granted = session.rows(ACTION, "SHOW GRANTS").await?;
    let makes_users = granted.iter().filter_map(|row| text(row, 0)).any(|grant| {
        let (privileges, _) = grant.split_once(" TO ").unwrap_or((&grant, ""));
        privileges.ends_with(" ON *.*")
            && (privileges.contains("CREATE USER") || privileges.contains("ALL PRIVILEGES"))
    });
    // What a role brings along stands elsewhere; setSecret finds out.
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
