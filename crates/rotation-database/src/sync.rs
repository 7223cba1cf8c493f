//! Sync of two alternating users: read, plan, apply, and read again.
//!
//! An engine reads the state of both users, plans the changes as a pure function of that state, and
//! executes one change at a time. The rules that are the same for every engine are here: the order
//! of reading and changing, the changes that wait because applications use the alternate user, the
//! changes that have no effect, missing privileges, and the report.

mod plan;
mod progress;
mod request;

use std::future::Future;

pub use plan::{Applied, Change, Effect, Plan, Statement};
pub use request::{
    PasswordRequest, PasswordReset, PasswordSet, ProvenUser, SyncReport, SyncRequest,
};

use crate::engine_error::EngineError;
use progress::Progress;

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
    let mut progress = Progress::default();
    loop {
        let state = Box::pin(pair.read()).await?;
        let Plan { changes, notes, .. } = pair.plan(&state)?;
        let next = progress.next(changes, request);
        if next.changes.is_empty() {
            return Ok((progress.finish(request, notes, next)?, state));
        }
        progress.execute(pair, next.changes).await?;
    }
}

#[cfg(test)]
mod tests;
