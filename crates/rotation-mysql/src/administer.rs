//! The statements that grant a missing privilege to a master user.

use rotation_database::administrator;

use crate::quote::{Literals, identifier};

/// Returns the remedy that grants a privilege to the master user. `grant` ends with `TO`, and
/// `with` is the option that follows the account.
///
/// `inactive_roles` are the roles that the master user has and that are not active. One of them may
/// have the privilege.
pub(crate) fn administer(
    master: &str,
    grant: &str,
    with: &str,
    inactive_roles: &[String],
) -> String {
    let master = Literals::BackslashEscapes.quote(master);
    let or = default_role_alternative(inactive_roles, &master);
    administrator(&format!("{grant} {master}@'HOST'{with}{or}"))
}

/// Returns the alternative to granting a privilege that an inactive role of the master user may
/// have, or nothing if there are no such roles.
pub(crate) fn default_role_alternative(roles: &[String], master: &str) -> String {
    let names: Vec<_> = roles.iter().map(|role| identifier(role)).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(
            ". Or, if a role of the master user has it, make that role active: SET DEFAULT ROLE {} \
             FOR {master}@'HOST'",
            names.join(" or ")
        ),
    }
}
