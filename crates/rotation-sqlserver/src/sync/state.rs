//! The state of both users, as the catalog shows it.

use std::collections::BTreeMap;

use rotation_database::{EngineError, PasswordRequest, SyncRequest};
use tiberius::Row;

use super::databases::{DatabaseUsers, Namesake};
use super::logins::{LoginState, Logins};
use super::rights::{self, Principals, Rights};
use super::{Home, Users};
use crate::principal::Kind;
use crate::quote::binary;
use crate::scope::Scope;
use crate::session::{column, nullable_text, text};
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
        /// The rights of both, if both exist.
        rights: Option<Rights>,
    },
}

/// The users of both logins in one database.
#[derive(Debug)]
pub(crate) struct DatabaseState {
    pub(crate) users: DatabaseUsers,
    /// `true` if [`DatabaseUsers::namesake`] is the user of a login that no longer exists.
    pub(crate) is_orphaned: bool,
    /// The rights of both, if both have a user.
    pub(crate) rights: Option<Rights>,
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
}

/// Reads a user whose columns begin at `first`: name, id, security identifier, schema, language.
pub(crate) fn user(row: &Row, first: usize) -> Result<UserState, EngineError> {
    Ok(UserState {
        name: text(row, first)?,
        id: column(row, first + 1)?,
        sid: column::<&[u8]>(row, first + 2)?.to_vec(),
        schema: nullable_text(row, first + 3)?,
        language: nullable_text(row, first + 4)?,
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

impl Users<'_, SyncRequest<'_>> {
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
                let (scope, alternate) = (Scope::Server, Some(login.id));
                let both = Principals { scope, base: base.id, alternate, name: &login.name };
                rights::read(self.session, &[both]).await?.pop()
            }
            None => None,
        };
        let mut notes = Vec::new();
        let mut databases = BTreeMap::new();
        let is_to_be_created = alternate.is_none() && self.request.is_alternate_target();
        if alternate.is_some() || is_to_be_created {
            let sid = sid.unwrap_or(&known_sid);
            let users = self.users(&base.sid, sid, &mut notes).await?;
            databases = self.databases(users).await?;
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
        let rights = match &alternate {
            Some(alternate) => {
                rights::read(self.session, &[Principals::of(scope, &base, alternate)]).await?.pop()
            }
            None => None,
        };
        let accounts = Accounts::Contained { database, base, alternate, rights };
        Ok(PairState { accounts, known_sid, notes: Vec::new() })
    }

    /// Reads the state of the databases in which one of the two logins has a user.
    async fn databases(
        &mut self,
        found: BTreeMap<String, DatabaseUsers>,
    ) -> Result<BTreeMap<String, DatabaseState>, EngineError> {
        let mut pairs = Vec::new();
        for (database, users) in &found {
            if let Some((base, alternate)) = users.pair() {
                pairs.push(Principals::of(Scope::Database(database), base, alternate));
            }
        }
        let mut rights_of_pairs = rights::read(self.session, &pairs).await?.into_iter();
        let mut databases = BTreeMap::new();
        for (database, users) in found {
            let is_orphaned = match (&users.alternate, &users.namesake) {
                (None, Some(Namesake { login_sid: Some(sid), .. })) => {
                    !self.login_exists(sid).await?
                }
                _ => false,
            };
            let rights = users.pair().and_then(|_| rights_of_pairs.next());
            databases.insert(database, DatabaseState { users, is_orphaned, rights });
        }
        Ok(databases)
    }

    async fn login_exists(&mut self, sid: &[u8]) -> Result<bool, EngineError> {
        let query = format!(
            "SELECT l.name FROM [master].sys.server_principals l WHERE l.sid = {}",
            binary(sid)
        );
        Ok(!self.session.rows("find the login of a user", &query, &[]).await?.is_empty())
    }
}

impl<R: PasswordRequest> Users<'_, R> {
    /// Returns the user of a database with a name, if it exists.
    pub(crate) async fn read_user(
        &mut self,
        scope: Scope<'_>,
        name: &str,
    ) -> Result<Option<UserState>, EngineError> {
        let query = format!(
            "SELECT p.name, CAST(p.principal_id AS int), p.sid, p.default_schema_name, \
             p.default_language_name FROM {}.database_principals p WHERE p.name = @P1 AND p.type \
             = 'S'",
            scope.sys()
        );
        let rows = self.session.rows(&format!("find {name} in {scope}"), &query, &[name]).await?;
        rows.first().map(|row| user(row, 0)).transpose()
    }
}
