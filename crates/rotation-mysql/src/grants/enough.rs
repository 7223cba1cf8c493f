//! The check whether a master user can grant its privileges to other users.

use std::collections::BTreeSet;

use rotation_database::EngineError;

use super::{ALL, Change, Grants, Privilege, parse};

impl Grants {
    /// Returns `false` if a user with these grants certainly cannot run a change, and `true` if the
    /// user may be able to run it. The result is not exact, because the privilege and the option
    /// can come from different levels, and the name of a database can be a pattern.
    ///
    /// # Errors
    /// Returns an error if the privileges that the change needs cannot be parsed.
    pub(crate) fn may_allow(&self, change: &Change) -> Result<bool, EngineError> {
        let needs = parse(&[format!("GRANT {} TO user", change.needs)])?;
        let is_administrator = self.has("*.*", "SUPER") || self.dynamic.contains_key("ROLE_ADMIN");
        Ok(needs.objects.iter().all(|(object, wanted)| self.may_grant(object, &wanted.privileges))
            && needs.dynamic.keys().all(|name| self.dynamic.get(name) == Some(&true))
            && needs
                .roles
                .keys()
                .all(|role| is_administrator || self.roles.get(role) == Some(&true))
            && (needs.proxies.is_empty() || self.proxies.values().any(|with| *with)))
    }

    fn may_grant(&self, object: &str, privileges: &BTreeSet<Privilege>) -> bool {
        let reach = || self.objects.iter().filter(|(own, _)| may_contain(own, object));
        reach().any(|(_, own)| own.grant_option)
            && privileges.iter().all(|one| reach().any(|(own, _)| self.has(own, &one.name)))
    }

    /// Returns `true` if the privilege is granted on the whole object or on a column of it.
    fn has(&self, object: &str, privilege: &str) -> bool {
        let privileges = self.objects.get(object).map(|object| &object.privileges);
        privileges
            .into_iter()
            .flatten()
            .any(|Privilege { name, .. }| name == ALL || name == privilege || privilege == ALL)
    }
}

/// Returns `true` if a grant on `own` may include `object`: `own` is the same object, its whole
/// database, or everything.
fn may_contain(own: &str, object: &str) -> bool {
    let is_pattern = own.ends_with(".*") && own.contains(['%', '_']);
    let database = |name: &str| name.split_once('.').map(|(database, _)| database.to_owned());
    own == "*.*"
        || own == object
        || is_pattern
        || (own.ends_with(".*") && database(own) == database(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(rows: &[&str]) -> Grants {
        parse(&rows.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn missing_grant_option_is_detected() {
        let lacks = |own: &[&str], wanted: &[&str]| {
            let (own, changes) = (grants(own), grants(&[]).changes_to(&grants(wanted)));
            changes.iter().any(|change| !own.may_allow(change).unwrap())
        };
        let select = "GRANT SELECT (`c`), INSERT ON `shop`.`t` TO `u`@`%`";
        for (own, wanted, expected) in [
            (
                &["GRANT SELECT, INSERT ON `shop`.`t` TO `m`@`%` WITH GRANT OPTION"][..],
                select,
                false,
            ),
            (&["GRANT SELECT ON `shop`.`t` TO `m`@`%` WITH GRANT OPTION"], select, true),
            (&["GRANT SELECT, INSERT ON `shop`.`t` TO `m`@`%`"], select, true),
            (&["GRANT ALL PRIVILEGES ON `shop`.* TO `m`@`%` WITH GRANT OPTION"], select, false),
            (&["GRANT ALL PRIVILEGES ON `other`.* TO `m`@`%` WITH GRANT OPTION"], select, true),
            (&["GRANT ALL PRIVILEGES ON `s%`.* TO `m`@`%` WITH GRANT OPTION"], select, false),
            (&["GRANT ALL PRIVILEGES ON *.* TO `m`@`%` WITH GRANT OPTION"], select, false),
            // The privilege comes from one level, and the option from another.
            (
                &[
                    "GRANT SELECT, INSERT ON *.* TO `m`@`%`",
                    "GRANT USAGE ON `shop`.* TO `m`@`%` WITH GRANT OPTION",
                ],
                select,
                false,
            ),
            (&["GRANT ROLE_ADMIN ON *.* TO `m`@`%`"], "GRANT ROLE_ADMIN ON *.* TO `u`@`%`", true),
            (&["GRANT ROLE_ADMIN ON *.* TO `m`@`%`"], "GRANT `r`@`%` TO `u`@`%`", false),
            (&["GRANT `r`@`%` TO `m`@`%` WITH ADMIN OPTION"], "GRANT `r`@`%` TO `u`@`%`", false),
            (&["GRANT `r`@`%` TO `m`@`%`"], "GRANT `r`@`%` TO `u`@`%`", true),
            (&["GRANT PROXY ON ``@`%` TO `m`@`%`"], "GRANT PROXY ON `a`@`%` TO `u`@`%`", true),
            (
                &["GRANT PROXY ON ``@`%` TO `m`@`%` WITH GRANT OPTION"],
                "GRANT PROXY ON `a`@`%` TO `u`@`%`",
                false,
            ),
        ] {
            assert_eq!(lacks(own, &[wanted]), expected, "{own:?} for {wanted}");
        }
    }
}
