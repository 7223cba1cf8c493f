//! The permissions that a master user needs to see and to change accounts.

use rotation_database::{EngineError, administrator};

use crate::quote::identifier;
use crate::session::{Session, flag, unexpected};

/// The permission to create contained users and to change their passwords.
pub(crate) const ALTER_USERS: &str = "ALTER ANY USER";

/// The permission to see all principals and permissions of a database.
pub(crate) const READ_DATABASE: &str = "VIEW DEFINITION";

/// The permission to create logins and to change their passwords.
pub(crate) const ALTER_LOGINS: &str = "ALTER ANY LOGIN";

/// The permissions to see all principals, permissions and databases. The sync would revoke a
/// permission that it does not see, and would skip a database that it does not see.
///
/// `VIEW ANY DEFINITION` implies `VIEW ANY DATABASE`, and `public` has it by default. But it can be
/// denied, to a login or to `public` (see the page of `sys.databases`).
pub(crate) const READ_ALL: &[&str] = &["VIEW ANY DEFINITION", VIEW_DATABASES];

const VIEW_DATABASES: &str = "VIEW ANY DATABASE";

/// The securable of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// The permission is on the server.
    Server,
    /// The permission is on the session's database.
    Database,
}

/// Returns those of `permissions` that the session's user lacks.
pub(crate) async fn lacking<'p>(
    session: &mut Session,
    on: On,
    permissions: &[&'p str],
) -> Result<Vec<&'p str>, EngineError> {
    let securable = match on {
        On::Server => "NULL, NULL",
        On::Database => "QUOTENAME(DB_NAME()), 'DATABASE'",
    };
    let questions: Vec<_> = permissions
        .iter()
        .map(|name| format!("CAST(COALESCE(HAS_PERMS_BY_NAME({securable}, '{name}'), 0) AS int)"))
        .collect();
    let query = format!("SELECT {}", questions.join(", "));
    let rows = session.rows("read the privileges of the master user", &query, &[]).await?;
    let row = rows.first().ok_or_else(|| unexpected("the server returned no row"))?;
    let mut lacking = Vec::new();
    for (index, permission) in permissions.iter().enumerate() {
        if !flag(row, index)? {
            lacking.push(*permission);
        }
    }
    Ok(lacking)
}

/// Creates the error for permissions on the server that the master user lacks. `action` is read
/// after "could not".
pub(crate) fn lacks(action: &str, master: &str, permissions: &[&str]) -> EngineError {
    let names = permissions.join(", ");
    let denied = match permissions.contains(&VIEW_DATABASES) {
        true => format!(
            " (if it is denied to public or to a server role, also REVOKE {VIEW_DATABASES} there)"
        ),
        false => String::new(),
    };
    let grant = format!("USE [master]; GRANT {names} TO {}{denied}", identifier(master));
    EngineError::lacks(action, master, &names, administrator(&grant))
}
