//! The changes that bring the alternate user in line with the base user.

use rotation_database::sync::{Change, Effect, Plan, Statement};
use rotation_database::{EngineError, PasswordRequest, SyncRequest, administrator};

use super::state::{PairState, UserState, is_locked, is_locked_on_purpose};
use super::{Names, alter_user, grants};

/// The operation that [`super::Users`] executes for one change.
#[derive(Debug)]
pub(super) enum Action {
    /// Creates the alternate user, locked, with the new password.
    Create { clauses: String },
    /// Runs a statement that contains no password.
    Run(Statement),
}

/// The phase of default roles. They follow the grants of roles, because only a granted role can be
/// a default role.
const DEFAULT_ROLES: u8 = 1;

/// The phase of revokes. They follow everything that can be a replacement: a privilege that the
/// base user now has through a role needs the role as a default role. If the replacement is denied,
/// the sync fails before the revokes.
const REVOKES: u8 = 2;

/// Returns the changes of an existing alternate user, or the creation of a missing target.
pub(super) fn plan(
    state: &PairState,
    request: &SyncRequest<'_>,
    names: &Names,
) -> Result<Plan<Action>, EngineError> {
    let planner = Planner { state, request, names };
    let mut plan = Plan::default();
    planner.notes(&mut plan);
    match &state.alternate {
        Some(alternate) => {
            planner.ensure_pair(alternate)?;
            planner.attributes(alternate, &mut plan);
            planner.access(alternate, &mut plan);
            planner.quotas(alternate, &mut plan);
            planner.grants(alternate, &mut plan);
            if is_locked(&alternate.status) && !is_locked(&state.base.status) {
                plan.removed_by_password
                    .push(format!("{} is locked ({})", names.alternate, alternate.status));
            }
        }
        None if request.is_alternate_target() => {
            let read_only = if state.base.is_read_only { " READ ONLY" } else { "" };
            let clauses = format!("{}{read_only}", state.base.attributes.clauses());
            let action = Action::Create { clauses };
            plan.push(Change::creating(format!("{} is missing", names.alternate), action));
        }
        None => {}
    }
    Ok(plan)
}

struct Planner<'a> {
    state: &'a PairState,
    request: &'a SyncRequest<'a>,
    names: &'a Names,
}

impl Planner<'_> {
    /// Returns an error if the two users have the names of a pair but are not one. Neither of them
    /// may then be changed.
    ///
    /// An alternate user that a rotation created is locked, or has exactly the privileges of its
    /// base user.
    fn ensure_pair(&self, alternate: &UserState) -> Result<(), EngineError> {
        if self.request.pair_verified {
            return Ok(());
        }
        let (base, name) = (self.names.base.to_string(), self.names.alternate.to_string());
        if !self.request.is_alternate_target() {
            return Err(EngineError::unproven_base(base, name));
        }
        let why = match self.changed_grants(alternate).first() {
            // An application owns the objects of a schema, even if the user is locked.
            _ if alternate.owns > 0 => format!("{name} owns {} object(s)", alternate.owns),
            Some(change) if !is_locked_on_purpose(&alternate.status) => {
                format!("the first difference is: {}", change.statement)
            }
            _ => return Ok(()),
        };
        let consent = format!(
            "ALTER USER {name} ACCOUNT LOCK, if it owns nothing; the next attempt syncs and \
             unlocks it"
        );
        Err(EngineError::UnverifiedPair {
            base,
            alternate: name,
            why: Some(why),
            consent: Some(consent),
        })
    }

    fn changed_grants(&self, alternate: &UserState) -> Vec<grants::Change> {
        let wanted = &self.state.base.granted.grants;
        alternate.granted.grants.changes_to(wanted, &self.names.alternate)
    }

    /// Creates a change that runs `ALTER USER`.
    fn alter(&self, clauses: &str) -> Change<Action> {
        let sql = format!("ALTER USER {} {clauses}", self.names.alternate);
        let remedy = alter_user(&self.names.master);
        let statement = Statement::new(format!("run {sql}"), sql.clone(), remedy);
        Change::new(sql, Action::Run(statement))
    }

    fn attributes(&self, alternate: &UserState, plan: &mut Plan<Action>) {
        let wanted = &self.state.base.attributes;
        if *wanted != alternate.attributes {
            let change = self.alter(&wanted.clauses());
            plan.push(change.interrupting(self.state.profile_restricts));
        }
    }

    /// Adds the change of a read-only user. Applications could no longer change anything with a
    /// user that becomes read-only.
    fn access(&self, alternate: &UserState, plan: &mut Plan<Action>) {
        let change = match (self.state.base.is_read_only, alternate.is_read_only) {
            (true, false) => self
                .alter("READ ONLY")
                .with_effect(Effect::Removes)
                .interrupting(true)
                .in_phase(REVOKES),
            (false, true) => self.alter("READ WRITE").with_effect(Effect::Adds),
            _ => return,
        };
        plan.push(change);
    }

    fn quotas(&self, alternate: &UserState, plan: &mut Plan<Action>) {
        let wanted = &self.state.base.quotas;
        for (tablespace, quota) in wanted {
            if alternate.quotas.get(tablespace) != Some(quota) {
                plan.push(self.alter(&format!("QUOTA {quota} ON {tablespace}")));
            }
        }
        for tablespace in alternate.quotas.keys().filter(|name| !wanted.contains_key(name)) {
            plan.push(self.alter(&format!("QUOTA 0 ON {tablespace}")));
        }
    }

    fn grants(&self, alternate: &UserState, plan: &mut Plan<Action>) {
        for change in self.changed_grants(alternate) {
            let grants::Change { statement: sql, effect, right, is_replaced } = change;
            let remedy = administrator(&right.needed(&self.names.master));
            let statement = Statement::new(format!("run {sql}"), sql.clone(), remedy);
            let is_late = is_replaced || effect == Effect::Removes;
            let change = Change::new(sql, Action::Run(statement)).with_effect(effect);
            plan.push(change.interrupting(is_replaced).in_phase(if is_late { REVOKES } else { 0 }));
        }
        let base = &self.state.base.granted;
        // The server removes a revoked role from the default roles.
        let kept = alternate.granted.default_roles.of(&base.grants);
        if kept != base.default_roles {
            plan.push(self.alter(&base.default_roles.clause()).in_phase(DEFAULT_ROLES));
        }
    }

    /// Adds notes on privileges that the sync cannot copy, and on a password of the master user
    /// that is about to expire.
    fn notes(&self, plan: &mut Plan<Action>) {
        let (base, name) = (&self.names.base, &self.names.alternate);
        let UserState { owns, granted, .. } = &self.state.base;
        if let Some(warning) = &self.state.master_expires {
            plan.notes.push(format!(
                "The password of the master user {} is about to expire ({warning}).",
                self.names.master
            ));
        }
        let Some(alternate) = &self.state.alternate else { return };
        if *owns > 0 {
            plan.notes.push(format!(
                "{base} owns {owns} object(s), and {name} can use them only through grants. Let \
                 the application log in as a user that owns no objects."
            ));
        }
        let has = &alternate.granted.otherwise;
        let lacks: Vec<&str> =
            granted.otherwise.iter().filter(|it| !has.contains(it)).map(String::as_str).collect();
        if !lacks.is_empty() {
            plan.notes.push(format!(
                "Not copied, because GRANT does not support it: {}. Grant it to {name} in the same \
                 way as to {base}.",
                lacks.join(", ")
            ));
        }
    }
}
