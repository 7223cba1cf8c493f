//! Sync of two alternating users: read, plan, apply, and read again.
//!
//! An engine reads the state of both users, plans the changes as a pure function of that state, and
//! executes one change at a time. The rules that are the same for every engine are here: the order
//! of reading and changing, the changes that wait because applications use the alternate user, the
//! changes that have no effect, missing privileges, and the report.

mod plan;
mod request;

use std::collections::BTreeMap;
use std::future::Future;

pub use plan::{Applied, Change, Effect, Plan, Statement};
pub use request::{PasswordSet, ProvenUser, SyncReport, SyncRequest};

use crate::engine_error::{EngineError, join_remedies};
use crate::shortened::shortened;

/// The number of times that a change is executed before it counts as one without effect. A
/// statement can revert the change of another statement of the same round, so one execution is not
/// enough.
const MAX_TRIES: usize = 2;

/// The base user and the alternate user, as the session of a master user reads and changes them.
pub trait Pair: Send {
    /// Everything that the server reports about both users and that a plan depends on.
    type State: Send + Sync;
    /// The operation that the engine executes for one change.
    type Action: Send + Sync;

    /// Reads the state of both users.
    ///
    /// # Errors
    /// Returns an error even if only a part of the state cannot be read, because the sync would
    /// revoke an overlooked privilege.
    fn read(&mut self) -> impl Future<Output = Result<Self::State, EngineError>> + Send;

    /// Returns the changes that bring the alternate user in line with the base user. Returns no
    /// changes if the alternate user does not exist and is not the target.
    ///
    /// The plan is made again after every round, so also after the alternate user was created. Then
    /// [`SyncRequest::pair_verified`] is still `false`. So an engine creates the alternate user in
    /// a state that it recognizes (locked, disabled, a member of the base user, or with a certain
    /// identifier), and accepts an alternate user in that state here. An interrupted rotation can
    /// have left such a user, too.
    ///
    /// If the base user is the target and `pair_verified` is `false`, an engine without
    /// [`EngineSpec::pairs_provable`] returns [`EngineError::unproven_base`].
    ///
    /// [`EngineSpec::pairs_provable`]: crate::EngineSpec::pairs_provable
    ///
    /// # Errors
    /// [`EngineError::UnverifiedPair`] and [`EngineError::NeedsDecision`] if nothing of either
    /// user may be changed.
    fn plan(&self, state: &Self::State) -> Result<Plan<Self::Action>, EngineError>;

    /// Executes one change of the plan in the session of the master user.
    fn apply(
        &mut self,
        action: &Self::Action,
    ) -> impl Future<Output = Result<Applied, EngineError>> + Send;
}

/// Returns the differences between the two users, one phrase for each, without changing anything.
///
/// # Errors
/// Those of [`Pair::read`] and [`Pair::plan`].
pub async fn differences<P: Pair>(pair: &mut P) -> Result<Vec<String>, EngineError> {
    let state = pair.read().await?;
    Ok(pair.plan(&state)?.differences())
}

/// Applies changes until no change is left, and returns the report and the last state.
///
/// The server accepts some changes without effect. A change that is still planned after it was
/// executed several times is one of these. It is added to [`SyncReport::without_effect`] and to the
/// notes, and does not fail the rotation, because it would fail every attempt. The exception is a
/// right that the alternate user still lacks when it is the target: applications would switch to a
/// user that cannot do their work.
///
/// # Errors
/// Returns [`EngineError::PrivilegeMissing`] with all privileges that the master user lacks,
/// [`EngineError::NeedsDecision`] for rights that stay missing, or the first error of any other
/// kind.
pub async fn sync<P: Pair>(
    pair: &mut P,
    request: &SyncRequest<'_>,
) -> Result<(SyncReport, P::State), EngineError> {
    let mut report = SyncReport::default();
    let mut tries = BTreeMap::<String, usize>::new();
    let mut gone = Vec::new();
    loop {
        let state = Box::pin(pair.read()).await?;
        let Plan { mut changes, notes, .. } = pair.plan(&state)?;
        let alternate_is_active = !request.is_alternate_target();
        let deferred: Vec<_> = changes
            .extract_if(.., |change| alternate_is_active && change.interrupts_active_user)
            .collect();
        changes.retain(|change| !gone.contains(&change.summary));
        let (without_effect, mut changes): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| {
                tries.get(&change.summary).is_some_and(|tries| *tries >= MAX_TRIES)
            });
        if changes.is_empty() {
            report.notes.extend(notes);
            for change in deferred {
                report.defer(request.alternate, &change.summary);
            }
            let (missing, without_effect): (Vec<_>, Vec<_>) = without_effect
                .into_iter()
                .partition(|change| change.effect == Effect::Adds && !alternate_is_active);
            // Applications would switch to a user that lacks a right.
            if !missing.is_empty() {
                return Err(still_missing(request, missing.into_iter().map(|c| c.summary)));
            }
            report.no_effect(without_effect.into_iter().map(|change| change.summary));
            return Ok((report, state));
        }
        let phase = changes.iter().map(|change| change.phase).min();
        changes.retain(|change| Some(change.phase) == phase);
        let mut denied = Vec::new();
        for change in changes {
            if !denied.is_empty() && change.effect == Effect::Removes {
                continue;
            }
            let Change { summary, action, creates_alternate, when_made, note, .. } = change;
            *tries.entry(summary.clone()).or_default() += 1;
            match Box::pin(pair.apply(&action)).await {
                Ok(Applied::Changed) if creates_alternate => report.created = true,
                Ok(Applied::Changed) => report.changed(when_made.unwrap_or(summary), note),
                Ok(Applied::ObjectGone) => {
                    let note = format!("Not done, because the object does not exist: {summary}.");
                    report.notes.push(note);
                    gone.push(summary);
                }
                Err(EngineError::PrivilegeMissing { action, message, remedy }) => {
                    denied.push((action, message, remedy));
                    // The other changes depend on the alternate user.
                    if creates_alternate {
                        break;
                    }
                }
                Err(other) if denied.is_empty() => return Err(other),
                // The error can be a consequence of a change that was denied.
                Err(_) => break,
            }
        }
        if !denied.is_empty() {
            return Err(join_missing(&denied));
        }
    }
}

/// Returns the error for rights that the alternate user lacks although the server accepted the
/// statements.
fn still_missing(request: &SyncRequest<'_>, changes: impl Iterator<Item = String>) -> EngineError {
    let changes: Vec<_> = changes.collect();
    EngineError::NeedsDecision {
        what: format!(
            "the server accepted these changes of {}, but they had no effect: {}",
            request.alternate,
            shortened(&changes, "; ")
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

#[cfg(test)]
mod tests;
