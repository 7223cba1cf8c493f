//! Single user: the user changes its own password.

use rotation::{CURRENT, Checks, Context, Done, PENDING, Password, Result, Versions};

use crate::connect::Proven;
use crate::database::Database;
use crate::engine::{Changed, Engine, PasswordChange, Session, SessionAccount};
use crate::secret::DatabaseSecret;
use crate::strategy::earlier::{self, attempt};
use crate::strategy::preflight::check_pooler;
use crate::strategy::{BoxFuture, Strategy, poolers};

/// Rotates one user, which changes its own password.
#[derive(Debug)]
pub(super) struct SingleUser;

impl<E: Engine> Strategy<E> for SingleUser {
    fn set<'a>(
        &'a self,
        database: &'a Database<E>,
        cx: &'a Context<'a>,
        versions: &'a Versions,
    ) -> BoxFuture<'a, Result<Done>> {
        Box::pin(set(database, cx, versions))
    }

    fn preflight<'a>(
        &'a self,
        database: &'a Database<E>,
        _cx: &'a Context<'a>,
        current: &'a DatabaseSecret,
        random: Option<&'a Password>,
        login: Option<Proven<E::Session>>,
        checks: &'a mut Checks,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(Proven { mut session, account }) = login else { return };
            check_pooler(database, &mut session, current, checks).await;
            check_change(database, &mut session, current, random, account, checks).await;
            session.close().await;
        })
    }
}

/// Logs in with the current password and changes it.
///
/// In a normal rotation, the current password works, and no other one is tried. If the server
/// rejects it, there are three possible reasons:
/// - An earlier attempt has already changed the password. Then the pending one works.
/// - `AWSCURRENT` was moved by hand. Then the previous one may work.
/// - A rotation was cancelled after it had changed the password. Then a deprecated version has it.
///
/// Any other failure ends the search, because no other password would solve it and each rejected
/// password counts towards an account lockout.
async fn set<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    versions: &Versions,
) -> Result<Done> {
    let (current, pending) = database.parse_both(versions)?;
    let mut tried = Vec::new();

    if let Some(proven) = attempt(database, cx, &current, CURRENT, &mut tried).await? {
        return change(database, cx, proven, &current, &pending, CURRENT).await;
    }
    if let Some(proven) = attempt(database, cx, &pending, PENDING, &mut tried).await? {
        proven.session.close().await;
        return Ok(database.already_set(&pending).notes(proven.account.note));
    }
    if let Some(earlier) = earlier::open(database, cx, &current, &pending, &mut tried).await? {
        let (label, note) = (earlier.label(), earlier.note());
        let done = change(database, cx, earlier.proven, &earlier.secret, &pending, label).await?;
        return Ok(done.note(note));
    }
    Err(database.refused(&current, tried).into())
}

async fn change<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    proven: Proven<E::Session>,
    old: &DatabaseSecret,
    new: &DatabaseSecret,
    label: &str,
) -> Result<Done> {
    let Proven { mut session, account } = proven;
    let user = &new.username;
    let may_change = match session.check_writable().await {
        Ok(()) => poolers::look(cx, &mut session, old).await,
        no => no,
    };
    if let Err(cause) = may_change {
        session.close().await;
        return Err(database.statement(new, user, cause).into());
    }
    cx.set_activity(format!("changing the password of {user}"));
    let keep_old = database.settings.keep_previous_password;
    let change = PasswordChange { user, old: &old.password, new: &new.password, keep_old };
    let mut changed = session.change_password(&change).await;
    if database.should_retry_conflict(cx, &changed).await {
        changed = session.change_password(&change).await;
    }
    session.close().await;
    let changed = changed.map_err(|cause| database.statement(new, user, cause))?;
    if changed == Changed::Before {
        database.confirm_reused_password(cx, new).await?;
    }
    let endpoint = new.endpoint();
    let and = if keep_old { ", and the previous one still works" } else { "" };
    let name = account.name;
    let done = format!(
        "Logged in to {endpoint} as {user} ({label}) and changed the password of {name}{and}."
    );
    let done = match changed {
        Changed::Now => Done::now(done),
        Changed::NowBut(note) => Done::now(done).note(note),
        Changed::Before => Done::before(format!(
            "{user} already has the pending password at {endpoint}: an earlier attempt set it, and \
             the one of {label} still works."
        )),
    };
    Ok(done.notes(account.note))
}

/// Checks that the user can change its own password.
async fn check_change<E: Engine>(
    database: &Database<E>,
    session: &mut E::Session,
    current: &DatabaseSecret,
    random: Option<&Password>,
    account: SessionAccount,
    checks: &mut Checks,
) {
    let user = &current.username;
    let failed = |cause| database.statement(current, user, cause).into();
    let check = format!("{} is writable (not a replica and not read-only)", current.endpoint());
    let writable = session.check_writable().await.map_err(failed);
    if checks.record(check, writable).is_none() {
        return;
    }
    let check = format!("{user} may change its own password");
    let change = PasswordChange {
        user,
        old: &current.password,
        new: random.unwrap_or(&current.password),
        keep_old: database.settings.keep_previous_password,
    };
    match session.check_password_change(&change).await {
        Ok(()) => checks
            .skipped(check, "not tried, because that would change it; servers allow it by default"),
        Err(cause) => checks.failed(check, &failed(cause)),
    }
    if let Some(note) = account.note {
        checks.skipped(format!("applications log in as {} only", account.name), note);
    }
}
