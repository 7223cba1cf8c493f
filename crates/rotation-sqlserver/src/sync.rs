//! The sync of the alternate user with the base user: two logins and their users in every database,
//! or two users of a contained database.
//!
//! A new account has a random password, and the password of the rotation comes last, so that an
//! interrupted rotation leaves an account that cannot log in.

mod account;
mod database_list;
mod databases;
mod grantable;
pub(crate) mod logins;
pub(crate) mod passwords;
mod permission_rows;
mod permissions;
mod plan;
mod rights;
mod state;

use std::collections::BTreeMap;

use rotation_database::sync::{self, Applied, Pair, Plan, Statement};
use rotation_database::{EngineError, SyncReport, SyncRequest, administrator};

use crate::own_password::password;
use crate::quote::{binary, identifier};
use crate::scope::Scope;
use crate::session::Session;
use passwords::random_password;
use plan::Action;
use state::{Accounts, PairState};

pub(crate) use grantable::ungrantable_privileges;
pub(crate) use state::UserState;

/// Syncs the two users and sets the password of the target.
pub(crate) async fn sync(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<SyncReport, EngineError> {
    session.begin().await?;
    let mut users = Users::new(session, request);
    let (mut report, state) = sync::sync(&mut users, request).await?;
    users.check_triggers(state.accounts.scope()).await?;
    match &state.accounts {
        Accounts::Logins { base, alternate, .. } => {
            users.password_of_login(base, alternate.as_ref(), &mut report).await?;
        }
        Accounts::Contained { .. } => {
            users.password_of_contained(state.accounts.scope(), &mut report).await?;
        }
    }
    report.notes.append(&mut users.notes);
    Ok(report)
}

/// Returns the changes that [`sync()`] would make.
pub(crate) async fn differences(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<Vec<String>, EngineError> {
    session.begin().await?;
    sync::differences(&mut Users::new(session, request)).await
}

/// Returns the errors for the DDL triggers of the application's users that [`sync()`] would fire
/// now.
pub(crate) async fn blocking_triggers(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    session.begin().await?;
    let mut users = Users::collecting_errors(session, request);
    let state = users.read().await?;
    let plan = users.plan(&state)?;
    for change in &plan.changes {
        users.check_triggers(change.action.scope()).await?;
    }
    for database in state.accounts.databases_to_enter() {
        users.check_triggers(Scope::Database(database)).await?;
    }
    users.check_triggers(state.accounts.scope()).await?;
    Ok(users.trigger_errors)
}

/// The users of a request, in a session of the master user: two users to sync, or one whose
/// password is set.
pub(crate) struct Users<'a, R> {
    pub(crate) session: &'a mut Session,
    pub(crate) request: &'a R,
    /// `true` if errors about triggers are collected, because nothing is changed.
    pub(crate) collects_trigger_errors: bool,
    /// The errors about triggers.
    pub(crate) trigger_errors: Vec<EngineError>,
    /// Notes on triggers that the application's users cannot change.
    pub(crate) notes: Vec<String>,
    /// Where the accounts of the users are. `None` until the server has been asked.
    pub(crate) home: Option<Home>,
    /// The security identifiers of those of the users that exist.
    pub(crate) sids: Vec<Vec<u8>>,
    /// For each scope that was checked, `true` if the users can create triggers in it. The key
    /// is a database, or `None` for the server.
    pub(crate) can_create_triggers: BTreeMap<Option<String>, bool>,
}

/// Where the accounts of the users are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Home {
    /// On the server: they are logins.
    Server,
    /// In this contained database, whose users they are.
    Database(String),
}

impl Pair for Users<'_, SyncRequest<'_>> {
    type State = PairState;
    type Action = Action;

    async fn read(&mut self) -> Result<PairState, EngineError> {
        self.read_state().await
    }

    fn plan(&self, state: &PairState) -> Result<Plan<Action>, EngineError> {
        plan::plan(state, self.request)
    }

    async fn apply(&mut self, action: &Action) -> Result<Applied, EngineError> {
        let scope = action.scope();
        self.check_triggers(scope).await?;
        let mut statement = match action {
            Action::CreateLogin { sid, options } => self.creation_of_login(sid, options)?,
            Action::CreateContainedUser { sid, .. } => self.creation_of_user(scope, sid)?,
            Action::ReplaceMustChangePassword { login } => self.replacement_password(login)?,
            Action::Run { statement, .. } => statement.clone(),
        };
        statement.sql.insert_str(0, &scope.enter());
        self.session.execute(&statement).await?;
        Ok(Applied::Changed)
    }
}

impl<'a, R> Users<'a, R> {
    pub(crate) fn new(session: &'a mut Session, request: &'a R) -> Self {
        Self {
            session,
            request,
            collects_trigger_errors: false,
            trigger_errors: Vec::new(),
            notes: Vec::new(),
            home: None,
            sids: Vec::new(),
            can_create_triggers: BTreeMap::new(),
        }
    }

    /// Creates users that only collect the errors about triggers.
    pub(crate) fn collecting_errors(session: &'a mut Session, request: &'a R) -> Self {
        Self { collects_trigger_errors: true, ..Self::new(session, request) }
    }
}

impl Users<'_, SyncRequest<'_>> {
    fn creation_of_login(&self, sid: &[u8], options: &str) -> Result<Statement, EngineError> {
        let alternate = self.request.alternate;
        Ok(Statement::new(
            format!("create login {alternate}"),
            format!(
                "CREATE LOGIN {} WITH PASSWORD = {}, SID = {}, {options}",
                identifier(alternate),
                password(&random_password()?)?,
                binary(sid)
            ),
            login_remedy(self.request.master),
        ))
    }

    fn creation_of_user(&self, scope: Scope<'_>, sid: &[u8]) -> Result<Statement, EngineError> {
        let alternate = self.request.alternate;
        Ok(Statement::new(
            format!("create {alternate} in {scope}"),
            format!(
                "CREATE USER {} WITH PASSWORD = {}, SID = {}",
                identifier(alternate),
                password(&random_password()?)?,
                binary(sid)
            ),
            owner_remedy(self.request.master, scope),
        ))
    }

    /// Returns the statement that sets another password of the alternate login, because its current
    /// one must be changed at the next login (`MUST_CHANGE`). Until then, `CHECK_EXPIRATION` cannot
    /// be turned off (error 15128).
    fn replacement_password(&self, login: &str) -> Result<Statement, EngineError> {
        let password = password(&random_password()?)?;
        Ok(Statement::new(
            format!("set a password of {login}"),
            format!("ALTER LOGIN {} WITH PASSWORD = {password}", identifier(login)),
            login_remedy(self.request.master),
        ))
    }
}

/// Returns the remedy that lets the master user change logins.
pub(crate) fn login_remedy(master: &str) -> String {
    administrator(&format!(
        "USE [master]; GRANT ALTER ANY LOGIN TO {} (to change a login in sysadmin or with CONTROL \
         SERVER, the master user needs CONTROL SERVER, too)",
        identifier(master)
    ))
}

/// The database whose owner can become a member of sysadmin.
pub(crate) const MSDB: &str = "msdb";

/// Returns the remedy that lets the master user change the users of a database and their
/// permissions.
pub(crate) fn owner_remedy(master: &str, scope: Scope<'_>) -> String {
    let master = identifier(master);
    if scope == Scope::Database(MSDB) {
        return administrator(&format!(
            "{}CREATE USER {master} FOR LOGIN {master} (if it has no user there); GRANT \
             ALTER ANY USER, ALTER ANY ROLE TO {master}; and grant the permissions of the user \
             WITH GRANT OPTION TO {master}",
            scope.enter()
        ));
    }
    administrator(&format!(
        "{}CREATE USER {master} FOR LOGIN {master} (if it has no user there); ALTER ROLE db_owner \
         ADD MEMBER {master}",
        scope.enter()
    ))
}
