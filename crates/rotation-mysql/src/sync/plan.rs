//! The changes that bring the accounts of both users in line. The alternate user gets the
//! privileges of the base user, and the base user gets those on routines of the alternate user.

use rotation_database::sync::{Change, Effect, Plan, Statement};
use rotation_database::{EngineError, SyncRequest};

use super::Base;
use super::state::{AccountPair, AccountState, LeftOver, PairState};
use crate::account::Account;
use crate::administer::administer;
use crate::grants;
use crate::quote::Literals;

/// The operation that [`super::Users`] executes for one change.
#[derive(Debug)]
pub(crate) enum Action {
    /// Creates an account that is locked, with a random password.
    Create { base: Base, account: Account },
    /// Runs statements, one after the other.
    Run(Vec<Statement>),
    /// Grants or revokes a privilege whose object may be gone.
    ChangePrivilege(Statement),
}

/// The phase of partial revokes. They follow the grants, because the server can add the partial
/// revokes of the master user to a grant.
const PARTIAL_REVOKES: u8 = 1;
/// The phase of default roles. They come last, because the server removes a revoked role from them.
const DEFAULT_ROLES: u8 = 2;
/// Accounts without a counterpart are locked last, when nothing was denied.
const UNPAIRED: u8 = 3;

/// Returns the changes of all pairs of accounts, and then those of the leftover accounts.
pub(super) fn plan(
    state: &PairState,
    request: &SyncRequest<'_>,
) -> Result<Plan<Action>, EngineError> {
    let planner = Planner { state, request };
    if !request.pair_verified {
        planner.ensure_pair()?;
    }
    let mut plan = Plan::default();
    for pair in &state.pairs {
        planner.account(pair, &mut plan);
    }
    for account in &state.left_over {
        planner.left_over(account, &mut plan);
    }
    Ok(plan)
}

struct Planner<'a> {
    state: &'a PairState,
    request: &'a SyncRequest<'a>,
}

impl Planner<'_> {
    fn administrator(&self, grant: &str) -> String {
        administer(self.request.master, grant, "", &self.state.inactive_roles)
    }

    fn quoted(&self, account: &Account) -> String {
        account.quoted(Literals::BackslashEscapes)
    }

    fn account(&self, pair: &AccountPair, plan: &mut Plan<Action>) {
        let AccountPair { base, base_has, wanted, account, has } = pair;
        for change in base_has.changes_to(wanted) {
            plan.push(self.privilege(&base.account, &change));
        }
        let Some(has) = has else {
            let action = Action::Create { base: base.clone(), account: account.clone() };
            plan.push(Change::creating(format!("{account} is missing"), action));
            return;
        };
        self.attributes(base, account, has, plan);
        self.lock(base, account, has, plan);
        for change in has.granted.changes_to(wanted) {
            if !self.state.gone.contains(&change.statement(&account.to_string())) {
                plan.push(self.privilege(account, &change));
            }
        }
        self.default_roles(pair, has, plan);
    }

    fn attributes(
        &self,
        base: &Base,
        account: &Account,
        has: &AccountState,
        plan: &mut Plan<Action>,
    ) {
        let expire = self.state.passwords_expire_by_default;
        let (harmless, restricting) = has.shown.clauses_while_in_use(&base.shown, expire);
        let ends_lifetime = has.shown.lifetime_must_end_first(&base.shown);
        for (clauses, ends_lifetime, interrupts) in [
            (harmless, ends_lifetime && !expire, false),
            (restricting, ends_lifetime && expire, true),
        ] {
            if clauses.is_empty() {
                continue;
            }
            let never = ends_lifetime.then_some("PASSWORD EXPIRE NEVER");
            let statement = |clauses: &str| {
                Statement::new(
                    format!("change the attributes of {account}"),
                    format!("ALTER USER {} {clauses}", self.quoted(account)),
                    self.administrator("GRANT CREATE USER ON *.* TO"),
                )
            };
            let statements = never.into_iter().chain([clauses.as_str()]).map(statement).collect();
            let summary = format!("attributes of {account}: {clauses}");
            plan.push(Change::new(summary, Action::Run(statements)).interrupting(interrupts));
        }
    }

    fn lock(&self, base: &Base, account: &Account, has: &AccountState, plan: &mut Plan<Action>) {
        match (has.shown.locked, base.shown.locked) {
            (true, false) => plan
                .removed_by_password
                .push(format!("{account} is locked, and {} is not", base.account)),
            (false, true) => {
                let note = format!("{account} is locked, as {} is.", base.account);
                plan.push(self.locking(account).interrupting(true).noting(note));
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Locks an account of the alternate user for whose host the base user has no account, because
    /// it must not have more privileges than the base user.
    fn left_over(&self, LeftOver { account, locked }: &LeftOver, plan: &mut Plan<Action>) {
        if *locked {
            return;
        }
        let (base, host) = (self.request.base, &account.host);
        let note = format!(
            "{account} is locked, because {base} no longer has an account for host {host}."
        );
        plan.push(self.locking(account).interrupting(true).in_phase(UNPAIRED).noting(note));
    }

    fn locking(&self, account: &Account) -> Change<Action> {
        let statement = Statement::new(
            format!("lock {account}"),
            format!("ALTER USER {} ACCOUNT LOCK", self.quoted(account)),
            self.administrator("GRANT CREATE USER ON *.* TO"),
        );
        let summary = format!("ALTER USER {account} ACCOUNT LOCK");
        Change::new(summary, Action::Run(vec![statement])).with_effect(Effect::Removes)
    }

    fn privilege(&self, account: &Account, change: &grants::Change) -> Change<Action> {
        let summary = change.statement(&account.to_string());
        let statement = Statement::new(
            format!("run {summary}"),
            change.statement(&self.quoted(account)),
            self.state.remedy_of(self.request.master, change),
        );
        let action = match change.on {
            Some(_) => Action::ChangePrivilege(statement),
            None => Action::Run(vec![statement]),
        };
        let phase = if change.restricts { PARTIAL_REVOKES } else { 0 };
        let effect = match (change.revokes, change.interrupts) {
            (true, _) => Effect::Removes,
            // The account has the privilege already, as a part of a larger one.
            (false, true) => Effect::Sets,
            (false, false) => Effect::Adds,
        };
        Change::new(summary, action)
            .with_effect(effect)
            .interrupting(change.interrupts)
            .in_phase(phase)
    }

    fn default_roles(&self, pair: &AccountPair, has: &AccountState, plan: &mut Plan<Action>) {
        let account = &pair.account;
        let is_mariadb = self.state.is_mariadb;
        let (wanted, has) = if is_mariadb {
            (pair.wanted.default_role.as_deref(), has.granted.default_role.as_deref())
        } else {
            (pair.base.shown.default_roles.as_deref(), has.shown.default_roles.as_deref())
        };
        if wanted == has {
            return;
        }
        let roles = wanted.unwrap_or("NONE");
        let name = self.quoted(account);
        let statement = Statement::new(
            format!("set the default roles of {account}"),
            match is_mariadb {
                true => format!("SET DEFAULT ROLE {roles} FOR {name}"),
                false => format!("ALTER USER {name} DEFAULT ROLE {roles}"),
            },
            self.administrator("GRANT UPDATE ON mysql.* TO"),
        );
        let summary = format!("default roles of {account}");
        plan.push(Change::new(summary, Action::Run(vec![statement])).in_phase(DEFAULT_ROLES));
    }

    /// Returns an error if the two users have the names of a pair but are not one. Neither of them
    /// may then be changed.
    ///
    /// An alternate account that a rotation created is locked or has exactly the privileges of its
    /// base account.
    fn ensure_pair(&self) -> Result<(), EngineError> {
        let base = self.request.base;
        for pair in &self.state.pairs {
            if let Some(has) = &pair.has
                && !has.shown.locked
                && let Some(change) = has.granted.changes_to(&pair.wanted).first()
            {
                let difference = format!(
                    "the first difference is: {}",
                    change.statement(&pair.account.to_string())
                );
                return Err(self.unverified_pair(&pair.account, &difference));
            }
        }
        match self.state.left_over.iter().find(|left_over| !left_over.locked) {
            Some(LeftOver { account, .. }) => {
                Err(self.unverified_pair(account, &format!("{base} has no account for that host")))
            }
            None => Ok(()),
        }
    }

    fn unverified_pair(&self, account: &Account, difference: &str) -> EngineError {
        let (base, alternate) = (self.request.base, self.request.alternate);
        EngineError::UnverifiedPair {
            base: base.to_owned(),
            alternate: alternate.to_owned(),
            why: Some(format!(
                "{account} does not have exactly the privileges of {base}: {difference}"
            )),
            consent: Some(format!(
                "ALTER USER {} ACCOUNT LOCK; the next attempt syncs and unlocks it",
                self.quoted(account)
            )),
        }
    }
}
