//! What must wait while applications use the alternate user, that is on the base user's turn: a
//! profile that could keep that user from logging in.
//!
//! Privileges need not wait. On the base user's turn, the base user has just been shown to log in,
//! with privileges that the alternate user gets as well.

use std::collections::BTreeMap;

use rotation_database::EngineError;

use crate::alternate::Step;
use crate::name::Name;
use crate::user::text;

/// The limits of a profile that may end the sessions of a user, or let its password or account
/// expire. [CREATE
/// PROFILE](https://docs.oracle.com/en/database/oracle/oracle-database/19/sqlrf/CREATE-PROFILE.html).
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

impl Step<'_> {
    /// Returns `true` if a profile limits in any way more than another one.
    pub(crate) async fn restricts(
        &mut self,
        profile: &Name,
        than: &Name,
    ) -> Result<bool, EngineError> {
        let default = Name::known("DEFAULT".to_owned());
        let defaults = match &default {
            Some(name) => self.limits(name).await?,
            None => BTreeMap::new(),
        };
        let (limits, others) = (self.limits(profile).await?, self.limits(than).await?);
        let of = |limits: &BTreeMap<String, String>, name: &str| {
            let limit = limits.get(name).filter(|limit| *limit != "DEFAULT");
            limit.or_else(|| defaults.get(name)).and_then(|limit| limit.parse::<f64>().ok())
        };
        Ok(RESTRICTING.iter().any(|name| match (of(&limits, name), of(&others, name)) {
            (Some(limit), Some(other)) => limit < other,
            // What is no number is UNLIMITED.
            (limit, None) => limit.is_some(),
            (None, Some(_)) => false,
        }))
    }

    async fn limits(&mut self, profile: &Name) -> Result<BTreeMap<String, String>, EngineError> {
        const LIMITS: &str = "SELECT resource_name, limit FROM SYS.DBA_PROFILES WHERE profile = :1";
        let rows =
            self.read(&format!("read the limits of profile {profile}"), LIMITS, profile).await?;
        rows.iter().map(|row| Ok((text(row, 0)?.to_owned(), text(row, 1)?.to_owned()))).collect()
    }
}
