//! Checks whether the application's users could have created or altered a DDL trigger.
//!
//! The catalog does not record who wrote a trigger, so the check is about who can write one. A user
//! can act as every role that it is in or owns, and as every principal that it may alter or
//! impersonate.

use std::collections::BTreeSet;

use rotation_database::{EngineError, PasswordRequest};
use tiberius::Row;

use crate::quote::binary;
use crate::scope::Scope;
use crate::session::{column, unexpected};
use crate::sync::Users;

/// The permissions and fixed roles of a scope with which a principal can write a trigger there, or
/// can become a principal that can.
struct Powers {
    permissions: &'static str,
    roles: &'static str,
    /// The ID of `public`, of which every principal is a member.
    public: i32,
    /// The ID of `sa` or `dbo`, which have every permission.
    owner: i32,
    /// The class number of permissions on principals.
    principals: i32,
}

const SERVER_POWERS: Powers = Powers {
    permissions: "N'CONTROL SERVER', N'ALTER ANY LOGIN', N'ALTER ANY SERVER ROLE', \
        N'IMPERSONATE ANY LOGIN'",
    roles: "N'sysadmin', N'securityadmin', N'##MS_LoginManager##'",
    public: 2,
    owner: 1,
    principals: 101,
};

/// The permissions and roles of the server with which a login can get any permission in every
/// database.
const POWERS_OVER_DATABASES: Powers = Powers {
    permissions: "N'CONTROL SERVER', N'ALTER ANY LOGIN', N'ALTER ANY SERVER ROLE', \
        N'IMPERSONATE ANY LOGIN', N'ALTER ANY DATABASE'",
    roles: "N'sysadmin', N'securityadmin', N'dbcreator', N'##MS_LoginManager##', \
        N'##MS_DatabaseManager##'",
    ..SERVER_POWERS
};

const DATABASE_POWERS: Powers = Powers {
    permissions: "N'CONTROL', N'ALTER', N'TAKE OWNERSHIP', N'ALTER ANY DATABASE DDL TRIGGER', \
        N'ALTER ANY ROLE', N'ALTER ANY USER', N'ALTER ANY APPLICATION ROLE'",
    roles: "N'db_owner', N'db_ddladmin', N'db_securityadmin', N'db_accessadmin'",
    public: 0,
    owner: 1,
    principals: 4,
};

impl<R: PasswordRequest> Users<'_, R> {
    /// Returns `true` if one of the users, or a principal that it can act as, can write triggers in
    /// a scope.
    pub(crate) async fn could_write_triggers(
        &mut self,
        scope: Scope<'_>,
    ) -> Result<bool, EngineError> {
        if scope == Scope::Server {
            return self.has_power(Scope::Server, &SERVER_POWERS).await;
        }
        Ok(self.has_power(scope, &DATABASE_POWERS).await?
            || !self.are_contained()
                && self.has_power(Scope::Server, &POWERS_OVER_DATABASES).await?)
    }

    async fn has_power(&mut self, scope: Scope<'_>, powers: &Powers) -> Result<bool, EngineError> {
        let (sys, principals) = (scope.sys(), scope.principals());
        let sids = self.sids.iter().map(|sid| binary(sid)).collect::<Vec<_>>().join(", ");
        let Powers { permissions, roles, public, owner, principals: class } = powers;
        let own_class = scope.own_class();
        let (members, granted) = (scope.role_members(), scope.permissions());
        let query = format!(
            "SELECT CAST(p.principal_id AS int) FROM {sys}.{principals} p WHERE p.sid IN ({sids}); \
             SELECT CAST(m.member_principal_id AS int), CAST(m.role_principal_id AS int) \
             FROM {sys}.{members} m UNION ALL \
             SELECT CAST(r.owning_principal_id AS int), CAST(r.principal_id AS int) \
             FROM {sys}.{principals} r WHERE r.owning_principal_id IS NOT NULL \
             UNION ALL SELECT CAST(g.grantee_principal_id AS int), CAST(g.major_id AS int) \
             FROM {sys}.{granted} g WHERE g.class = {class} AND g.state IN ('G', 'W') \
             AND g.permission_name IN (N'CONTROL', N'ALTER', N'IMPERSONATE', N'TAKE OWNERSHIP'); \
             SELECT CAST(f.principal_id AS int) FROM {sys}.{principals} f \
             WHERE f.is_fixed_role = 1 AND f.name IN ({roles}) \
             UNION ALL SELECT CAST(a.grantee_principal_id AS int) FROM {sys}.{granted} a \
             WHERE a.class = {own_class} AND a.state IN ('G', 'W') \
             AND a.permission_name IN ({permissions})"
        );
        let action = format!("read who can write DDL triggers in {scope}");
        let results = self.session.results(&action, &query, &[]).await?;
        let [users, edges, powerful] = results.as_slice() else {
            return Err(unexpected("the queries about DDL triggers did not return three results"));
        };
        let ids =
            |rows: &[Row]| rows.iter().map(|row| column(row, 0)).collect::<Result<Vec<i32>, _>>();
        let edges: Vec<(i32, i32)> = edges
            .iter()
            .map(|row| Ok((column(row, 0)?, column(row, 1)?)))
            .collect::<Result<_, EngineError>>()?;
        let (users, mut powerful) = (ids(users)?, ids(powerful)?);
        powerful.push(*owner);
        Ok(reaches(users.into_iter().chain([*public]), &edges, &powerful))
    }
}

/// Returns `true` if one of `goals` can be reached from `start`, along pairs of (principal,
/// principal that it can act as).
fn reaches(start: impl Iterator<Item = i32>, edges: &[(i32, i32)], goals: &[i32]) -> bool {
    let mut seen: BTreeSet<i32> = start.collect();
    let mut count = 0;
    while count != seen.len() {
        count = seen.len();
        let next: Vec<i32> =
            edges.iter().filter(|(from, _)| seen.contains(from)).map(|(_, to)| *to).collect();
        seen.extend(next);
    }
    goals.iter().any(|goal| seen.contains(goal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privilege_is_found_through_chain_of_principals() {
        let edges = [(7, 8), (8, 9), (9, 16384), (10, 7), (16384, 7)];
        for (start, goals, found) in [
            (7, &[16384][..], true),
            (10, &[16384], true),
            (11, &[16384], false),
            (16384, &[10], false),
            (1, &[1], true),
            (7, &[], false),
        ] {
            assert_eq!(reaches([start].into_iter(), &edges, goals), found, "{start} {goals:?}");
        }
    }
}
