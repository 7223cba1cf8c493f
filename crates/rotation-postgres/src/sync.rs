//! The sync of the alternate role with its base role.
//!
//! The alternate role has no privileges of its own. It is a member of the base role and acts as
//! that role from the first statement (`ALTER ROLE alternate SET role = base`). Every current and
//! future privilege, row policy, default privilege, user mapping and ownership of the base role
//! therefore applies to it, and everything that it creates belongs to the base role. The sync
//! copies attributes and settings, because PostgreSQL looks them up under the name that logged in.
//!
//! All changes and the password are in one transaction, so an interrupted rotation leaves the role
//! unchanged.

mod attributes;
mod plan;
mod settings;
mod state;

use rotation_database::sync::{self, Applied, Pair, Plan, Statement};
use rotation_database::{EngineError, PasswordReset, PasswordSet, SyncReport, SyncRequest};

use crate::administer::administer;
use crate::new_password::NewPassword;
use crate::session::{Access, Session, Transaction};
use attributes::Attributes;
use state::PairState;

/// Syncs the two roles and sets the password of the target.
pub(crate) async fn sync(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<SyncReport, EngineError> {
    // The verifier is computed before the transaction holds a lock.
    let password = NewPassword::by_master(
        session,
        request.target,
        request.password,
        request.logs_in_unencrypted,
    )
    .await?;
    let mut pair = RolePair::begin(session, request, Access::Change).await?;
    let (report, _) = sync::sync(&mut pair, request).await?;
    commit_password(pair.transaction, request.master, request.target, &password).await?;
    Ok(report)
}

/// Returns the changes that [`sync()`] would make.
pub(crate) async fn differences(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<Vec<String>, EngineError> {
    let mut pair = RolePair::begin(session, request, Access::Look).await?;
    let differences = sync::differences(&mut pair).await?;
    pair.transaction.commit().await?;
    Ok(differences)
}

/// Returns the privileges that the master user certainly lacks for the changes of [`differences`].
pub(crate) async fn ungrantable_privileges(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    let mut pair = RolePair::begin(session, request, Access::Look).await?;
    let state = pair.read().await?;
    let lacks = match state.alternate.as_ref().is_some_and(|alternate| alternate.owns_here()) {
        true => pair.lacks_for_reassignment().await?,
        false => None,
    };
    pair.transaction.commit().await?;
    Ok(lacks.into_iter().collect())
}

/// Sets the password of a role, and changes nothing else.
pub(crate) async fn set_password(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<PasswordSet, EngineError> {
    let password =
        NewPassword::by_master(session, reset.user, reset.password, reset.logs_in_unencrypted)
            .await?;
    let mut transaction = session.begin(Access::Change).await?;
    state::read_attributes(&mut transaction, reset.user, None).await?;
    commit_password(transaction, reset.master, reset.user, &password).await?;
    Ok(PasswordSet::Now)
}

/// Sets the password of a role and commits the transaction.
async fn commit_password(
    transaction: Transaction<'_>,
    master: &str,
    role: &str,
    password: &NewPassword,
) -> Result<(), EngineError> {
    let remedy = administer(transaction.version(), master, role);
    transaction.set_password_and_commit(role, password.messages(role), &remedy).await
}

/// The two roles, in a transaction of the master user.
struct RolePair<'a> {
    transaction: Transaction<'a>,
    request: &'a SyncRequest<'a>,
}

impl Pair for RolePair<'_> {
    type State = PairState;
    type Action = Statement;

    async fn read(&mut self) -> Result<PairState, EngineError> {
        self.read_state().await
    }

    fn plan(&self, state: &PairState) -> Result<Plan<Statement>, EngineError> {
        plan::plan(state, self.request)
    }

    async fn apply(&mut self, statement: &Statement) -> Result<Applied, EngineError> {
        self.transaction.change(statement).await?;
        Ok(Applied::Changed)
    }
}

impl<'a> RolePair<'a> {
    async fn begin(
        session: &'a mut Session,
        request: &'a SyncRequest<'a>,
        access: Access,
    ) -> Result<Self, EngineError> {
        Ok(Self { transaction: session.begin(access).await?, request })
    }
}
