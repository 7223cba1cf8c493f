//! The changes that bring the alternate user in line with the base user.

use std::collections::BTreeMap;

use rotation_database::sync::{Change, Effect, Plan, Statement};
use rotation_database::{EngineError, PasswordRequest, SyncRequest, administrator};

use super::logins::{LoginState, Options};
use super::permissions;
use super::rights::Rights;
use super::state::{Accounts, DatabaseState, PairState, UserState};
use super::{MSDB, login_remedy, owner_remedy};
use crate::principal::Kind;
use crate::quote::identifier;
use crate::scope::Scope;

/// The operation that [`super::Users`] executes for one change.
#[derive(Debug)]
pub(crate) enum Action {
    /// Creates the alternate login, with a random password.
    CreateLogin { sid: Vec<u8>, options: String },
    /// Creates the alternate user of a contained database, with a random password.
    CreateContainedUser { database: String, sid: Vec<u8> },
    /// Replaces a password that must be changed at the next login with a random one.
    ReplaceMustChangePassword { login: String },
    /// Runs a statement in a database, or on the server.
    Run { database: Option<String>, statement: Statement },
}

impl Action {
    /// Returns the scope in which the action changes something.
    pub(super) fn scope(&self) -> Scope<'_> {
        match self {
            Self::CreateLogin { .. } | Self::ReplaceMustChangePassword { .. } => Scope::Server,
            Self::CreateContainedUser { database, .. } => Scope::Database(database),
            Self::Run { database, .. } => {
                database.as_deref().map_or(Scope::Server, Scope::Database)
            }
        }
    }
}

/// Returns the changes of an existing alternate user, or the creation of a missing target.
pub(super) fn plan(
    state: &PairState,
    request: &SyncRequest<'_>,
) -> Result<Plan<Action>, EngineError> {
    let planner = Planner { state, request };
    let mut plan = Plan::default();
    plan.notes.extend(state.notes.iter().cloned());
    match &state.accounts {
        Accounts::Logins { base, alternate, server, databases } => {
            planner.ensure_pair(
                Kind::Login,
                alternate.as_ref().map(|login| (login.sid.as_slice(), login.is_disabled)),
            )?;
            let Some(alternate) = alternate else {
                planner.create_login(base, &mut plan);
                planner.ensure_writable(databases, &plan)?;
                return Ok(plan);
            };
            planner.options(base, alternate, &mut plan);
            if let Some(rights) = server {
                planner.rights(Scope::Server, rights, &mut plan);
            }
            for (database, state) in databases {
                planner.database(Scope::Database(database), state, &mut plan)?;
            }
            planner.ensure_writable(databases, &plan)?;
            if alternate.is_disabled && !base.is_disabled {
                plan.removed_by_password.push(format!("{} is disabled", request.alternate));
            }
        }
        Accounts::Contained { database, base, alternate, rights } => {
            let sid = alternate.as_ref().map(|user| (user.sid.as_slice(), false));
            planner.ensure_pair(Kind::ContainedUser, sid)?;
            match (alternate, rights) {
                (Some(alternate), Some(rights)) => {
                    planner.user(Scope::Database(database), base, alternate, rights, &mut plan);
                }
                _ if request.is_alternate_target() => {
                    let sid = state.known_sid.clone();
                    let action = Action::CreateContainedUser { database: database.clone(), sid };
                    plan.push(Change::creating(planner.missing(action.scope()), action));
                }
                _ => {}
            }
        }
    }
    Ok(plan)
}

struct Planner<'a> {
    state: &'a PairState,
    request: &'a SyncRequest<'a>,
}

impl Planner<'_> {
    /// Returns an error if nothing proves that the two users are a pair. Neither of them may then
    /// be changed.
    ///
    /// `alternate` is the security identifier of the alternate user, and `true` if it is disabled.
    /// Applications do not use a disabled login.
    fn ensure_pair(&self, kind: Kind, alternate: Option<(&[u8], bool)>) -> Result<(), EngineError> {
        let Some((sid, is_disabled)) = alternate else { return Ok(()) };
        if self.request.pair_verified || is_disabled || sid == self.state.known_sid {
            return Ok(());
        }
        let quoted = identifier(self.request.alternate);
        let drop_user = format!("DROP {} {quoted} (it is created again)", kind.keyword());
        let consent = match kind {
            Kind::Login => {
                format!(
                    "ALTER LOGIN {quoted} DISABLE (the next attempt syncs and enables it), or \
                     {drop_user}"
                )
            }
            Kind::ContainedUser => drop_user,
        };
        Err(EngineError::UnverifiedPair {
            base: self.request.base.to_owned(),
            alternate: self.request.alternate.to_owned(),
            why: None,
            consent: self.request.is_alternate_target().then_some(consent),
        })
    }

    /// Returns an error if a user has to be changed in a READ_ONLY database, so that this is
    /// reported before the first change.
    fn ensure_writable(
        &self,
        databases: &BTreeMap<String, DatabaseState>,
        plan: &Plan<Action>,
    ) -> Result<(), EngineError> {
        let entered = self.state.accounts.databases_to_enter();
        let is_changed = |name: &str| {
            entered.contains(&name)
                || plan.changes.iter().any(|change| {
                    let is_deferred =
                        change.interrupts_active_user && !self.request.is_alternate_target();
                    change.action.scope() == Scope::Database(name) && !is_deferred
                })
        };
        let read_only: Vec<_> = databases
            .iter()
            .filter(|(name, state)| state.users.is_read_only && is_changed(name))
            .map(|(name, _)| name.as_str())
            .collect();
        if read_only.is_empty() {
            return Ok(());
        }
        let statements: Vec<_> = read_only
            .iter()
            .map(|name| format!("ALTER DATABASE {} SET READ_WRITE", identifier(name)))
            .collect();
        Err(EngineError::NeedsDecision {
            what: format!(
                "{} has to be created or changed in {}, but READ_ONLY databases cannot be changed",
                self.request.alternate,
                read_only.join(", ")
            ),
            remedy: administrator(&format!(
                "{}. After the rotation, these databases can be READ_ONLY again until the \
                 privileges of {} change",
                statements.join("; "),
                self.request.base
            )),
        })
    }

    fn missing(&self, scope: Scope<'_>) -> String {
        format!("{} is missing in {scope}", self.request.alternate)
    }

    fn create_login(&self, base: &LoginState, plan: &mut Plan<Action>) {
        if self.request.is_alternate_target() {
            let (sid, options) = (self.state.known_sid.clone(), base.options.clauses());
            let action = Action::CreateLogin { sid, options };
            plan.push(Change::creating(self.missing(Scope::Server), action));
        }
    }

    /// Creates a change that runs one statement.
    fn change(&self, scope: Scope<'_>, sql: String, remedy: String) -> Change<Action> {
        let summary = format!("{sql} in {scope}");
        let database = match scope {
            Scope::Server => None,
            Scope::Database(name) => Some(name.to_owned()),
        };
        let statement = Statement::new(format!("run {summary}"), sql, remedy);
        Change::new(summary, Action::Run { database, statement })
    }

    /// Creates a change of a user of a database.
    fn change_user(&self, scope: Scope<'_>, sql: String) -> Change<Action> {
        self.change(scope, sql, owner_remedy(self.request.master, scope))
    }

    fn options(&self, base: &LoginState, alternate: &LoginState, plan: &mut Plan<Action>) {
        if alternate.must_change && self.request.is_alternate_target() {
            let action = Action::ReplaceMustChangePassword { login: alternate.name.clone() };
            let change =
                Change::new(format!("{} must change its password", alternate.name), action);
            plan.push(change.when_made(format!(
                "the password that {} had to change was replaced",
                alternate.name
            )));
        }
        let harmless = alternate.options.while_in_use(&base.options);
        let alter = |options: &Options| {
            let sql =
                format!("ALTER LOGIN {} WITH {}", identifier(&alternate.name), options.clauses());
            self.change(Scope::Server, sql, login_remedy(self.request.master))
        };
        if harmless != alternate.options {
            plan.push(alter(&harmless));
        }
        if harmless != base.options {
            plan.push(alter(&base.options).interrupting(true));
        }
    }

    /// Plans the changes of the users of both logins in one database.
    fn database(
        &self,
        scope: Scope<'_>,
        state: &DatabaseState,
        plan: &mut Plan<Action>,
    ) -> Result<(), EngineError> {
        match (&state.users.base, &state.users.alternate) {
            (_, Some(alternate)) if alternate.is_dbo() => plan.notes.push(format!(
                "{} owns {scope}, so it has all privileges there.",
                self.request.alternate
            )),
            (Some(base), Some(alternate)) => {
                if let Some(rights) = &state.rights {
                    self.user(scope, base, alternate, rights, plan);
                }
            }
            (Some(base), None) => {
                let sql = self.creation_of_user(scope, base, state)?;
                // A new login of a user needs CONTROL, which a master user should not have in msdb.
                let remedy = match scope == Scope::Database(MSDB) && state.is_orphaned {
                    true => administrator(&format!("{}{sql}", scope.enter())),
                    false => owner_remedy(self.request.master, scope),
                };
                let Change { summary, action, .. } = self.change(scope, sql, remedy);
                let change = Change::new(self.missing(scope), action).when_made(summary);
                plan.push(change.with_effect(Effect::Adds));
            }
            (None, Some(alternate)) => {
                let sql = format!("DROP USER {}", identifier(&alternate.name));
                let change = self.change_user(scope, sql).with_effect(Effect::Removes);
                plan.push(change.interrupting(true));
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn creation_of_user(
        &self,
        scope: Scope<'_>,
        base: &UserState,
        state: &DatabaseState,
    ) -> Result<String, EngineError> {
        let name = identifier(self.request.alternate);
        match &state.users.namesake {
            // The login of the user does not exist, for example because the database was restored
            // on another server.
            Some(_) if state.is_orphaned => Ok(format!("ALTER USER {name} WITH LOGIN = {name}")),
            Some(namesake) => Err(EngineError::NeedsDecision {
                what: format!(
                    "{scope} has a user or role {} that does not belong to the login of that name",
                    namesake.name
                ),
                remedy: administrator(&format!(
                    "{}ALTER USER {name} WITH NAME = another name (a role: ALTER ROLE {name} WITH \
                     NAME), or drop it",
                    scope.enter()
                )),
            }),
            None => {
                let schema = base.schema.as_deref();
                let schema = schema
                    .map(|schema| format!(" WITH DEFAULT_SCHEMA = {}", identifier(schema)))
                    .unwrap_or_default();
                Ok(format!("CREATE USER {name} FOR LOGIN {name}{schema}"))
            }
        }
    }

    /// Plans the changes of one user of a database.
    fn user(
        &self,
        scope: Scope<'_>,
        base: &UserState,
        alternate: &UserState,
        rights: &Rights,
        plan: &mut Plan<Action>,
    ) {
        let mut clauses = Vec::new();
        if let Some(schema) = base.schema.as_deref().filter(|_| base.schema != alternate.schema) {
            clauses.push(format!("DEFAULT_SCHEMA = {}", identifier(schema)));
        }
        if base.language != alternate.language {
            let language = base.language.as_deref().map_or_else(|| "NONE".to_owned(), identifier);
            clauses.push(format!("DEFAULT_LANGUAGE = {language}"));
        }
        if !clauses.is_empty() {
            let name = identifier(&alternate.name);
            let sql = format!("ALTER USER {name} WITH {}", clauses.join(", "));
            plan.push(self.change_user(scope, sql));
        }
        self.rights(scope, rights, plan);
        self.note_ownership(scope, base, alternate, rights, plan);
    }

    fn rights(&self, scope: Scope<'_>, rights: &Rights, plan: &mut Plan<Action>) {
        let (wanted, has) = (&rights.base_roles, &rights.alternate_roles);
        let dropped = has.difference(wanted).map(|role| (role, "DROP"));
        for (role, verb) in dropped.chain(wanted.difference(has).map(|role| (role, "ADD"))) {
            plan.push(self.membership(scope, role, verb, &rights.alternate));
        }
        let principal = identifier(&rights.alternate);
        let changes = rights.alternate_permissions.changes_to(&rights.base_permissions, &principal);
        // A principal cannot grant permissions on itself, so those of the base user on its
        // alternate user are not copied.
        for change in changes.into_iter().filter(|change| !change.right.is_on(&principal)) {
            let interrupts = change.blocks_login();
            let permissions::Change { statement, effect, right } = change;
            let remedy = match scope {
                Scope::Server => administrator(&format!(
                    "USE [master]; GRANT {right} TO {} WITH GRANT OPTION",
                    identifier(self.request.master)
                )),
                Scope::Database(_) => owner_remedy(self.request.master, scope),
            };
            let change = self.change(scope, statement, remedy).with_effect(effect);
            plan.push(change.interrupting(interrupts));
        }
    }

    fn membership(
        &self,
        scope: Scope<'_>,
        (role, is_fixed): &(String, bool),
        verb: &str,
        member: &str,
    ) -> Change<Action> {
        let (role, master) = (identifier(role), identifier(self.request.master));
        let sql = format!("ALTER {} {role} {verb} MEMBER {}", scope.role(), identifier(member));
        let remedy = match scope {
            // A member of a fixed server role can add others.
            Scope::Server if *is_fixed => {
                administrator(&format!("ALTER SERVER ROLE {role} ADD MEMBER {master}"))
            }
            Scope::Server => administrator(&format!(
                "USE [master]; GRANT ALTER ON SERVER ROLE::{role} TO {master}"
            )),
            Scope::Database(_) => owner_remedy(self.request.master, scope),
        };
        let effect = if verb == "DROP" { Effect::Removes } else { Effect::Adds };
        self.change(scope, sql, remedy).with_effect(effect)
    }

    /// Adds notes on securables that only one of the two users owns.
    fn note_ownership(
        &self,
        scope: Scope<'_>,
        base: &UserState,
        alternate: &UserState,
        rights: &Rights,
        plan: &mut Plan<Action>,
    ) {
        if base.is_dbo() {
            plan.notes.push(format!(
                "{} owns {scope}; {} is in db_owner there.",
                self.request.base, self.request.alternate
            ));
        } else if !rights.owned_by_base.is_empty() {
            plan.notes.push(format!(
                "In {scope}, {} owns {}. {} is not an owner, and has only the granted permissions.",
                base.name,
                rights.owned_by_base.join(", "),
                alternate.name
            ));
        }
        if !rights.owned_by_alternate.is_empty() {
            plan.notes.push(format!(
                "In {scope}, {} owns {}, and {} does not (ALTER AUTHORIZATION ON SCHEMA::… TO {} \
                 changes that).",
                alternate.name,
                rights.owned_by_alternate.join(", "),
                base.name,
                identifier(&base.name)
            ));
        }
    }
}
