//! A single user whose password the master user sets. This strategy is for users that may not
//! change their own password, and for lost passwords.

use rotation::{CURRENT, Checks, Context, Done, PENDING, Password, Result, Versions};

use crate::connect::{self, Proven};
use crate::database::Database;
use crate::engine::{Engine, Session, SessionAccount};
use crate::error::CredentialSource;
use crate::login_error::LoginError;
use crate::master::Master;
use crate::secret::DatabaseSecret;
use crate::strategy::master_session::{MasterLogin, check_or_close, ensure_not_master};
use crate::strategy::preflight::{
    check_pooler, check_pooler_without_password, open_master, record_missing,
};
use crate::strategy::{BoxFuture, Strategy, poolers};
use crate::sync::{PasswordReset, PasswordSet, ProvenUser};
use crate::user_pair::MasterTask;

/// Rotates one user, whose password a master user sets.
#[derive(Debug)]
pub(super) struct SingleUserByMaster;

impl<E: Engine> Strategy<E> for SingleUserByMaster {
    fn set<'a>(
        &'a self,
        database: &'a Database<E>,
        cx: &'a Context<'a>,
        versions: &'a Versions,
    ) -> BoxFuture<'a, Result<Done>> {
        Box::pin(set(database, cx, versions))
    }

    fn excuses_failed_login(&self, cause: &LoginError) -> Option<&'static str> {
        cause.is_solved_by_new_password().then_some("the master user sets a new password anyway")
    }

    fn preflight<'a>(
        &'a self,
        database: &'a Database<E>,
        cx: &'a Context<'a>,
        current: &'a DatabaseSecret,
        _random: Option<&'a Password>,
        login: Option<Proven<E::Session>>,
        checks: &'a mut Checks,
    ) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let is_lost = login.is_none();
            if let Some(Proven { mut session, .. }) = login {
                check_pooler(database, &mut session, current, checks).await;
                session.close().await;
            }
            check_reset(database, cx, current, is_lost, checks).await;
        })
    }
}

/// Sets the pending password as the master user.
///
/// As with alternating users, the current credential is tried first. With this strategy, it does
/// not have to work. An operator who chooses the strategy therefore lets the writers of the secret
/// take over any user that the master user may change, except the master user itself. The server
/// rejects at most two passwords.
async fn set<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    versions: &Versions,
) -> Result<Done> {
    let (current, pending) = database.parse_both(versions)?;
    let mut proven = None;
    let (proof, refused) = match try_login(database, cx, &current, CURRENT).await? {
        Ok(account) => {
            proven = Some(ProvenUser { user: current.username.clone(), account: account.id });
            (Some((&current, CURRENT)), None)
        }
        Err(refused) => match try_login(database, cx, &pending, PENDING).await? {
            // One account has the password. The accounts of the same name for other hosts, which
            // cannot be tried from here, may not have it.
            Ok(_) if E::SPEC.has_accounts_by_host => (Some((&pending, PENDING)), None),
            Ok(_) => return Ok(database.already_set(&pending)),
            Err(_) => (None, Some(refused)),
        },
    };

    // If the database already has the pending password, a failure of the master user must not delay
    // its promotion.
    let confirm_reused_password = proof.is_some_and(|(_, label)| label == PENDING);
    let without_master = |error: &dyn std::fmt::Display| {
        let user = &pending.username;
        database.already_set(&pending).note(format!(
            "The passwords of the other accounts of {user} could not be compared, because the \
             master user could not log in: {error}."
        ))
    };
    let master = match Master::fetch(cx, &current, E::SPEC).await {
        Err(error) if confirm_reused_password => return Ok(without_master(&error)),
        fetched => fetched?,
    };
    let user = &pending.username;
    ensure_not_master(database, &master, &[user], &pending)?;
    let login = MasterLogin::of(database, &master, &current, &pending);
    let session = match proof {
        Some(proof) => login.open_after_proof(cx, proof).await,
        None => login.open(cx).await,
    };
    let session = match session {
        Err(error) if confirm_reused_password => return Ok(without_master(&error)),
        session => session?,
    };
    let name = &master.secret.username;
    let mut session = check_or_close(database, &master, session, &[user], &pending).await?;
    let no_own_copy = match proof {
        Some((_, CURRENT)) => poolers::look(cx, &mut session, &current).await,
        // The pooler has accepted the pending password already.
        Some(_) => Ok(()),
        None => poolers::look_without_password(&mut session, &current).await,
    };
    if let Err(cause) = no_own_copy {
        session.close().await;
        return Err(database.statement(&pending, name, cause).into());
    }
    cx.set_activity(format!("setting the password of {user}"));
    let logs_in_unencrypted = database.logs_in_unencrypted(&pending);
    let reset = PasswordReset {
        master: name,
        user,
        password: &pending.password,
        logs_in_unencrypted,
        proven,
    };
    let mut set = session.set_password(&reset).await;
    if database.should_retry_conflict(cx, &set).await {
        set = session.set_password(&reset).await;
    }
    session.close().await;
    let endpoint = &master.endpoint;
    let done = match set.map_err(|cause| database.statement(&pending, name, cause))? {
        PasswordSet::Now => Done::now(format!(
            "Logged in to {endpoint} as master {name} and set the password of {user}."
        )),
        PasswordSet::InHistory => {
            database.confirm_reused_password(cx, &pending).await?;
            Done::before(format!("{user} already has the pending password at {endpoint}."))
        }
    };
    Ok(match refused {
        None => done,
        Some(refused) => done.note(format!(
            "Neither AWSCURRENT nor AWSPENDING logged in as {user} ({refused}): the password was \
             lost."
        )),
    })
}

/// Logs in with a version and returns the account. Returns the inner error if a new password would
/// solve it, and the outer one for any other error.
async fn try_login<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    secret: &DatabaseSecret,
    label: &'static str,
) -> Result<Result<SessionAccount, LoginError>> {
    match database.prove(cx, secret, label).await {
        Ok(account) => Ok(Ok(account)),
        Err(cause) if cause.is_solved_by_new_password() => {
            cx.warn(format!("the login with {label} failed: {cause}"));
            Ok(Err(cause))
        }
        Err(cause) => {
            Err(connect::failed(&database.login(secret), CredentialSource::Version(label), cause)
                .into())
        }
    }
}

/// Checks that the master user can set the user's password. `is_lost` is `true` if the password of
/// the secret did not log in.
async fn check_reset<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    is_lost: bool,
    checks: &mut Checks,
) {
    let user = &current.username;
    let task = MasterTask::SetPassword(user);
    let Some((master, mut session)) = open_master(database, cx, current, task, checks).await else {
        return;
    };
    if is_lost {
        check_pooler_without_password(database, &mut session, current, checks).await;
    }
    let mut missing = session.missing_privileges(&master, task).await;
    let reset = PasswordReset {
        master: &master,
        user,
        password: &current.password,
        logs_in_unencrypted: database.logs_in_unencrypted(current),
        proven: None,
    };
    if let (Ok(missing), Err(cause)) = (&mut missing, session.check_password_reset(&reset).await) {
        missing.push(cause);
    }
    session.close().await;
    record_missing(database, current, &master, task, missing, checks);
}
