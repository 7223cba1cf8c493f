//! Roles and permissions of the alternate principal in one scope, brought in step with the base
//! principal's.

use std::collections::BTreeSet;

use rotation_database::{EngineError, administrator};

use crate::alternate::Step;
use crate::permission_rows;
use crate::permissions::{Change, Right};
use crate::quote::identifier;
use crate::scope::Scope;
use crate::session::{column, flag, text};

/// How often it is tried: a statement on a table also wipes what was said of its columns, which the
/// next round says again.
const ROUNDS: usize = 3;

/// Names of roles, and whether each is a fixed one.
type Roles = BTreeSet<(String, bool)>;

/// The two principals in a scope, by their ids there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) base: i32,
    pub(crate) alternate: i32,
}

impl Step<'_> {
    /// Brings roles and permissions in step. `name` is the alternate principal's in this scope.
    pub(crate) async fn rights_in_step(
        &mut self,
        scope: Scope<'_>,
        ids: Ids,
        name: &str,
    ) -> Result<(), EngineError> {
        self.roles_in_step(scope, ids, name).await?;
        let principal = identifier(name);
        for round in 0..=ROUNDS {
            let permissions =
                permission_rows::of(self.session, scope, &[ids.base, ids.alternate]).await?;
            let (wanted, has) = (&permissions[&ids.base], &permissions[&ids.alternate]);
            let mut changes = has.changes_to_become(wanted, &principal);
            // What the base user may do to its alternate: nobody grants anything on itself.
            changes.retain(|change| !change.right.is_on(&principal));
            // On the base user's turn the alternate one is in use. What keeps the base user out
            // must not keep it out too: then nobody would be left.
            if !self.copy.is_alternates_turn() {
                let (later, now): (Vec<_>, Vec<_>) =
                    changes.into_iter().partition(Change::blocks_login);
                changes = now;
                if round == 0 {
                    for change in later {
                        self.copied.defer(name, format!("{} in {scope}", change.statement));
                    }
                }
            }
            if changes.is_empty() {
                return Ok(());
            }
            if round == ROUNDS {
                return Err(self.stays(scope, &changes));
            }
            for Change { statement, right } in changes {
                let remedy = match scope {
                    Scope::Server => administrator(&format!(
                        "USE [master]; GRANT {right} TO {} WITH GRANT OPTION",
                        identifier(self.copy.master)
                    )),
                    Scope::Database(_) => self.make_owner(scope),
                };
                self.change(scope, &statement, &remedy).await?;
            }
            if self.dry_run {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The roles of the two, each with whether it is a fixed one.
    pub(crate) async fn roles(
        &mut self,
        scope: Scope<'_>,
        ids: Ids,
    ) -> Result<(Roles, Roles), EngineError> {
        let sys = scope.sys();
        let query = format!(
            "SELECT CAST(m.member_principal_id AS int), r.name, CAST(r.is_fixed_role AS int) FROM {sys}.{} m \
             JOIN {sys}.{} r ON r.principal_id = m.role_principal_id WHERE m.member_principal_id IN ({}, {})",
            scope.role_members(),
            scope.principals(),
            ids.base,
            ids.alternate
        );
        let (mut base, mut alternate) = (Roles::new(), Roles::new());
        for row in self.session.rows(&format!("read the roles in {scope}"), &query, &[]).await? {
            let roles =
                if column::<i32>(&row, 0)? == ids.base { &mut base } else { &mut alternate };
            roles.insert((text(&row, 1)?, flag(&row, 2)?));
        }
        Ok((base, alternate))
    }

    async fn roles_in_step(
        &mut self,
        scope: Scope<'_>,
        ids: Ids,
        name: &str,
    ) -> Result<(), EngineError> {
        let (wanted, has) = self.roles(scope, ids).await?;
        let new = wanted.difference(&has).map(|role| (role, "ADD"));
        for ((role, is_fixed), change) in
            has.difference(&wanted).map(|role| (role, "DROP")).chain(new)
        {
            let statement = format!(
                "ALTER {} {} {change} MEMBER {}",
                scope.role(),
                identifier(role),
                identifier(name)
            );
            let remedy = match scope {
                // Who is in a fixed server role may add others.
                Scope::Server if *is_fixed => administrator(&format!(
                    "ALTER SERVER ROLE {} ADD MEMBER {}",
                    identifier(role),
                    identifier(self.copy.master)
                )),
                Scope::Server => administrator(&format!(
                    "USE [master]; GRANT ALTER ON SERVER ROLE::{} TO {}",
                    identifier(role),
                    identifier(self.copy.master)
                )),
                Scope::Database(_) => self.make_owner(scope),
            };
            self.change(scope, &statement, &remedy).await?;
        }
        Ok(())
    }

    /// The statement has run, and nothing has changed: somebody else has granted it.
    fn stays(&self, scope: Scope<'_>, changes: &[Change]) -> EngineError {
        let statements =
            changes.iter().map(|change| change.statement.as_str()).collect::<Vec<_>>().join("; ");
        EngineError::NeedsDecision {
            what: format!(
                "in {scope}, these statements change nothing, because somebody else has granted it: {statements}"
            ),
            remedy: format!(
                "Run them as whoever has granted it, or with AS and its name at the end (column grantor_principal_id of \
                 sys.{}).",
                scope.permissions()
            ),
        }
    }
}

impl Right {
    /// Returns `true` if it is a right on a principal of that name.
    pub(crate) fn is_on(&self, principal: &str) -> bool {
        ["LOGIN::", "USER::"]
            .iter()
            .any(|class| self.securable.strip_prefix(class) == Some(principal))
    }
}
