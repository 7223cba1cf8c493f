//! What a master needs to administer a role.

use crate::quote::identifier;

/// The first version where CREATEROLE alone administers no role: that takes ADMIN OPTION on it.
pub(crate) const ADMIN_OPTION_COUNTS: u32 = 160_000;

/// Returns the remedy that lets a master administer a role.
pub(crate) fn administer(version: u32, master: &str, role: &str) -> String {
    let master = identifier(master);
    let mut remedy = format!("As an administrator of the database: ALTER ROLE {master} CREATEROLE");
    if version >= ADMIN_OPTION_COUNTS {
        remedy.push_str(&format!("; GRANT {} TO {master} WITH ADMIN OPTION", identifier(role)));
    }
    remedy.push_str(". (A role with SUPERUSER takes a master that is a superuser.)");
    remedy
}
