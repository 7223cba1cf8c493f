//! The checks of preflight that several strategies make.

use rotation::{Checks, Context};

use crate::database::Database;
use crate::engine::{Engine, Session};
use crate::engine_error::EngineError;
use crate::master::Master;
use crate::secret::DatabaseSecret;
use crate::strategy::master_session::{self, MasterLogin, ensure_not_master};
use crate::user_pair::MasterTask;

/// Records that a pooler or proxy was found, which only `setSecret` can examine.
pub(super) async fn check_pooler(
    session: &mut impl Session,
    current: &DatabaseSecret,
    checks: &mut Checks,
) {
    if session.is_pooled().await {
        checks.skipped(
            format!(
                "the pooler or proxy in front of {} reads passwords from the server",
                current.endpoint()
            ),
            "a pooler or proxy was found; before setSecret changes anything, it checks whether the \
             pooler has its own copy of the password, and fails if so. Use the endpoint of the \
             server itself in \"host\"",
        );
    }
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
