//! The changes that bring the alternate role in line with its base role.

use rotation_database::sync::{Change, Effect, Plan, Statement};
use rotation_database::{EngineError, PasswordRequest, SyncRequest, administrator};

use super::attributes::Attributes;
use super::settings;
use super::state::{AlternateState, PairState};
use crate::administer::{ADMIN_OPTION_REQUIRED, administer};
use crate::quote::identifier;

/// Returns the changes of an existing alternate role, or the creation of a missing target.
pub(super) fn plan(
    state: &PairState,
    request: &SyncRequest<'_>,
) -> Result<Plan<Statement>, EngineError> {
    let planner = Planner { state, request };
    let mut plan = Plan::default();
    match &state.alternate {
        Some(alternate) => {
            planner.ensure_pair(alternate)?;
            planner.attributes(alternate, &mut plan);
            planner.memberships(alternate, &mut plan);
            planner.ownership(alternate, &mut plan)?;
        }
        None if request.is_alternate_target() => planner.creation(&mut plan),
        None => return Ok(plan),
    }
    planner.settings(&mut plan);
    Ok(plan)
}

/// Returns the statement that gives everything that the alternate role owns to the base role.
pub(super) fn reassignment(version: Option<u32>, request: &SyncRequest<'_>) -> Statement {
    let (base, alternate) = (identifier(request.base), identifier(request.alternate));
    let sql = format!("REASSIGN OWNED BY {alternate} TO {base}");
    // A master user that has created a role is a member of it, but does not inherit its privileges.
    let options = if version >= ADMIN_OPTION_REQUIRED { " WITH INHERIT TRUE" } else { "" };
    Statement::new(
        format!("give what {} owns to {}", request.alternate, request.base),
        sql.clone(),
        format!(
            "As an administrator, in the secret's database: {sql}. Or allow the master user to \
             do it: GRANT {alternate}, {base} TO {}{options}.",
            identifier(request.master)
        ),
    )
}

struct Planner<'a> {
    state: &'a PairState,
    request: &'a SyncRequest<'a>,
}

impl Planner<'_> {
    fn names(&self) -> (&str, &str) {
        (self.request.base, self.request.alternate)
    }

    fn administer(&self, role: &str) -> String {
        administer(self.state.version, self.request.master, role)
    }

    /// Returns an error if the two roles have the names of a pair but are not one. Neither of them
    /// may then be changed.
    fn ensure_pair(&self, alternate: &AlternateState) -> Result<(), EngineError> {
        let (base, name) = self.names();
        if alternate.memberships.iter().any(|membership| membership.role == base) {
            return Ok(());
        }
        Err(EngineError::NeedsDecision {
            what: format!(
                "roles {base} and {name} exist, and {name} is not a member of {base}: they may \
                 belong to different people"
            ),
            remedy: format!(
                "If {name} is meant to be the alternate user of {base}, confirm it as an \
                 administrator of the database: GRANT {} TO {}. Otherwise rename one of them.",
                identifier(base),
                identifier(name)
            ),
        })
    }

    fn creation(&self, plan: &mut Plan<Statement>) {
        let (_, alternate) = self.names();
        let wanted = self.state.base.attributes.for_alternate();
        let options = Attributes::of_new_role().options_to(&wanted);
        let sql = format!("CREATE ROLE {} {}", identifier(alternate), options.join(" "));
        let statement = Statement::new(
            format!("create role {alternate}"),
            sql.clone(),
            self.creation_remedy(&options, &sql),
        );
        plan.push(Change::creating(format!("role {alternate} is missing"), statement));
        self.become_member(plan);
    }

    /// Returns the remedy if the master user cannot create the alternate role. Some attributes can
    /// only be set by a role that has them, and before PostgreSQL 16 only by a superuser.
    fn creation_remedy(&self, options: &[String], statement: &str) -> String {
        let master = identifier(self.request.master);
        let own =
            |option: &&String| ["CREATEDB", "REPLICATION", "BYPASSRLS"].contains(&option.as_str());
        let by_superuser = |option: &String| match option.as_str() {
            "SUPERUSER" => true,
            "REPLICATION" | "BYPASSRLS" => self.state.version < ADMIN_OPTION_REQUIRED,
            _ => false,
        };
        if options.iter().any(by_superuser) {
            let (base, alternate) = self.names();
            return format!(
                "As a superuser of the database: {statement}; GRANT {} TO {}.",
                identifier(base),
                identifier(alternate)
            );
        }
        let list: String = options.iter().filter(own).map(|option| format!(" {option}")).collect();
        format!("As an administrator of the database: ALTER ROLE {master} CREATEROLE{list}.")
    }

    fn attributes(&self, alternate: &AlternateState, plan: &mut Plan<Statement>) {
        let (_, name) = self.names();
        let has = &alternate.role.attributes;
        let wanted = self.state.base.attributes.for_alternate();
        let harmless = has.while_in_use(&wanted);
        for (options, interrupts) in
            [(has.options_to(&harmless), false), (harmless.options_to(&wanted), true)]
        {
            if options.is_empty() {
                continue;
            }
            let options = options.join(" ");
            let statement = Statement::new(
                format!("change the attributes of role {name}"),
                format!("ALTER ROLE {} {options}", identifier(name)),
                self.administer(name),
            );
            let summary = format!("attributes: {options}");
            plan.push(Change::new(summary, statement).interrupting(interrupts));
        }
    }

    /// Makes the alternate role a member of the base role, and revokes its memberships in roles of
    /// which the base role is not a member.
    fn memberships(&self, alternate: &AlternateState, plan: &mut Plan<Statement>) {
        let (base, name) = self.names();
        let with_options = self.state.version >= ADMIN_OPTION_REQUIRED;
        for membership in &alternate.memberships {
            let role = &membership.role;
            if role == base || membership.shared {
                continue;
            }
            let by = match &membership.grantor {
                Some(grantor) if with_options => format!(" GRANTED BY {}", identifier(grantor)),
                _ => String::new(),
            };
            let sql = format!("REVOKE {} FROM {}{by}", identifier(role), identifier(name));
            let statement = Statement::new(
                format!("revoke role {role} from {name}, because {base} is not a member of it"),
                sql.clone(),
                administrator(&sql),
            );
            let summary = format!("no longer a member of {role}{by}");
            plan.push(Change::new(summary, statement).with_effect(Effect::Removes));
        }
        let is_member =
            |membership: &super::state::Membership| membership.role == base && membership.whole;
        if !alternate.memberships.iter().any(is_member) {
            self.become_member(plan);
        }
    }

    fn become_member(&self, plan: &mut Plan<Statement>) {
        let (base, alternate) = self.names();
        let options = match self.state.version >= ADMIN_OPTION_REQUIRED {
            true => " WITH INHERIT TRUE, SET TRUE",
            false => "",
        };
        let statement = Statement::new(
            format!("grant role {base} to {alternate}"),
            format!("GRANT {} TO {}{options}", identifier(base), identifier(alternate)),
            self.administer(base),
        );
        let change = Change::new(format!("member of {base}"), statement);
        plan.push(change.with_effect(Effect::Adds));
    }

    /// Reassigns the objects of the alternate role to the base role. The alternate role owns
    /// objects if it created them before it acted as the base role. Its sessions, which now act as
    /// the base role, could not use them otherwise.
    fn ownership(
        &self,
        alternate: &AlternateState,
        plan: &mut Plan<Statement>,
    ) -> Result<(), EngineError> {
        let (base, name) = self.names();
        let mut elsewhere = Vec::new();
        for dependency in &alternate.dependencies {
            let database = dependency.database.as_deref();
            match (dependency.owned, dependency.here) {
                (true, true) => {}
                (true, false) => elsewhere.extend(database),
                (false, _) => plan.notes.push(format!(
                    "{name} has privileges of its own{}. They apply only after SET ROLE NONE; \
                     DROP OWNED BY {} in that database would revoke them.",
                    database.map_or_else(String::new, |name| format!(" in database {name}")),
                    identifier(name)
                )),
            }
        }
        if !elsewhere.is_empty() {
            return Err(EngineError::NeedsDecision {
                what: format!(
                    "{name} owns objects in {}, which {base} could not use after this rotation",
                    elsewhere.join(", ")
                ),
                remedy: format!(
                    "As an administrator, in each of these databases: REASSIGN OWNED BY {} TO {}.",
                    identifier(name),
                    identifier(base)
                ),
            });
        }
        if alternate.owns_here() {
            let summary = format!("its objects now belong to {base}");
            plan.push(Change::new(summary, reassignment(self.state.version, self.request)));
        }
        Ok(())
    }

    fn settings(&self, plan: &mut Plan<Statement>) {
        let (base, name) = self.names();
        let wanted = settings::for_alternate(base, &self.state.base.settings);
        let none = settings::Settings::default();
        let has = self.state.alternate.as_ref().map_or(&none, |role| &role.role.settings);
        for change in settings::changes(has, &wanted) {
            let sql = format!("ALTER ROLE {} {}", identifier(name), change.clause);
            if self.state.not_settable.contains(&change.name) {
                plan.notes.push(format!(
                    "The setting {} of {base} was not copied to {name}: it belongs to an \
                     extension, and the master user may not set it. As a superuser: {sql}.",
                    change.name
                ));
                continue;
            }
            let remedy = format!(
                "As a superuser: GRANT SET ON PARAMETER {} TO {} (PostgreSQL 15 and later), or \
                 {sql}. {}",
                identifier(&change.name),
                identifier(self.request.master),
                self.administer(name),
            );
            let action = format!("copy the setting {} to {name}", change.name);
            let summary = format!("setting {}", change.place());
            plan.push(Change::new(summary, Statement::new(action, sql, remedy)));
        }
    }
}

#[cfg(test)]
mod tests;
