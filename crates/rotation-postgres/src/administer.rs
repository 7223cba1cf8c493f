//! The privileges that a master user needs to administer a role.

use crate::quote::identifier;

/// The first version in which CREATEROLE is not sufficient to administer a role: the master user
/// also needs ADMIN OPTION on the role.
pub(crate) const ADMIN_OPTION_REQUIRED: Option<u32> = Some(160_000);

/// Returns the remedy that lets a master user administer a role.
pub(crate) fn administer(version: Option<u32>, master: &str, role: &str) -> String {
    let master = identifier(master);
    let mut remedy = format!("As an administrator of the database: ALTER ROLE {master} CREATEROLE");
    if version >= ADMIN_OPTION_REQUIRED {
        remedy.push_str(&format!("; GRANT {} TO {master} WITH ADMIN OPTION", identifier(role)));
    }
    remedy.push_str(". (Only a superuser can administer a role with SUPERUSER.)");
    remedy
}
