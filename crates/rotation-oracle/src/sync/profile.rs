//! The check whether a new profile could prevent the alternate user from logging in. If the target
//! is the base user, applications are using the alternate user, and such a profile is deferred.
//!
//! Privileges are not deferred, except those that the alternate user would lack for a moment
//! ([`super::grants::Change::is_replaced`]). If the target is the base user, the rotation has just
//! proven that the base user can log in with the privileges that the alternate user gets.

use std::collections::BTreeMap;

use rotation_database::EngineError;

use super::Users;
use super::state::text;
use crate::name::Name;

/// The limits of a profile ([CREATE PROFILE][1]) that can end the sessions of a user, or let its
/// password or account expire.
///
/// [1]: https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/CREATE-PROFILE.html
const RESTRICTING: [&str; 11] = [
    "COMPOSITE_LIMIT",
    "CONNECT_TIME",
    "CPU_PER_CALL",
    "CPU_PER_SESSION",
    "FAILED_LOGIN_ATTEMPTS",
    "IDLE_TIME",
    "INACTIVE_ACCOUNT_TIME",
    "LOGICAL_READS_PER_CALL",
    "LOGICAL_READS_PER_SESSION",
    "PASSWORD_LIFE_TIME",
    "SESSIONS_PER_USER",
];

impl Users<'_> {
    /// Returns `true` if any limit of a profile is lower than that of another profile.
    pub(crate) async fn restricts(
        &mut self,
        profile: &Name,
        than: &Name,
    ) -> Result<bool, EngineError> {
        const LIMITS: &str = "SELECT profile, resource_name, limit FROM SYS.DBA_PROFILES \
            WHERE profile IN (:1, :2, 'DEFAULT')";
        let action = format!("read the limits of the profiles {profile} and {than}");
        let mut limits = BTreeMap::new();
        for row in self.read_with(&action, LIMITS, &[profile.as_str(), than.as_str()]).await? {
            let key = (text(&row, 0)?.to_owned(), text(&row, 1)?.to_owned());
            limits.insert(key, text(&row, 2)?.to_owned());
        }
        let of = |profile: &str, name: &str| limits.get(&(profile.to_owned(), name.to_owned()));
        // A limit that is not a number is UNLIMITED.
        let limit = |profile: &Name, name: &str| {
            let limit = of(profile.as_str(), name).filter(|limit| *limit != "DEFAULT");
            limit.or_else(|| of("DEFAULT", name)).and_then(|limit| limit.parse::<f64>().ok())
        };
        Ok(RESTRICTING.iter().any(|name| {
            let other = limit(than, name);
            limit(profile, name).is_some_and(|limit| other.is_none_or(|other| limit < other))
        }))
    }
}
