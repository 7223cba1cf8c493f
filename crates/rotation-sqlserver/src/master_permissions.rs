//! The permissions on the server that a master user of logins needs.

use rotation_database::{EngineError, administrator};

use crate::quote::identifier;
use crate::session::{Session, flag, unexpected};

/// Creates logins, and changes their passwords and options.
pub(crate) const ALTER_LOGINS: &str = "ALTER ANY LOGIN";

/// Shows permissions and principals, and all databases. The sync would revoke a permission that it
/// does not see, and would leave out a database that it does not see.
///
/// `VIEW ANY DEFINITION` implies `VIEW ANY DATABASE`, and `public` has it by default. But it can be
/// [denied], to a login or to `public`.
///
/// [denied]: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-databases-transact-sql
pub(crate) const READ_ALL: &[&str] = &["VIEW ANY DEFINITION", VIEW_DATABASES];

const VIEW_DATABASES: &str = "VIEW ANY DATABASE";

/// Returns those of `permissions` that the login of the session lacks.
pub(crate) async fn lacking<'p>(
    session: &mut Session,
    permissions: &[&'p str],
) -> Result<Vec<&'p str>, EngineError> {
    let questions: Vec<_> = permissions
        .iter()
        .map(|name| format!("CAST(COALESCE(HAS_PERMS_BY_NAME(NULL, NULL, '{name}'), 0) AS int)"))
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

/// Creates the error for permissions that the master user lacks. `action` is read after "could
/// not".
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
