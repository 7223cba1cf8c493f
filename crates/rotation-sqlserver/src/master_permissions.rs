//! The permissions that a master user needs to see and to change accounts.

use rotation_database::{EngineError, administrator};

use crate::quote::identifier;
use crate::session::{Session, flag, unexpected};

/// The permission to create contained users and to change their passwords.
pub(crate) const ALTER_USERS: &str = "ALTER ANY USER";

/// The permissions to see all principals and permissions of a database.
///
/// `VIEW DEFINITION` implies the second one, which SQL Server 2022 has [introduced][new]. But that
/// one can be denied, and then principals and permissions may be hidden.
///
/// [new]: https://learn.microsoft.com/sql/relational-databases/security/permissions-database-engine
pub(crate) const READ_DATABASE: &[&str] = &["VIEW DEFINITION", "VIEW SECURITY DEFINITION"];

/// The permission to create logins and to change their passwords.
pub(crate) const ALTER_LOGINS: &str = "ALTER ANY LOGIN";

/// The permission to create logins in SQL Server 2022. `ALTER ANY LOGIN` implies it, but it can be
/// denied.
pub(crate) const CREATE_LOGINS: &str = "CREATE LOGIN";

/// The permissions to see all principals, permissions and databases. The sync would revoke a
/// permission that it does not see, and would skip a database that it does not see.
///
/// `VIEW ANY DEFINITION` implies the others, and `public` has `VIEW ANY DATABASE` by default. But
/// each of them can be denied, to a login or to `public` (see the page of `sys.databases`).
pub(crate) const READ_ALL: &[&str] =
    &["VIEW ANY DEFINITION", VIEW_DATABASES, "VIEW ANY SECURITY DEFINITION"];

const VIEW_DATABASES: &str = "VIEW ANY DATABASE";

/// The permissions that SQL Server 2022 has introduced, each with the older permission that implies
/// it. An older server returns `NULL` for them, as for every unknown permission.
const SINCE_2022: &[(&str, &str)] = &[
    (CREATE_LOGINS, ALTER_LOGINS),
    ("VIEW SECURITY DEFINITION", "VIEW DEFINITION"),
    ("VIEW ANY SECURITY DEFINITION", "VIEW ANY DEFINITION"),
];

/// Leaves out the permissions that the user gets with another one that it also lacks.
pub(crate) fn without_implied(lacking: Vec<&str>) -> Vec<&str> {
    let implied = |name: &str| {
        let implying = SINCE_2022.iter().find(|(permission, _)| *permission == name);
        implying.is_some_and(|(_, implying)| lacking.contains(implying))
    };
    lacking.iter().copied().filter(|name| !implied(name)).collect()
}

/// The securable of a permission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// The permission is on the server.
    Server,
    /// The permission is on the session's database.
    Database,
}

/// Returns those of `permissions` that the session's user lacks, without those that another one of
/// them implies.
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
        .map(|name| {
            let unknown = i32::from(SINCE_2022.iter().any(|(permission, _)| permission == name));
            format!("CAST(COALESCE(HAS_PERMS_BY_NAME({securable}, '{name}'), {unknown}) AS int)")
        })
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
    Ok(without_implied(lacking))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn implied_permission_is_not_requested_with_the_implying_one() {
        let both = vec!["VIEW DEFINITION", "VIEW SECURITY DEFINITION"];
        assert_eq!(without_implied(both), ["VIEW DEFINITION"]);
        assert_eq!(without_implied(vec!["CREATE LOGIN"]), ["CREATE LOGIN"]);
        let all = vec!["VIEW ANY DEFINITION", "VIEW ANY DATABASE"];
        assert_eq!(without_implied(all.clone()), all);
    }
}
