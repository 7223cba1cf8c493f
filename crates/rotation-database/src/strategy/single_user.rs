//! Single user: the user changes its own password.

use rotation::{CURRENT, Context, Done, PENDING, Result, Versions};

use crate::connect::Proven;
use crate::database::Database;
use crate::engine::{Changed, Engine, PasswordChange, Session};
use crate::secret::DatabaseSecret;
use crate::strategy::earlier::{self, attempt};
use crate::strategy::poolers;

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
pub(crate) async fn set<E: Engine>(
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
