//! The result of a step. The function logs it and returns it to its invoker, so it must not contain
//! a secret.

use serde::Serialize;

use crate::checks::Check;
use crate::event::Event;

/// The outcome of a successful step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The step did its work.
    Done,
    /// An earlier attempt had already done the work.
    AlreadyDone,
}

/// The work that a [`crate::Rotator`] did in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The outcome: this step or an earlier attempt did the work.
    pub outcome: Outcome,
    /// A summary in one sentence, without secrets.
    pub what: String,
    /// Notes for the operator, one sentence each, without secrets.
    pub notes: Vec<String>,
    /// The checks of `preflight`.
    pub(crate) checks: Vec<Check>,
}

impl Done {
    /// Creates the result of a step that did its work.
    pub fn now(what: impl Into<String>) -> Self {
        Self { outcome: Outcome::Done, what: what.into(), notes: Vec::new(), checks: Vec::new() }
    }

    /// Creates the result of a step whose work an earlier attempt had done.
    pub fn before(what: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::AlreadyDone,
            what: what.into(),
            notes: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Adds a note for the operator.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds notes for the operator.
    #[must_use]
    pub fn notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}

/// The function's response. Secrets Manager ignores it. An operator who invokes the function sees
/// it.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// The name of the step, such as `setSecret`.
    pub step: &'static str,
    /// The ARN (or name) of the secret.
    pub secret: String,
    /// The version that is being rotated to. Preflight has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The outcome: this step or an earlier attempt did the work.
    pub outcome: Outcome,
    /// A summary in one sentence.
    pub did: String,
    /// Notes for the operator.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The checks of `preflight`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

impl Record {
    pub(crate) fn of(event: &Event, done: Done) -> Self {
        Self {
            step: event.step.name(),
            secret: event.secret_id.clone(),
            version: event.version.as_ref().map(ToString::to_string),
            outcome: done.outcome,
            did: done.what,
            notes: done.notes,
            checks: done.checks,
        }
    }
}
