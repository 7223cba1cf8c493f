//! The check for privileges that a master user certainly cannot grant, according to the server.

use std::collections::BTreeMap;

use rotation_database::{EngineError, SyncRequest};

use super::logins::Logins;
use super::rights::{self, Principals, Rights};
use super::state::UserState;
use super::{Home, Users, owner_remedy};
use crate::principal::Kind;
use crate::quote::identifier;
use crate::scope::Scope;
use crate::session::{Session, flag, unexpected};
use crate::sid;

/// Returns the privileges in databases that the master user certainly lacks for the changes of
/// [`super::differences`].
pub(crate) async fn ungrantable_privileges(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    session.begin().await?;
    match Users::new(session, request).ungrantable_privileges().await {
        Err(lacks @ EngineError::PrivilegeMissing { .. }) => Ok(vec![lacks]),
        done => done,
    }
}

/// The privileges of a master user in a database.
struct MasterPrivileges {
    /// `true` if it may create and change users.
    users: bool,
    /// `true` if it may be able to add users to roles and to grant permissions.
    rights: bool,
}

impl Users<'_, SyncRequest<'_>> {
    async fn ungrantable_privileges(&mut self) -> Result<Vec<EngineError>, EngineError> {
        if let Home::Database(database) = self.home().await? {
            let scope = Scope::Database(&database);
            let base = self.read_user(scope, self.request.base).await?;
            let alternate = self.read_user(scope, self.request.alternate).await?;
            let Some(base) = base else { return Ok(Vec::new()) };
            return self.lacks_in(BTreeMap::from([(database, (base, alternate))])).await;
        }
        let Logins { base, alternate } = self.logins().await?;
        let Some(base) = base else { return Ok(Vec::new()) };
        let sid = alternate
            .map_or_else(|| sid::of_alternate(&base.sid, Kind::Login), |alternate| alternate.sid);
        let found = self.users(&base.sid, &sid, &mut Vec::new()).await?;
        let with_base = found
            .into_iter()
            .filter_map(|(database, users)| Some((database, (users.base?, users.alternate))));
        self.lacks_in(with_base.collect()).await
    }

    /// Returns what the master user lacks in databases, each with the base user and, if it exists,
    /// the alternate user.
    async fn lacks_in(
        &mut self,
        mut databases: BTreeMap<String, (UserState, Option<UserState>)>,
    ) -> Result<Vec<EngineError>, EngineError> {
        databases.retain(|_, (_, alternate)| !alternate.as_ref().is_some_and(UserState::is_dbo));
        let principals = databases.iter().map(|(database, (base, alternate))| Principals {
            scope: Scope::Database(database),
            base: base.id,
            alternate: alternate.as_ref().map(|alternate| alternate.id),
            name: self.request.alternate,
        });
        let principals: Vec<_> = principals.collect();
        let rights = rights::read(self.session, &principals).await?;
        let mut lacks = Vec::new();
        for ((database, (_, alternate)), rights) in databases.iter().zip(&rights) {
            lacks.extend(self.lacks_for(database, alternate.is_some(), rights).await?);
        }
        Ok(lacks)
    }

    /// Returns what the master user lacks to give the alternate user the rights of the base user.
    async fn lacks_for(
        &mut self,
        database: &str,
        alternate_exists: bool,
        rights: &Rights,
    ) -> Result<Option<EngineError>, EngineError> {
        let scope = Scope::Database(database);
        let mut changes =
            rights.alternate_permissions.changes_to(&rights.base_permissions, "the alternate user");
        // Every user is created with CONNECT, and a user cannot grant permissions on itself.
        let name = identifier(self.request.alternate);
        changes.retain(|change| change.right.permission != "CONNECT" && !change.right.is_on(&name));
        let differs = rights.base_roles != rights.alternate_roles || !changes.is_empty();

        let master_privileges = self.master_privileges(database).await?;
        let mut needed = Vec::new();
        if !alternate_exists && !master_privileges.users {
            needed.push("ALTER ANY USER");
        }
        if differs && !master_privileges.rights {
            needed.push(
                "membership in db_owner or db_securityadmin, or the permissions of the user WITH \
                 GRANT OPTION",
            );
        }
        let SyncRequest { master, base, alternate, .. } = self.request;
        let action = format!("grant the privileges of {base} in {scope} to {alternate}");
        let remedy = owner_remedy(master, scope);
        let lacks = || EngineError::lacks(action, master, &needed.join(", "), remedy);
        Ok((!needed.is_empty()).then(lacks))
    }

    async fn master_privileges(&mut self, database: &str) -> Result<MasterPrivileges, EngineError> {
        let name = identifier(database);
        let may = |permission: &str| {
            let literal = name.replace('\'', "''");
            format!("COALESCE(HAS_PERMS_BY_NAME(N'{literal}', 'DATABASE', '{permission}'), 0)")
        };
        // A grant or an object of any user can belong to the master user, so one is enough.
        let query = format!(
            "SELECT CAST({users} AS int), CAST(CASE WHEN {roles} = 1 OR {control} = 1 OR EXISTS \
             (SELECT p.state FROM {name}.sys.database_permissions p WHERE p.state = 'W' OR p.class \
             > 0 AND p.permission_name IN (N'CONTROL', N'ALTER', N'TAKE OWNERSHIP')) OR EXISTS \
             (SELECT s.name FROM {name}.sys.schemas s WHERE s.principal_id > 4 AND s.principal_id \
             < 16384) OR EXISTS (SELECT o.name FROM {name}.sys.objects o WHERE o.principal_id > 4) \
             OR EXISTS (SELECT r.name FROM {name}.sys.database_principals r WHERE r.type = 'R' AND \
             r.owning_principal_id > 4) THEN 1 ELSE 0 END AS int)",
            users = may("ALTER ANY USER"),
            roles = may("ALTER ANY ROLE"),
            control = may("CONTROL"),
        );
        let rows = self.session.rows("read the privileges of the master user", &query, &[]).await?;
        let row = rows.first().ok_or_else(|| unexpected("the server returned no row"))?;
        Ok(MasterPrivileges { users: flag(row, 0)?, rights: flag(row, 1)? })
    }
}
