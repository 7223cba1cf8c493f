//! The state of both roles, as the catalog shows it.

use std::collections::BTreeSet;

use rotation_database::{EngineError, SyncRequest, privilege_remedy};
use sqlx::Row;
use sqlx::postgres::PgRow;

use super::plan::reassignment;
use super::settings::{self, Settings};
use super::{Attributes, RolePair, attributes};
use crate::failure::failure;
use crate::session::Transaction;

/// The first version in which the privilege to set a parameter can be granted.
const PARAMETER_PRIVILEGES_SINCE: Option<u32> = Some(150_000);

/// The state of both roles.
#[derive(Debug)]
pub(super) struct PairState {
    /// The version of the server, as in [`crate::origin::Origin`].
    pub version: Option<u32>,
    pub base: RoleState,
    /// `None` if the alternate role does not exist.
    pub alternate: Option<AlternateState>,
    /// The settings of extensions that the base role has and that the master user may not set for
    /// another role.
    pub not_settable: BTreeSet<String>,
}

/// The state of a role.
#[derive(Debug)]
pub(super) struct RoleState {
    pub attributes: Attributes,
    pub settings: Settings,
}

/// The state of the alternate role.
#[derive(Debug)]
pub(super) struct AlternateState {
    pub role: RoleState,
    /// The roles of which it is a direct member.
    pub memberships: Vec<Membership>,
    pub dependencies: Vec<Dependency>,
}

/// A direct membership of the alternate role.
#[derive(Debug)]
pub(super) struct Membership {
    pub role: String,
    /// The role that granted it. Several roles can grant the same membership.
    pub grantor: Option<String>,
    /// `true` if the member inherits the privileges and may act as the role.
    pub whole: bool,
    /// `true` if the base role is a member too, directly or not.
    pub shared: bool,
}

/// Objects that depend on the alternate role.
#[derive(Debug)]
pub(super) struct Dependency {
    /// The database of the objects; `None` if every database shares them.
    pub database: Option<String>,
    /// `true` if they are in the session's database, or if every database shares them.
    pub here: bool,
    /// `true` if the role owns them; `false` if it has privileges on them.
    pub owned: bool,
}

impl AlternateState {
    /// Returns `true` if the role owns objects that the session can reassign.
    pub(super) fn owns_here(&self) -> bool {
        self.dependencies.iter().any(|dependency| dependency.owned && dependency.here)
    }
}

impl RolePair<'_> {
    /// Reads the state of both roles.
    pub(super) async fn read_state(&mut self) -> Result<PairState, EngineError> {
        let SyncRequest { base, alternate, .. } = self.request;
        let (base, alternate) =
            read_attributes(&mut self.transaction, base, Some(alternate)).await?;
        let (base_settings, alternate_settings) = self.read_settings().await?;
        let base = RoleState { attributes: base, settings: base_settings };
        let alternate = match alternate {
            Some(attributes) => Some(AlternateState {
                role: RoleState { attributes, settings: alternate_settings },
                memberships: self.read_memberships().await?,
                dependencies: self.read_dependencies().await?,
            }),
            None => None,
        };
        let none = Settings::default();
        let has = alternate.as_ref().map_or(&none, |alternate| &alternate.role.settings);
        let mut not_settable = BTreeSet::new();
        for change in settings::changes(has, &base.settings) {
            if change.name.contains('.') && !self.may_set(&change.name).await? {
                not_settable.insert(change.name);
            }
        }
        Ok(PairState { version: self.transaction.version(), base, alternate, not_settable })
    }

    async fn read_settings(&mut self) -> Result<(Settings, Settings), EngineError> {
        const ACTION: &str = "read the settings of the roles";
        let (base, alternate) = (self.request.base, self.request.alternate);
        let rows = self.transaction.rows(ACTION, settings::QUERY, &[base, alternate]).await?;
        let mut roles = settings::read(&rows)?;
        let of = |role: Option<Settings>| role.unwrap_or_default();
        Ok((of(roles.remove(base)), of(roles.remove(alternate))))
    }

    async fn read_memberships(&mut self) -> Result<Vec<Membership>, EngineError> {
        const QUERY: &str = "SELECT g.rolname::text, grantor.rolname::text, \
            coalesce((to_jsonb(m) ->> 'inherit_option')::bool, true) \
                AND coalesce((to_jsonb(m) ->> 'set_option')::bool, true) AS whole, \
            pg_catalog.pg_has_role(b.oid, g.oid, 'MEMBER') AS shared \
            FROM pg_catalog.pg_auth_members m \
            JOIN pg_catalog.pg_roles a ON a.oid = m.member AND a.rolname::text = $2 \
            JOIN pg_catalog.pg_roles b ON b.rolname::text = $1 \
            JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
            LEFT JOIN pg_catalog.pg_roles grantor ON grantor.oid = m.grantor";
        const ACTION: &str = "read the memberships of the roles";
        let names = [self.request.base, self.request.alternate];
        let rows = self.transaction.rows(ACTION, QUERY, &names).await?;
        let membership = |row: &PgRow| {
            Ok(Membership {
                role: row.try_get(0)?,
                grantor: row.try_get(1)?,
                whole: row.try_get(2)?,
                shared: row.try_get(3)?,
            })
        };
        let memberships = rows.iter().map(membership).collect::<Result<_, sqlx::Error>>();
        memberships.map_err(|error| failure(&error, ACTION, None))
    }

    /// Reads the databases in which the alternate role owns objects or has privileges of its own.
    ///
    /// Default privileges and user mappings are left out. `REASSIGN OWNED` leaves them as they are,
    /// and they do not apply while the role acts as the base role.
    async fn read_dependencies(&mut self) -> Result<Vec<Dependency>, EngineError> {
        const QUERY: &str = "SELECT d.datname::text, coalesce(s.dbid = 0 OR d.datname = \
                             current_database(), false), s.deptype = 'o' FROM \
                             pg_catalog.pg_shdepend s JOIN pg_catalog.pg_roles r ON r.oid = \
                             s.refobjid AND r.rolname::text = $1 LEFT JOIN pg_catalog.pg_database \
                             d ON d.oid = s.dbid WHERE s.refclassid = \
                             'pg_catalog.pg_authid'::regclass AND s.deptype IN ('o', 'a') AND \
                             s.classid NOT IN ('pg_catalog.pg_default_acl'::regclass, \
                             'pg_catalog.pg_user_mapping'::regclass) GROUP BY 1, 2, 3";
        const ACTION: &str = "find the objects that the alternate role owns";
        let rows = self.transaction.rows(ACTION, QUERY, &[self.request.alternate]).await?;
        let dependency = |row: &PgRow| {
            Ok(Dependency {
                database: row.try_get(0)?,
                here: row.try_get(1)?,
                owned: row.try_get(2)?,
            })
        };
        let dependencies = rows.iter().map(dependency).collect::<Result<_, sqlx::Error>>();
        dependencies.map_err(|error| failure(&error, ACTION, None))
    }

    /// Returns `true` if the master user may set a setting of an extension for other roles. A
    /// server that has not loaded the extension does not know the setting. Then only superusers may
    /// set it, and from PostgreSQL 15 on the roles that were granted that privilege.
    async fn may_set(&mut self, name: &str) -> Result<bool, EngineError> {
        const KNOWN: &str = "SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = \
                             session_user) OR EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE \
                             pg_catalog.lower(s.name) = pg_catalog.lower($1) AND s.context = \
                             'user')";
        const GRANTED: &str = "SELECT pg_catalog.has_parameter_privilege($1, 'SET')";
        const ACTION: &str = "check whether the master user may copy a setting";
        Ok(self.query_bool(ACTION, KNOWN, &[name]).await?
            || (self.transaction.version() >= PARAMETER_PRIVILEGES_SINCE
                && self.query_bool(ACTION, GRANTED, &[name]).await?))
    }

    /// Returns what the master user lacks to reassign the objects of the alternate role: it needs
    /// the privileges of both roles.
    pub(super) async fn lacks_for_reassignment(
        &mut self,
    ) -> Result<Option<EngineError>, EngineError> {
        const QUERY: &str = "SELECT bool_and(pg_catalog.pg_has_role(session_user, r.oid, 'USAGE')) \
            FROM pg_catalog.pg_roles r WHERE r.rolname::text IN ($1, $2)";
        const ACTION: &str = "check whether the master user has the privileges of both roles";
        let request = self.request;
        if self.query_bool(ACTION, QUERY, &[request.base, request.alternate]).await? {
            return Ok(None);
        }
        let statement = reassignment(self.transaction.version(), request);
        let privilege = "membership in both roles";
        let remedy = privilege_remedy(statement.remedy.as_deref());
        Ok(Some(EngineError::lacks(statement.action, request.master, privilege, remedy)))
    }

    /// Returns the boolean result of a query.
    async fn query_bool(
        &mut self,
        action: &str,
        query: &'static str,
        parameters: &[&str],
    ) -> Result<bool, EngineError> {
        let rows = self.transaction.rows(action, query, parameters).await?;
        let answer = rows.first().map_or(Ok(false), |row| row.try_get(0));
        answer.map_err(|error| failure(&error, action, None))
    }
}

/// Reads the attributes of the base role, which must exist and be valid, and of the alternate role.
pub(super) async fn read_attributes(
    transaction: &mut Transaction<'_>,
    base_name: &str,
    alternate_name: Option<&str>,
) -> Result<(Attributes, Option<Attributes>), EngineError> {
    let names = [base_name, alternate_name.unwrap_or(base_name)];
    let rows = transaction.rows("read the roles", attributes::QUERY, &names).await?;
    let (mut base, mut alternate) = (None, None);
    for row in &rows {
        let (name, attributes) = Attributes::read(row)?;
        if name == base_name { base = Some(attributes) } else { alternate = Some(attributes) }
    }
    let base = base.ok_or_else(|| EngineError::NoSuchUser { user: base_name.to_owned() })?;
    base.check_not_expired(base_name)?;
    Ok((base, alternate))
}
