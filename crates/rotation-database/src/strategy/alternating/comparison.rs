//! The comparison of the two users, for `testSecret` and preflight.

use rotation::{Checks, Context, Result};

use crate::database::Database;
use crate::engine::{Engine, Session};
use crate::engine_error::EngineError;
use crate::error::Error;
use crate::master::Master;
use crate::secret::DatabaseSecret;
use crate::shortened::shortened;
use crate::strategy::master_session::MasterLogin;
use crate::strategy::preflight::{open_master, record_missing};
use crate::strategy::target_proof::prove_target;
use crate::sync::SyncRequest;
use crate::user_pair::{MasterTask, UserPair};

/// Checks, after the login of `testSecret`, that an application can use the user, and compares the
/// alternate user with the base user, as the server reports them. If the target is the base user,
/// there is nothing to compare, because its privileges are the model. Returns a note if the users
/// could not be compared.
pub(super) async fn verify<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    mut session: E::Session,
    pending: &DatabaseSecret,
) -> Result<Option<String>> {
    let pair = UserPair::of(&pending.username, E::SPEC);
    let usable = session.check_alternate_usable(&pair).await;
    session.close().await;
    usable.map_err(|cause| database.statement(pending, &pending.username, cause))?;
    let UserPair { base, alternate } = &pair;
    if pending.username != *alternate {
        return Ok(None);
    }
    match differences(database, cx, &pair, pending).await {
        Ok(differences) if differences.is_empty() => Ok(None),
        Ok(differences) => Err(Error::UsersDiffer {
            endpoint: pending.endpoint(),
            base: base.clone(),
            alternate: alternate.clone(),
            differences,
        }
        .into()),
        // setSecret has synced the user, so a failed second check must not delay the new password.
        Err(error) => Ok(Some(format!(
            "The privileges of {alternate} and {base} could not be compared: {error}."
        ))),
    }
}

async fn differences<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    pair: &UserPair,
    pending: &DatabaseSecret,
) -> Result<Vec<String>> {
    let master = Master::fetch(cx, pending, E::SPEC).await?;
    let mut session = MasterLogin::of(database, &master, pending, pending).open(cx).await?;
    cx.set_activity(format!("comparing the privileges of {} and {}", pair.alternate, pair.base));
    let name = &master.secret.username;
    let unencrypted = database.logs_in_unencrypted(pending);
    let request = SyncRequest::to_compare(name, pair, &pending.password, unencrypted);
    let differences = session.differences(&request).await;
    session.close().await;
    let mut differences = differences.map_err(|cause| database.statement(pending, name, cause))?;
    database.remove_changes_without_effect(cx, &mut differences);
    Ok(differences)
}

/// Checks that the master user can sync the two users.
pub(super) async fn preflight<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    checks: &mut Checks,
) {
    let pair = UserPair::of(&current.username, E::SPEC);
    let task = MasterTask::Alternate(&pair);
    let Some((master, mut session)) = open_master(database, cx, current, task, checks).await else {
        return;
    };
    let missing = session.missing_privileges(&master, task).await;
    let unencrypted = database.logs_in_unencrypted(current);
    let mut request = SyncRequest::to_compare(&master, &pair, &current.password, unencrypted);
    let next = database.next_version(current);
    let changes = planned_changes(database, cx, &mut session, &mut request, &next).await;
    // If the missing privileges cannot be read, setSecret reports them.
    let ungrantable = match &changes {
        Ok(changes) if !changes.is_empty() => {
            session.ungrantable_privileges(&request).await.unwrap_or_default()
        }
        _ => Vec::new(),
    };
    session.close().await;
    record_missing(database, current, &master, task, missing, checks);
    let UserPair { base, alternate } = &pair;
    let check = format!("master user {master} may grant the privileges of {base} to {alternate}");
    match changes {
        Ok(changes) if changes.is_empty() => {
            checks.passed(format!("{alternate} is in sync with {base}"));
        }
        Ok(_) if !ungrantable.is_empty() => {
            for cause in ungrantable {
                checks.failed(&check, &database.statement(current, &master, cause).into());
            }
        }
        Ok(changes) => checks.skipped(
            check,
            format!(
                "not tried, because that would change something; setSecret reports all missing \
                 privileges in one error. Changes to make: {}",
                shortened(&changes, "; ")
            ),
        ),
        // setSecret reads the same state and would fail with the same error.
        Err(error) => checks.failed(check, &error),
    }
}

/// Returns the changes that [`super::set`] would make to the two users, without making them.
///
/// `request` is for the alternate user as the target, and `pending` names the next target. The
/// origin of the pair is proven as [`super::set`] does it.
async fn planned_changes<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    session: &mut E::Session,
    request: &mut SyncRequest<'_>,
    pending: &DatabaseSecret,
) -> Result<Vec<String>> {
    let master = request.master;
    let failed = |cause| database.statement(pending, master, cause).into();
    let base_is_target = pending.username == request.base;
    request.pair_verified = base_is_target && !E::SPEC.pairs_provable;
    if request.pair_verified && prove_target(database, cx, pending, true).await?.is_none() {
        return Err(failed(EngineError::unproven_base(request.base, request.alternate)));
    }
    let mut differences = session.differences(request).await;
    if matches!(differences, Err(EngineError::UnverifiedPair { .. }))
        && !base_is_target
        && prove_target(database, cx, pending, true).await?.is_some()
    {
        request.pair_verified = true;
        differences = session.differences(request).await;
    }
    differences.map_err(failed)
}
