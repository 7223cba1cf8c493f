//! The progress of one sync: which changes come next, what was done, and the report.

use std::collections::BTreeMap;

use super::Pair;
use super::plan::{Applied, Change, Effect};
use super::request::{PasswordRequest, SyncReport, SyncRequest};
use crate::engine_error::{EngineError, join_remedies};
use crate::shortened::shortened;

/// The number of times that a change is executed before it counts as one without effect. A
/// statement can revert the change of another statement of the same round, so one execution is not
/// enough.
const MAX_TRIES: usize = 2;

/// The changes that were executed so far.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How often each change was executed, by its summary.
    tries: BTreeMap<String, usize>,
    /// The changes that the server accepted, in order: the summary, and the phrase that replaces it
    /// in the report.
    made: Vec<(String, Option<String>)>,
    /// The summaries of the changes whose object no longer exists.
    gone: Vec<String>,
    /// `true` if the alternate user was created.
    created: bool,
    notes: Vec<String>,
}

/// The changes of a plan, by what becomes of them.
#[derive(Debug)]
pub(super) struct Next<A> {
    /// The changes to execute now. They have the same phase.
    pub(super) changes: Vec<Change<A>>,
    /// The changes that wait, because they could interrupt the active user.
    deferred: Vec<Change<A>>,
    /// The changes that were executed several times and are planned even so.
    without_effect: Vec<Change<A>>,
}

impl Progress {
    /// Sorts the changes of a plan.
    pub(super) fn next<A>(
        &self,
        mut changes: Vec<Change<A>>,
        request: &SyncRequest<'_>,
    ) -> Next<A> {
        let alternate_is_active = !request.is_alternate_target();
        let deferred = changes
            .extract_if(.., |change| alternate_is_active && change.interrupts_active_user)
            .collect();
        changes.retain(|change| !self.gone.contains(&change.summary));
        let tries = |change: &Change<A>| self.tries.get(&change.summary).copied();
        let without_effect =
            changes.extract_if(.., |change| tries(change) >= Some(MAX_TRIES)).collect();
        let phase = changes.iter().map(|change| change.phase).min();
        changes.retain(|change| Some(change.phase) == phase);
        Next { changes, deferred, without_effect }
    }

    /// Executes changes.
    ///
    /// # Errors
    /// [`EngineError::PrivilegeMissing`] with all privileges that the master user lacks, or the
    /// first error of any other kind.
    pub(super) async fn execute<P: Pair>(
        &mut self,
        pair: &mut P,
        changes: Vec<Change<P::Action>>,
    ) -> Result<(), EngineError> {
        let mut denied = Vec::new();
        for change in changes {
            // The denied change may add what replaces the thing that this change removes.
            if !denied.is_empty() && change.effect == Effect::Removes {
                continue;
            }
            let Change { summary, action, creates_alternate, when_made, note, .. } = change;
            let tries = self.tries.entry(summary.clone()).or_default();
            *tries += 1;
            let is_first = *tries == 1;
            match Box::pin(pair.apply(&action)).await {
                Ok(Applied::Changed) if creates_alternate => self.created = true,
                Ok(Applied::Changed) if is_first => {
                    self.notes.extend(note);
                    self.made.push((summary, when_made));
                }
                Ok(Applied::Changed) => {}
                Ok(Applied::ObjectGone) => {
                    let note = format!("Not done, because the object does not exist: {summary}.");
                    self.notes.push(note);
                    self.gone.push(summary);
                }
                Err(EngineError::PrivilegeMissing { action, message, remedy }) => {
                    denied.push((action, message, remedy));
                    // Without the alternate user, no other change is possible.
                    if creates_alternate {
                        break;
                    }
                }
                Err(other) if denied.is_empty() => return Err(other),
                // The error can be a consequence of a change that was denied.
                Err(_) => break,
            }
        }
        if denied.is_empty() { Ok(()) } else { Err(join_missing(&denied)) }
    }

    /// Returns the report, once no change is left to execute.
    ///
    /// # Errors
    /// [`EngineError::NeedsDecision`] if the alternate user is the target and still lacks a right.
    pub(super) fn finish<A>(
        self,
        request: &SyncRequest<'_>,
        notes: Vec<String>,
        Next { deferred, without_effect, .. }: Next<A>,
    ) -> Result<SyncReport, EngineError> {
        // Applications would switch to a user that lacks a right.
        let is_missing =
            |change: &&Change<A>| change.effect == Effect::Adds && request.is_alternate_target();
        let missing = summaries(without_effect.iter().filter(is_missing));
        if !missing.is_empty() {
            return Err(still_missing(request, &missing));
        }
        let without_effect = summaries(&without_effect);
        let has_effect = |summary: &String| !without_effect.contains(summary);
        let made = self.made.into_iter().filter(|(summary, _)| has_effect(summary));
        let changes = made.map(|(summary, phrase)| phrase.unwrap_or(summary)).collect();
        let deferred = deferred.iter().map(|change| {
            format!(
                "Deferred until the next rotation to {}, because applications are using that user \
                 now: {}.",
                request.alternate, change.summary
            )
        });
        let accepted = without_effect.iter().map(|change| {
            format!(
                "The server accepted a change without effect. If another user granted the same, \
                 run the change as that user: {change}."
            )
        });
        let notes = self.notes.into_iter().chain(notes).chain(deferred).chain(accepted).collect();
        let created = self.created;
        Ok(SyncReport { created, changes, notes, without_effect, ..SyncReport::default() })
    }
}

fn summaries<'a, A: 'a>(changes: impl IntoIterator<Item = &'a Change<A>>) -> Vec<String> {
    changes.into_iter().map(|change| change.summary.clone()).collect()
}

/// Returns the error for rights that the alternate user lacks although the server accepted the
/// statements.
fn still_missing(request: &SyncRequest<'_>, changes: &[String]) -> EngineError {
    EngineError::NeedsDecision {
        what: format!(
            "the server accepted these changes of {}, but they had no effect: {}",
            request.alternate,
            shortened(changes, "; ")
        ),
        remedy: format!(
            "Find out what overrides them (such as a denial by another user), and remove it. Or \
             run them as an administrator who may grant to {}.",
            request.alternate
        ),
    }
}

/// Returns one error for all privileges that the master user lacks.
fn join_missing(denied: &[(String, String, String)]) -> EngineError {
    let join = |part: fn(&(String, String, String)) -> &str| {
        let mut parts: Vec<&str> = Vec::new();
        for text in denied.iter().map(part) {
            if !parts.contains(&text) {
                parts.push(text);
            }
        }
        parts.join("; ")
    };
    EngineError::PrivilegeMissing {
        action: join(|(action, _, _)| action),
        message: join(|(_, message, _)| message),
        remedy: join_remedies(denied.iter().map(|(_, _, remedy)| remedy.as_str())),
    }
}
