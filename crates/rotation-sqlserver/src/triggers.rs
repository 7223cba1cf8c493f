//! Checks DDL triggers, which run with the privileges of the login whose statement fires them.
//!
//! The owner of a database can create a trigger that fires when the master user changes the
//! database's users. So the function reads the enabled triggers of a scope before the master user's
//! first change there. The rotation stops if the application's users could have written one of
//! them.
//!
//! See [CREATE TRIGGER] and [permissions][doc].
//!
//! [CREATE TRIGGER]: https://learn.microsoft.com/sql/t-sql/statements/create-trigger-transact-sql
//! [doc]: https://learn.microsoft.com/sql/relational-databases/security/permissions-database-engine

mod reach;

use rotation_database::{EngineError, PasswordRequest, administrator};

use crate::accepted::SETTING;
use crate::quote::identifier;
use crate::scope::Scope;
use crate::session::text;
use crate::sync::Users;

impl<R: PasswordRequest> Users<'_, R> {
    /// Checks, before a change of the master user in a scope, that the change does not fire a
    /// trigger of the application's users.
    ///
    /// If these users can write triggers, the check runs before every change: the first change
    /// would show a hostile user when to create a trigger.
    pub(crate) async fn check_triggers(&mut self, scope: Scope<'_>) -> Result<(), EngineError> {
        let key = match scope {
            Scope::Server => None,
            Scope::Database(name) => Some(name.to_owned()),
        };
        let known = self.can_create_triggers.get(&key).copied();
        if known.is_none() || known == Some(true) && !self.collects_trigger_errors {
            match self.blocking_triggers(scope, key, known).await? {
                Some(refusal) if self.collects_trigger_errors => self.trigger_errors.push(refusal),
                Some(refusal) => return Err(refusal),
                None => {}
            }
        }
        // A trigger of the server can fire for changes in every database. A contained user does not
        // exist at the server level and has no permissions there.
        if scope == Scope::Server || self.are_contained() {
            return Ok(());
        }
        Box::pin(self.check_triggers(Scope::Server)).await
    }

    async fn blocking_triggers(
        &mut self,
        scope: Scope<'_>,
        key: Option<String>,
        known: Option<bool>,
    ) -> Result<Option<EngineError>, EngineError> {
        let can_write = match known {
            Some(can_write) => can_write,
            None => self.could_write_triggers(scope).await?,
        };
        self.can_create_triggers.insert(key, can_write);
        // A master user without VIEW ANY DEFINITION does not see the server's triggers. It does not
        // need to: only logins with CONTROL SERVER can create one, and the server rejects the
        // master user's changes of such logins.
        let mut triggers = self.triggers(scope).await?;
        let accepted = self.session.accepted();
        triggers.retain(|name| !accepted.holds(scope, name));
        if triggers.is_empty() {
            return Ok(None);
        }
        let names: Vec<_> = triggers.iter().map(|name| identifier(name)).collect();
        let master = self.request.master().to_owned();
        if !can_write {
            let note = format!(
                "In {scope}, the DDL trigger(s) {} may run with the privileges of {master}. The \
                 application's users cannot change them.",
                names.join(", ")
            );
            self.notes.push(note);
            return Ok(None);
        }
        let on = if scope == Scope::Server { "ALL SERVER" } else { "DATABASE" };
        let value: Vec<_> = triggers.iter().map(|name| qualified(scope, name)).collect();
        Ok(Some(EngineError::NeedsDecision {
            what: format!(
                "in {scope}, the DDL trigger(s) {} would run with the privileges of {master}, and \
                 the application's users may have written them",
                names.join(", ")
            ),
            remedy: format!(
                "{} Or, if you trust everyone who can alter them with the privileges of {master}, \
                 set {SETTING}={} on the function.",
                administrator(&format!(
                    "{}DISABLE TRIGGER {} ON {on}",
                    scope.enter(),
                    names.join(", ")
                )),
                value.join(",")
            ),
        }))
    }

    /// Returns the enabled triggers of a scope.
    ///
    /// Replication and change data capture create triggers of their own (`is_ms_shipped`), which
    /// fire for tables and are left out. If such a trigger fires for users, roles or permissions,
    /// it counts like any other.
    async fn triggers(&mut self, scope: Scope<'_>) -> Result<Vec<String>, EngineError> {
        let (view, events) = match scope {
            Scope::Server => ("server_triggers", "server_trigger_events"),
            Scope::Database(_) => ("triggers", "trigger_events"),
        };
        let (sys, class) = (scope.sys(), scope.own_class());
        let query = format!(
            "SELECT t.name FROM {sys}.{view} t WHERE t.parent_class = {class} \
             AND t.is_disabled = 0 AND (t.is_ms_shipped = 0 OR EXISTS (\
             SELECT e.object_id FROM {sys}.{events} e \
             WHERE e.object_id = t.object_id AND (e.type_desc LIKE N'%USER%' \
             OR e.type_desc LIKE N'%ROLE%' OR e.type_desc LIKE N'%LOGIN%' \
             OR e.type_desc LIKE N'GRANT%' OR e.type_desc LIKE N'DENY%' \
             OR e.type_desc LIKE N'REVOKE%'))) ORDER BY t.name"
        );
        let action = format!("look for DDL triggers in {scope}");
        let rows = self.session.rows(&action, &query, &[]).await?;
        rows.iter().map(|row| text(row, 0)).collect()
    }
}

/// Returns the name of a trigger in the form of the setting.
fn qualified(scope: Scope<'_>, name: &str) -> String {
    match scope {
        Scope::Server => identifier(name),
        Scope::Database(database) => format!("{}.{}", identifier(database), identifier(name)),
    }
}
