//! The attributes of a role, and the differences between those of two roles.

use rotation_database::{EngineError, administrator};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::failure::failure;
use crate::quote::{identifier, literal};

/// The attributes of [CREATE ROLE](https://www.postgresql.org/docs/current/sql-createrole.html)
/// that the sync copies.
///
/// `INHERIT` is not copied. The alternate role always inherits, because it has its privileges
/// through the base role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    flags: [bool; FLAGS.len()],
    /// `CONNECTION LIMIT`. `None` means that there is no limit.
    connection_limit: Option<i32>,
    /// `VALID UNTIL`. `None` and `infinity` both mean that the role does not expire.
    valid_until: Option<String>,
    /// `true` if `VALID UNTIL` has passed.
    expired: bool,
}

/// The keyword of each attribute that is a flag, and its column in `pg_roles`.
const FLAGS: [(&str, &str); 7] = [
    ("LOGIN", "rolcanlogin"),
    ("SUPERUSER", "rolsuper"),
    ("CREATEDB", "rolcreatedb"),
    ("CREATEROLE", "rolcreaterole"),
    ("REPLICATION", "rolreplication"),
    ("BYPASSRLS", "rolbypassrls"),
    ("INHERIT", "rolinherit"),
];
const LOGIN: usize = 0;
const INHERIT: usize = 6;

/// The query for the attributes of both roles.
pub(crate) const QUERY: &str = "SELECT rolname::text, rolcanlogin, rolsuper, rolcreatedb, \
                                rolcreaterole, rolreplication, rolbypassrls, rolinherit, \
                                rolconnlimit, CASE WHEN rolvaliduntil < 'infinity' THEN \
                                rolvaliduntil::text END AS valid_until, coalesce(rolvaliduntil < \
                                now(), false) AS expired FROM pg_catalog.pg_roles WHERE \
                                rolname::text IN ($1, $2)";

impl Attributes {
    /// Checks that the role has not expired. The server rejects every password of an expired role
    /// with the error for a wrong password.
    pub(crate) fn check_not_expired(&self, role: &str) -> Result<(), EngineError> {
        if !self.expired {
            return Ok(());
        }
        Err(EngineError::AccountExpired {
            message: format!("VALID UNTIL of role {role} has passed"),
            remedy: administrator(&format!(
                "ALTER ROLE {} VALID UNTIL 'infinity'",
                identifier(role)
            )),
        })
    }

    pub(crate) fn read(row: &PgRow) -> Result<(String, Self), EngineError> {
        let read = || -> Result<_, sqlx::Error> {
            let mut flags = [false; FLAGS.len()];
            for (flag, (_, column)) in flags.iter_mut().zip(FLAGS) {
                *flag = row.try_get(column)?;
            }
            let attributes = Self {
                flags,
                connection_limit: Some(row.try_get("rolconnlimit")?).filter(|limit| *limit >= 0),
                valid_until: row.try_get("valid_until")?,
                expired: row.try_get("expired")?,
            };
            Ok((row.try_get("rolname")?, attributes))
        };
        read().map_err(|error| failure(&error, "read the attributes of the roles", None))
    }

    /// Returns the attributes of a role that was created with `CREATE ROLE name`.
    pub(crate) fn of_new_role() -> Self {
        let mut flags = [false; FLAGS.len()];
        flags[INHERIT] = true;
        Self { flags, connection_limit: None, valid_until: None, expired: false }
    }

    /// Returns the attributes that the alternate role of this role must have.
    pub(crate) fn for_alternate(&self) -> Self {
        let mut attributes = self.clone();
        attributes.flags[LOGIN] = true;
        attributes.flags[INHERIT] = true;
        attributes
    }

    /// Returns the part of `wanted` that can be applied while applications use the role. The other
    /// changes, which could prevent a login, are deferred.
    pub(crate) fn while_in_use(&self, wanted: &Self) -> Self {
        let mut now = wanted.clone();
        if wanted.connection_limit.is_some_and(|wanted| {
            self.connection_limit.is_none_or(|connection_limit| connection_limit > wanted)
        }) {
            now.connection_limit = self.connection_limit;
        }
        if wanted.valid_until.is_some() {
            now.valid_until.clone_from(&self.valid_until);
        }
        now
    }

    /// Returns the options of `ALTER ROLE` that turn `self` into `wanted`.
    pub(crate) fn options_to(&self, wanted: &Self) -> Vec<String> {
        let mut options = Vec::new();
        for (index, (keyword, _)) in FLAGS.iter().enumerate() {
            if self.flags[index] != wanted.flags[index] {
                options.push(format!("{}{keyword}", if wanted.flags[index] { "" } else { "NO" }));
            }
        }
        if self.connection_limit != wanted.connection_limit {
            options.push(format!("CONNECTION LIMIT {}", wanted.connection_limit.unwrap_or(-1)));
        }
        if self.valid_until != wanted.valid_until {
            let until = wanted.valid_until.as_deref().unwrap_or("infinity");
            options.push(format!("VALID UNTIL {}", literal(until)));
        }
        options
    }
}

#[cfg(test)]
impl Attributes {
    /// Creates attributes for tests.
    pub(super) fn of(
        flags: [bool; FLAGS.len()],
        connection_limit: Option<i32>,
        valid_until: Option<String>,
    ) -> Self {
        Self { flags, connection_limit, valid_until, expired: false }
    }

    /// Changes the attributes as `ALTER ROLE` with these options does.
    pub(super) fn alter(&mut self, options: &[&str]) {
        match options {
            [] => return,
            ["CONNECTION", "LIMIT", limit, rest @ ..] => {
                self.connection_limit = limit.parse().ok().filter(|limit| *limit >= 0);
                return self.alter(rest);
            }
            ["VALID", "UNTIL", until, rest @ ..] => {
                self.valid_until = (*until != "infinity").then(|| until.to_string());
                return self.alter(rest);
            }
            [option, ..] => {
                let is_flag = |(keyword, _): &(&str, &str)| option.ends_with(keyword);
                let index = FLAGS.iter().position(is_flag).expect("an unknown option");
                self.flags[index] = *option == FLAGS[index].0;
            }
        }
        self.alter(&options[1..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn active_role_can_still_log_in() {
        let role = |connection_limit, valid_until: Option<&str>| Attributes {
            connection_limit,
            valid_until: valid_until.map(str::to_owned),
            ..Attributes::of_new_role()
        };
        for (has, wanted, expected) in [
            (role(None, None), role(Some(0), Some("2020-01-01")), role(None, None)),
            (role(Some(5), None), role(Some(3), None), role(Some(5), None)),
            (role(Some(3), Some("2030-01-01")), role(Some(5), None), role(Some(5), None)),
            (role(Some(3), None), role(None, None), role(None, None)),
        ] {
            assert_eq!(has.while_in_use(&wanted), expected, "{has:?} {wanted:?}");
        }
    }

    #[test]
    fn only_differences_are_changed() {
        let mut base = Attributes::of_new_role();
        base.flags[2] = true;
        base.connection_limit = Some(7);
        base.valid_until = Some("2030-01-01 00:00:00+00".into());
        let wanted = base.for_alternate();
        assert_eq!(
            Attributes::of_new_role().options_to(&wanted),
            ["LOGIN", "CREATEDB", "CONNECTION LIMIT 7", "VALID UNTIL '2030-01-01 00:00:00+00'"]
        );
        assert_eq!(wanted.options_to(&wanted), [""; 0]);
        let plain = Attributes::of_new_role().for_alternate();
        assert_eq!(
            wanted.options_to(&plain),
            ["NOCREATEDB", "CONNECTION LIMIT -1", "VALID UNTIL 'infinity'"]
        );
    }
}
