//! What a step did: returned to whoever invoked the function, and logged. Holds no secrets.

use serde::Serialize;

use crate::event::Event;
use crate::preflight::Check;

/// How a step that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The step did its work.
    Done,
    /// An earlier attempt had done it already.
    AlreadyDone,
}

/// What a [`crate::Rotator`] did in a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Whether there was anything left to do.
    pub outcome: Outcome,
    /// One sentence for a person. No secrets.
    pub what: String,
    /// Things a person should know of, one sentence each. No secrets.
    pub notes: Vec<String>,
    /// What `preflight` has looked at.
    pub(crate) checks: Vec<Check>,
}

impl Done {
    /// The work was done.
    pub fn now(what: impl Into<String>) -> Self {
        Self { outcome: Outcome::Done, what: what.into(), notes: Vec::new(), checks: Vec::new() }
    }

    /// The work had been done before.
    pub fn before(what: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::AlreadyDone,
            what: what.into(),
            notes: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Adds something a person should know of.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Adds what a person should know of, if there is anything.
    #[must_use]
    pub fn notes(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}

/// The function's answer. Secrets Manager ignores it; a person who invokes by hand sees it.
#[derive(Debug, Clone, Serialize)]
pub struct Record {
    /// The step's name.
    pub step: &'static str,
    /// The secret.
    pub secret: String,
    /// The version being rotated to.
    pub version: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was done, in one sentence.
    pub did: String,
    /// Things a person should know of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What `preflight` has looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

impl Record {
    pub(crate) fn of(event: &Event, done: Done) -> Self {
        Self {
            step: event.step.name(),
            secret: event.secret_id.clone(),
            version: event.version.to_string(),
            outcome: done.outcome,
            did: done.what,
            notes: done.notes,
            checks: done.checks,
        }
    }
}
