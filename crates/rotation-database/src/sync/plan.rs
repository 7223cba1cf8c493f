//! The plan of a sync and its changes.

use std::fmt;

/// The changes that bring the alternate user in line with the base user.
#[derive(Debug)]
pub struct Plan<A> {
    /// The changes, in the order in which they are executed.
    pub changes: Vec<Change<A>>,
    /// Differences that the statement with the new password removes, such as a lock.
    pub removed_by_password: Vec<String>,
    /// Notes for the operator, one sentence for each.
    pub notes: Vec<String>,
}

/// One change of the users.
#[derive(Debug)]
pub struct Change<A> {
    /// The change in a phrase, for reports: `attributes: CREATEDB`. Identifies the change.
    pub summary: String,
    /// The operation that the engine executes.
    pub action: A,
    /// The effect on the alternate user's rights.
    pub effect: Effect,
    /// `true` if the change could keep the active user from logging in or from working.
    pub interrupts_active_user: bool,
    /// The phase of the change. Changes of a later phase are executed after those of all earlier
    /// phases, and are planned again before that.
    pub phase: u8,
    /// `true` if the change creates the alternate user.
    pub creates_alternate: bool,
    /// The change in a phrase after it was made, if `summary` describes the difference only.
    pub when_made: Option<String>,
    /// A note for the operator if the change was made.
    pub note: Option<String>,
}

/// The effect of a change on the rights of the alternate user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It gives a right. Without it, applications that switch to the alternate user would fail.
    Adds,
    /// It takes a right away. It is not executed after another change was denied, because the
    /// denied one may be the replacement.
    Removes,
    /// It changes something else, such as an attribute or a setting.
    Sets,
}

/// The result of executing a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// The server accepted the change.
    Changed,
    /// The object of a grant no longer exists.
    ObjectGone,
}

/// A statement that changes something.
#[derive(Clone, PartialEq, Eq)]
pub struct Statement {
    /// The action, as it reads after "could not".
    pub action: String,
    /// The SQL text. It may contain a password, so [`fmt::Debug`] leaves it out.
    pub sql: String,
    /// The remedy if the privilege is missing. `None` if every user may normally run it.
    pub remedy: Option<String>,
}

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement").field("action", &self.action).finish_non_exhaustive()
    }
}

impl Statement {
    /// Creates a statement that needs a privilege, with the remedy if the privilege is missing.
    pub fn new(
        action: impl Into<String>,
        sql: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::unprivileged(action, sql) }
    }

    /// Creates a statement that every user may normally run.
    pub fn unprivileged(action: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { action: action.into(), sql: sql.into(), remedy: None }
    }
}

impl<A> Change<A> {
    /// Creates a change that does not interrupt the active user.
    pub fn new(summary: impl Into<String>, action: A) -> Self {
        Self {
            summary: summary.into(),
            action,
            effect: Effect::Sets,
            interrupts_active_user: false,
            phase: 0,
            creates_alternate: false,
            when_made: None,
            note: None,
        }
    }

    /// Creates a change that creates the alternate user.
    pub fn creating(summary: impl Into<String>, action: A) -> Self {
        Self { creates_alternate: true, ..Self::new(summary, action) }
    }

    /// Sets the effect, which is [`Effect::Sets`] by default.
    #[must_use]
    pub fn with_effect(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }

    /// Sets the phrase that describes the change after it was made.
    #[must_use]
    pub fn when_made(self, phrase: String) -> Self {
        Self { when_made: Some(phrase), ..self }
    }

    /// Sets whether the change could interrupt the active user.
    #[must_use]
    pub fn interrupting(self, interrupts_active_user: bool) -> Self {
        Self { interrupts_active_user, ..self }
    }

    /// Sets the phase, which is 0 by default: the first one.
    #[must_use]
    pub fn in_phase(self, phase: u8) -> Self {
        Self { phase, ..self }
    }

    /// Adds a note for the operator.
    #[must_use]
    pub fn noting(self, note: String) -> Self {
        Self { note: Some(note), ..self }
    }
}

impl<A> Default for Plan<A> {
    fn default() -> Self {
        Self { changes: Vec::new(), removed_by_password: Vec::new(), notes: Vec::new() }
    }
}

impl<A> Plan<A> {
    /// Adds a change after those that are already in the plan.
    pub fn push(&mut self, change: Change<A>) {
        self.changes.push(change);
    }

    /// Returns all differences, one phrase for each.
    pub fn differences(self) -> Vec<String> {
        let changes = self.changes.into_iter().map(|change| change.summary);
        changes.chain(self.removed_by_password).collect()
    }
}
