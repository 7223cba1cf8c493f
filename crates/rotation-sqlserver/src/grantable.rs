//! What a master cannot pass on, as far as the server shows it for certain.

use rotation_database::{EngineError, SyncRequest};

use crate::alternate::Step;
use crate::logins::Logins;
use crate::permission_rows;
use crate::permissions::Permissions;
use crate::principal::Kind;
use crate::quote::identifier;
use crate::rights::Ids;
use crate::scope::Scope;
use crate::session::{Session, flag, unexpected};
use crate::sid;
use crate::users::{DBO, UserState};

/// What [`crate::alternate::bring_in_step`] would have to make, grant or revoke in databases, and
/// the master cannot.
pub(crate) async fn not_grantable(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    session.begin().await?;
    let mut step = Step::looking(session, copy);
    match step.not_grantable().await {
        Err(lacks @ EngineError::PrivilegeMissing { .. }) => Ok(vec![lacks]),
        done => done,
    }
}

/// What a master may do in a database.
struct Means {
    /// Make and change users.
    users: bool,
    /// Perhaps put them into roles, and grant something.
    rights: bool,
}

impl Step<'_> {
    async fn not_grantable(&mut self) -> Result<Vec<EngineError>, EngineError> {
        if let Some(database) = self.contained_in().await? {
            let scope = Scope::Database(&database);
            let base = self.user_now(scope, self.copy.base).await?;
            let alternate = self.user_now(scope, self.copy.alternate).await?;
            let Some(base) = base else { return Ok(Vec::new()) };
            return Ok(self
                .lacks_in(&database, &base, alternate.as_ref())
                .await?
                .into_iter()
                .collect());
        }
        let Logins { base, alternate } = self.logins().await?;
        let Some(base) = base else { return Ok(Vec::new()) };
        let sid = alternate
            .map_or_else(|| sid::of_alternate(&base.sid, Kind::Login), |alternate| alternate.sid);
        let mut lacks = Vec::new();
        for (database, users) in self.users(&base.sid, &sid).await? {
            if let Some(base) = users.base {
                lacks.extend(self.lacks_in(&database, &base, users.alternate.as_ref()).await?);
            }
        }
        Ok(lacks)
    }

    async fn lacks_in(
        &mut self,
        database: &str,
        base: &UserState,
        alternate: Option<&UserState>,
    ) -> Result<Option<EngineError>, EngineError> {
        let scope = Scope::Database(database);
        if alternate.is_some_and(|alternate| alternate.name.eq_ignore_ascii_case(DBO)) {
            return Ok(None);
        }
        // Nobody has this number.
        let ids = Ids { base: base.id, alternate: alternate.map_or(-1, |alternate| alternate.id) };
        let (wanted, has) = self.roles(scope, ids).await?;
        let mut permissions =
            permission_rows::of(self.session, scope, &[ids.base, ids.alternate]).await?;
        let none = Permissions::default();
        let wanted_permissions = permissions.remove(&ids.base).unwrap_or_default();
        let has_permissions = permissions.get(&ids.alternate).unwrap_or(&none);
        let mut changes =
            has_permissions.changes_to_become(&wanted_permissions, "the alternate user");
        // Every user is made with CONNECT, and nobody grants anything on itself.
        let name = identifier(self.copy.alternate);
        changes.retain(|change| change.right.permission != "CONNECT" && !change.right.is_on(&name));

        let means = self.means(database).await?;
        let mut needed = Vec::new();
        if alternate.is_none() && !means.users {
            needed.push("ALTER ANY USER");
        }
        if (wanted != has || !changes.is_empty()) && !means.rights {
            needed.push(
                "to be in db_owner or db_securityadmin, or what the user has WITH GRANT OPTION",
            );
        }
        let doing =
            format!("give {} what {} may do in {scope}", self.copy.alternate, self.copy.base);
        let remedy = self.make_owner(scope);
        let lacks = || EngineError::lacks(doing, self.copy.master, &needed.join(", "), remedy);
        Ok((!needed.is_empty()).then(lacks))
    }

    async fn means(&mut self, database: &str) -> Result<Means, EngineError> {
        let name = identifier(database);
        let may = |permission: &str| {
            let literal = name.replace('\'', "''");
            format!("COALESCE(HAS_PERMS_BY_NAME(N'{literal}', 'DATABASE', '{permission}'), 0)")
        };
        // What somebody was granted or owns may be the master's.
        let query = format!(
            "SELECT CAST({users} AS int), CAST(CASE WHEN {roles} = 1 OR {control} = 1 \
             OR EXISTS (SELECT p.state FROM {name}.sys.database_permissions p WHERE p.state = 'W' \
             OR p.class > 0 AND p.permission_name IN (N'CONTROL', N'ALTER', N'TAKE OWNERSHIP')) \
             OR EXISTS (SELECT s.name FROM {name}.sys.schemas s WHERE s.principal_id > 4 AND s.principal_id < 16384) \
             OR EXISTS (SELECT o.name FROM {name}.sys.objects o WHERE o.principal_id > 4) \
             OR EXISTS (SELECT r.name FROM {name}.sys.database_principals r WHERE r.type = 'R' AND r.owning_principal_id > 4) \
             THEN 1 ELSE 0 END AS int)",
            users = may("ALTER ANY USER"),
            roles = may("ALTER ANY ROLE"),
            control = may("CONTROL"),
        );
        let rows = self.session.rows("ask what the master may do", &query, &[]).await?;
        let row = rows.first().ok_or_else(|| unexpected("no answer"))?;
        Ok(Means { users: flag(row, 0)?, rights: flag(row, 1)? })
    }
}
