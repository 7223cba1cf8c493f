//! The checks of preflight that several strategies make.

use rotation::{Checks, Context};

use crate::database::Database;
use crate::engine::{Engine, Pooler, Session};
use crate::engine_error::EngineError;
use crate::master::Master;
use crate::secret::DatabaseSecret;
use crate::strategy::master_session::{self, MasterLogin, ensure_not_master};
use crate::strategy::poolers;
use crate::user_pair::MasterTask;

/// Checks that the host of a secret is not an endpoint of Amazon RDS Proxy.
pub(crate) fn check_host<E: Engine>(
    database: &Database<E>,
    current: &DatabaseSecret,
    checks: &mut Checks,
) {
    if let Some(cause) = poolers::named_by_host(current) {
        fail_pooler(database, current, cause, checks);
    }
}

/// Checks that the session does not go through a pooler or proxy with its own copy of the password,
/// as far as that can be known without a change.
pub(super) async fn check_pooler<E: Engine>(
    database: &Database<E>,
    session: &mut E::Session,
    current: &DatabaseSecret,
    checks: &mut Checks,
) {
    match poolers::find(session, current).await {
        None => {}
        // `check_host` has recorded it.
        Some(_) if poolers::named_by_host(current).is_some() => {}
        Some(Pooler::HasOwnCopy(cause)) => fail_pooler(database, current, cause, checks),
        Some(Pooler::Unknown) => checks.skipped(
            pooler_check(current),
            "a pooler or proxy was found; before setSecret changes anything, it checks whether the \
             pooler has its own copy of the password, and fails if so. Use the endpoint of the \
             server itself in \"host\"",
        ),
    }
}

/// Checks that a master user does not replace a lost password through a pooler.
pub(super) async fn check_pooler_without_password<E: Engine>(
    database: &Database<E>,
    master: &mut E::Session,
    current: &DatabaseSecret,
    checks: &mut Checks,
) {
    if let Err(cause) = poolers::look_without_password(master, current).await {
        fail_pooler(database, current, cause, checks);
    }
}

/// Records that the session of the active user goes through a pooler or proxy, whose own copies of
/// passwords would lock no application out.
pub(super) async fn report_pooler(
    session: &mut impl Session,
    current: &DatabaseSecret,
    checks: &mut Checks,
) {
    if poolers::find(session, current).await.is_some() {
        checks.skipped(
            pooler_check(current),
            "a pooler or proxy was found; if it has its own copies of passwords, it does not know \
             the new password, and testSecret fails. Use the endpoint of the server itself in \
             \"host\"",
        );
    }
}

fn fail_pooler<E: Engine>(
    database: &Database<E>,
    current: &DatabaseSecret,
    cause: EngineError,
    checks: &mut Checks,
) {
    let error = database.statement(current, &current.username, cause).into();
    checks.failed(pooler_check(current), &error);
}

fn pooler_check(current: &DatabaseSecret) -> String {
    format!(
        "the pooler or proxy in front of {} reads passwords from the server",
        current.endpoint()
    )
}

/// Logs in as the master user and checks that it may act on the users of `task`. Returns its name
/// and its session, or `None` if a check failed.
pub(super) async fn open_master<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    task: MasterTask<'_>,
    checks: &mut Checks,
) -> Option<(String, E::Session)> {
    let arn = current.master_arn.as_deref()?;
    let master = Master::fetch(cx, current, E::SPEC).await;
    let check =
        format!("the master secret {arn} can be read, is complete, and is for the same server");
    let master = checks.record(check, master)?;
    let name = &master.secret.username;
    let users = task.users();
    let is_another = ensure_not_master(database, &master, &users, current).map_err(Into::into);
    let check = format!("master user {name} is not {}", users.join(" or "));
    checks.record(check, is_another)?;
    let session = MasterLogin::of(database, &master, current, current).open(cx).await;
    let check = format!("master user {name} logs in to {}", master.endpoint);
    let mut session = checks.record(check, session)?;
    let may_act = master_session::check(database, &master, &mut session, &users, current).await;
    let check = format!("{} is writable (not a replica and not read-only)", master.endpoint);
    if checks.record(check, may_act.map_err(Into::into)).is_none() {
        session.close().await;
        return None;
    }
    Some((name.clone(), session))
}

/// Records the privileges that the master user lacks for its task.
pub(super) fn record_missing<E: Engine>(
    database: &Database<E>,
    current: &DatabaseSecret,
    master: &str,
    task: MasterTask<'_>,
    missing: Result<Vec<EngineError>, EngineError>,
    checks: &mut Checks,
) {
    let check = format!("master user {master} may administer {}", task.users().join(" and "));
    let missing = match missing {
        Ok(missing) if missing.is_empty() => return checks.passed(check),
        Ok(missing) => missing,
        Err(cause) => vec![cause],
    };
    for cause in missing {
        checks.failed(&check, &database.statement(current, master, cause).into());
    }
}
