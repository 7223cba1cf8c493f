//! The state of both users, as the catalog shows it.

use std::collections::{BTreeMap, BTreeSet};

use rotation_database::EngineError;
use tiberius::Row;

use super::databases::DatabaseUsers;
use super::logins::{LoginState, Logins};
use super::permission_rows;
use super::permissions::Permissions;
use super::{Home, Users};
use crate::principal::{AUTHENTICATED_BY_SERVER, Kind};
use crate::quote::binary;
use crate::scope::Scope;
use crate::session::{column, flag, nullable, nullable_text, text};
use crate::sid;

/// The state of both users.
#[derive(Debug)]
pub(crate) struct PairState {
    pub(crate) accounts: Accounts,
    /// The security identifier of an alternate user that a rotation created.
    pub(crate) known_sid: Vec<u8>,
    /// Notes on databases that were skipped.
    pub(crate) notes: Vec<String>,
}

/// The accounts of both users.
#[derive(Debug)]
pub(crate) enum Accounts {
    /// Logins of the server.
    Logins {
        base: LoginState,
        /// `None` if the alternate login does not exist.
        alternate: Option<LoginState>,
        /// The roles and permissions of both on the server, if both exist.
        server: Option<Rights>,
        /// The databases in which one of them has a user.
        databases: BTreeMap<String, DatabaseState>,
    },
    /// Users of a contained database.
    Contained {
        database: String,
        base: UserState,
        alternate: Option<UserState>,
        both: Option<Both>,
    },
}

/// The users of both logins in one database.
#[derive(Debug)]
pub(crate) struct DatabaseState {
    pub(crate) users: DatabaseUsers,
    /// `true` if [`DatabaseUsers::namesake`] is the user of a login that no longer exists.
    pub(crate) is_orphaned: bool,
    /// The rights of both, if both have a user.
    pub(crate) both: Option<Both>,
}

/// The rights of two users in one database.
#[derive(Debug)]
pub(crate) struct Both {
    pub(crate) rights: Rights,
    /// The objects that the base user owns, each as a kind and a name.
    pub(crate) owned_by_base: Vec<String>,
    /// The objects that the alternate user owns.
    pub(crate) owned_by_alternate: Vec<String>,
}

/// The roles and permissions of two principals in one scope.
#[derive(Debug)]
pub(crate) struct Rights {
    /// The name of the alternate principal in this scope.
    pub(crate) alternate: String,
    pub(crate) base_roles: Roles,
    pub(crate) alternate_roles: Roles,
    pub(crate) base_permissions: Permissions,
    pub(crate) alternate_permissions: Permissions,
}

/// The names of roles, each with `true` if it is a fixed role.
pub(crate) type Roles = BTreeSet<(String, bool)>;

/// The two principals in a scope, by their ids there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) base: i32,
    /// `None` if the alternate principal does not exist.
    pub(crate) alternate: Option<i32>,
}

/// The state of a user of a database.
#[derive(Debug, Clone)]
pub(crate) struct UserState {
    pub(crate) name: String,
    pub(crate) id: i32,
    pub(crate) sid: Vec<u8>,
    pub(crate) schema: Option<String>,
    /// The default language. Only contained users have one.
    pub(crate) language: Option<String>,
    /// `true` if it is the user of a login, not a role or another principal.
    pub(crate) is_user_of_login: bool,
}

/// Reads a user whose columns begin at `first`: name, id, security identifier, schema, language,
/// type, authentication type.
pub(crate) fn user(row: &Row, first: usize) -> Result<UserState, EngineError> {
    Ok(UserState {
        name: text(row, first)?,
        id: column(row, first + 1)?,
        sid: nullable::<&[u8]>(row, first + 2)?.unwrap_or_default().to_vec(),
        schema: nullable_text(row, first + 3)?,
        language: nullable_text(row, first + 4)?,
        is_user_of_login: text(row, first + 5)?.trim_end() == "S"
            && column::<i32>(row, first + 6)? == AUTHENTICATED_BY_SERVER,
    })
}

/// The name of the owner of a database as a user of that database.
const DBO: &str = "dbo";

impl UserState {
    /// Returns `true` if it is the owner of its database.
    pub(crate) fn is_dbo(&self) -> bool {
        self.name.eq_ignore_ascii_case(DBO)
    }
}

impl Accounts {
    /// Returns the scope of the accounts themselves.
    pub(crate) fn scope(&self) -> Scope<'_> {
        match self {
            Self::Logins { .. } => Scope::Server,
            Self::Contained { database, .. } => Scope::Database(database),
        }
    }

    /// Returns the databases in which an alternate login that does not exist yet gets a user.
    pub(crate) fn databases_to_enter(&self) -> Vec<&str> {
        match self {
            Self::Logins { alternate: None, databases, .. } => {
                let entered = databases.iter().filter(|(_, state)| state.users.base.is_some());
                entered.map(|(name, _)| name.as_str()).collect()
            }
            _ => Vec::new(),
        }
    }
}

impl Ids {
    fn all(self) -> Vec<i32> {
        [self.base].into_iter().chain(self.alternate).collect()
    }
}

impl Users<'_> {
    /// Reads the state of both users.
    pub(super) async fn read_state(&mut self) -> Result<PairState, EngineError> {
        match self.home().await? {
            Home::Database(database) => self.read_contained(database).await,
            Home::Server => self.read_logins().await,
        }
    }

    async fn read_logins(&mut self) -> Result<PairState, EngineError> {
        self.check_reads_all().await?;
        let Logins { base, alternate } = self.logins().await?;
        let missing = || EngineError::NoSuchUser { user: self.request.base.to_owned() };
        let base = base.ok_or_else(missing)?;
        let known_sid = sid::of_alternate(&base.sid, Kind::Login);
        let sid = alternate.as_ref().map(|login| login.sid.as_slice());
        self.check_proven(Kind::Login, &base.sid, sid)?;
        self.sids = sid.into_iter().chain([base.sid.as_slice()]).map(<[u8]>::to_vec).collect();
        let server = match &alternate {
            Some(login) => {
                let ids = Ids { base: base.id, alternate: Some(login.id) };
                Some(self.rights(Scope::Server, ids, &login.name).await?)
            }
            None => None,
        };
        let mut notes = Vec::new();
        let mut databases = BTreeMap::new();
        let is_to_be_created = alternate.is_none() && self.request.is_alternate_target();
        if alternate.is_some() || is_to_be_created {
            let sid = sid.unwrap_or(&known_sid);
            for (database, users) in self.users(&base.sid, sid, &mut notes).await? {
                let state = self.database(&database, users).await?;
                databases.insert(database, state);
            }
        }
        let accounts = Accounts::Logins { base, alternate, server, databases };
        Ok(PairState { accounts, known_sid, notes })
    }

    async fn read_contained(&mut self, database: String) -> Result<PairState, EngineError> {
        let scope = Scope::Database(&database);
        self.check_visible_in_database().await?;
        let missing = || EngineError::NoSuchUser { user: self.request.base.to_owned() };
        let base = self.read_user(scope, self.request.base).await?.ok_or_else(missing)?;
        let alternate = self.read_user(scope, self.request.alternate).await?;
        let known_sid = sid::of_alternate(&base.sid, Kind::ContainedUser);
        let sid = alternate.as_ref().map(|user| user.sid.as_slice());
        self.check_proven(Kind::ContainedUser, &base.sid, sid)?;
        self.sids = sid.into_iter().chain([base.sid.as_slice()]).map(<[u8]>::to_vec).collect();
        let both = match &alternate {
            Some(alternate) => Some(self.both(scope, &base, alternate).await?),
            None => None,
        };
        let accounts = Accounts::Contained { database, base, alternate, both };
        Ok(PairState { accounts, known_sid, notes: Vec::new() })
    }

    async fn database(
        &mut self,
        database: &str,
        users: DatabaseUsers,
    ) -> Result<DatabaseState, EngineError> {
        let both = match (&users.base, &users.alternate) {
            (Some(base), Some(alternate)) if !alternate.is_dbo() => {
                Some(self.both(Scope::Database(database), base, alternate).await?)
            }
            _ => None,
        };
        let is_orphaned = match (&users.alternate, &users.namesake) {
            (None, Some(namesake)) => namesake.is_user_of_login && self.is_orphan(namesake).await?,
            _ => false,
        };
        Ok(DatabaseState { users, is_orphaned, both })
    }

    /// Reads the rights of two users of a database.
    async fn both(
        &mut self,
        scope: Scope<'_>,
        base: &UserState,
        alternate: &UserState,
    ) -> Result<Both, EngineError> {
        let ids = Ids { base: base.id, alternate: Some(alternate.id) };
        let rights = self.rights(scope, ids, &alternate.name).await?;
        let (owned_by_base, owned_by_alternate) = self.owned(scope, base, alternate).await?;
        Ok(Both { rights, owned_by_base, owned_by_alternate })
    }

    /// Reads the roles and permissions of two principals.
    pub(super) async fn rights(
        &mut self,
        scope: Scope<'_>,
        ids: Ids,
        alternate: &str,
    ) -> Result<Rights, EngineError> {
        let (base_roles, alternate_roles) = self.roles(scope, ids).await?;
        let mut permissions = permission_rows::of(self.session, scope, &ids.all()).await?;
        let mut of = |id: i32| permissions.remove(&id).unwrap_or_default();
        Ok(Rights {
            alternate: alternate.to_owned(),
            base_roles,
            alternate_roles,
            base_permissions: of(ids.base),
            alternate_permissions: ids.alternate.map(of).unwrap_or_default(),
        })
    }

    async fn roles(&mut self, scope: Scope<'_>, ids: Ids) -> Result<(Roles, Roles), EngineError> {
        let sys = scope.sys();
        let members: Vec<_> = ids.all().iter().map(i32::to_string).collect();
        let query = format!(
            "SELECT CAST(m.member_principal_id AS int), r.name, CAST(r.is_fixed_role AS int) FROM \
             {sys}.{} m JOIN {sys}.{} r ON r.principal_id = m.role_principal_id WHERE \
             m.member_principal_id IN ({})",
            scope.role_members(),
            scope.principals(),
            members.join(", ")
        );
        let (mut base, mut alternate) = (Roles::new(), Roles::new());
        for row in self.session.rows(&format!("read the roles in {scope}"), &query, &[]).await? {
            let roles =
                if column::<i32>(&row, 0)? == ids.base { &mut base } else { &mut alternate };
            roles.insert((text(&row, 1)?, flag(&row, 2)?));
        }
        Ok((base, alternate))
    }

    /// Reads the objects that each of the two users owns.
    async fn owned(
        &mut self,
        scope: Scope<'_>,
        base: &UserState,
        alternate: &UserState,
    ) -> Result<(Vec<String>, Vec<String>), EngineError> {
        let (sys, ids) = (scope.sys(), format!("IN ({}, {})", base.id, alternate.id));
        let query = format!(
            "SELECT N'schema', s.name, CAST(s.principal_id AS int) FROM {sys}.schemas s WHERE \
             s.principal_id {ids} UNION ALL SELECT N'role', r.name, CAST(r.owning_principal_id AS \
             int) FROM {sys}.database_principals r WHERE r.owning_principal_id {ids} UNION ALL \
             SELECT N'object', o.name, CAST(o.principal_id AS int) FROM {sys}.objects o WHERE \
             o.principal_id {ids}"
        );
        let (mut of_base, mut of_alternate) = (Vec::new(), Vec::new());
        let action = format!("read the owners in {scope}");
        for row in self.session.rows(&action, &query, &[]).await? {
            let owned =
                if column::<i32>(&row, 2)? == base.id { &mut of_base } else { &mut of_alternate };
            owned.push(format!("{} {}", text(&row, 0)?, text(&row, 1)?));
        }
        Ok((of_base, of_alternate))
    }

    async fn is_orphan(&mut self, user: &UserState) -> Result<bool, EngineError> {
        let query = format!(
            "SELECT l.name FROM [master].sys.server_principals l WHERE l.sid = {}",
            binary(&user.sid)
        );
        Ok(self.session.rows("find the login of a user", &query, &[]).await?.is_empty())
    }

    /// Returns the user of a database with a name, if it exists.
    pub(crate) async fn read_user(
        &mut self,
        scope: Scope<'_>,
        name: &str,
    ) -> Result<Option<UserState>, EngineError> {
        let query = format!(
            "SELECT p.name, CAST(p.principal_id AS int), p.sid, p.default_schema_name, \
             p.default_language_name, p.type, CAST(p.authentication_type AS int) FROM \
             {}.database_principals p WHERE p.name = @P1 AND p.type = 'S'",
            scope.sys()
        );
        let rows = self.session.rows(&format!("find {name} in {scope}"), &query, &[name]).await?;
        rows.first().map(|row| user(row, 0)).transpose()
    }
}
