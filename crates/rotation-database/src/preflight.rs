//! The checks of preflight: the server, the secret's credential and the master user, without
//! changing anything.

use rotation::{CURRENT, Checks, Context, Password, SecretValue};

use crate::connect::{self, Proven};
use crate::database::Database;
use crate::engine::{Engine, PasswordChange, PasswordReset, Session};
use crate::error::CredentialSource;
use crate::master::Master;
use crate::secret::DatabaseSecret;
use crate::settings::StrategyKind;
use crate::shortened::shortened;
use crate::strategy::alternating;
use crate::strategy::master_session::{self, MasterLogin, ensure_not_master};
use crate::sync::SyncRequest;
use crate::user_pair::{MasterTask, UserPair};

/// Checks the requirements of `setSecret` and `testSecret`.
pub(crate) async fn look<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    current: &SecretValue,
    random: Option<Password>,
    checks: &mut Checks,
) {
    // The caller has validated the value, so it parses.
    let Ok(current) = database.parse(current, CURRENT) else { return };
    if let Some(password) = &random {
        let fits = database.check_password(password).map_err(Into::into);
        if checks
            .record(format!("{} accepts passwords of these settings", E::SPEC.display), fits)
            .is_some()
        {
            checks.skipped(
                "the server's password policy accepts such passwords",
                "not tried, because that would change a password",
            );
        }
        let value = current.with(&database.next_user(&current), password).map_err(Into::into);
        checks.record("the new value is not too large for Secrets Manager", value);
    }
    let check = format!(
        "{} can be reached at {}, and {} logs in with AWSCURRENT",
        E::SPEC.display,
        current.endpoint(),
        current.username
    );
    let login = database.log_in(cx, &current, CURRENT).await;
    let failed = |cause| {
        connect::failed(&database.login(&current), CredentialSource::Version(CURRENT), cause).into()
    };
    let is_lost = database.settings.strategy == StrategyKind::SingleUserByMaster
        && matches!(&login, Err(cause) if cause.is_solved_by_new_password());
    let proven = match login {
        // This strategy is meant for lost passwords.
        Err(cause) if is_lost => {
            checks.skipped(check, format!("{cause}: the master user sets a new password anyway"));
            None
        }
        login => match checks.record(check, login.map_err(failed)) {
            Some(proven) => Some(proven),
            None => return,
        },
    };
    if let Some(mut proven) = proven {
        check_own_session(database, &current, random.as_ref(), &mut proven, checks).await;
        proven.session.close().await;
    }
    match database.settings.strategy {
        StrategyKind::SingleUser => {}
        StrategyKind::SingleUserByMaster => {
            let task = MasterTask::SetPassword(&current.username);
            check_master(database, cx, &current, task, checks).await;
        }
        StrategyKind::MasterUser => {
            let pair = UserPair::of(&current.username, E::SPEC);
            check_master(database, cx, &current, MasterTask::Alternate(&pair), checks).await;
        }
    }
}

/// Runs the checks that the user's own session allows.
async fn check_own_session<E: Engine>(
    database: &Database<E>,
    current: &DatabaseSecret,
    random: Option<&Password>,
    proven: &mut Proven<E::Session>,
    checks: &mut Checks,
) {
    let Proven { session, account } = proven;
    let strategy = database.settings.strategy;
    if strategy != StrategyKind::MasterUser && session.is_pooled().await {
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
    if strategy != StrategyKind::SingleUser {
        return;
    }
    let check_writable = session.check_writable().await;
    let check_writable = check_writable
        .map_err(|cause| database.statement(current, &current.username, cause).into());
    let check = format!("{} is writable (not a replica and not read-only)", current.endpoint());
    if checks.record(check, check_writable).is_some() {
        let check = format!("{} may change its own password", current.username);
        let change = PasswordChange {
            user: &current.username,
            old: &current.password,
            new: random.unwrap_or(&current.password),
            keep_old: database.settings.keep_previous_password,
        };
        match session.check_password_change(&change).await {
            Ok(()) => checks.skipped(
                check,
                "not tried, because that would change it; servers allow it by default",
            ),
            Err(cause) => {
                checks.failed(check, &database.statement(current, &current.username, cause).into())
            }
        }
        if let Some(note) = &account.note {
            checks.skipped(format!("applications log in as {} only", account.name), note);
        }
    }
}

async fn check_master<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    task: MasterTask<'_>,
    checks: &mut Checks,
) {
    let arn = current.master_arn.clone().unwrap_or_default();
    let master = Master::fetch(cx, current, E::SPEC).await;
    let check =
        format!("the master secret {arn} can be read, is complete, and is for the same server");
    let Some(master) = checks.record(check, master) else { return };
    let credential = &master.secret;
    let users = task.users();
    let is_another = ensure_not_master(database, &master, &users, current).map_err(Into::into);
    let check = format!("master user {} is not {}", credential.username, users.join(" or "));
    if checks.record(check, is_another).is_none() {
        return;
    }
    let session = MasterLogin::of(database, &master, current, current).open(cx).await;
    let check = format!("master user {} logs in to {}", credential.username, master.endpoint);
    let Some(mut session) = checks.record(check, session) else { return };
    let may_act = master_session::check(database, &master, &mut session, &users, current).await;
    let check = format!("{} is writable (not a replica and not read-only)", master.endpoint);
    if checks.record(check, may_act.map_err(Into::into)).is_none() {
        session.close().await;
        return;
    }
    let mut missing = session.missing(&credential.username, task).await;
    let differences = match task {
        MasterTask::Alternate(pair) => {
            let unencrypted = database.logs_in_unencrypted(current);
            let mut request =
                SyncRequest::to_compare(&credential.username, pair, &current.password, unencrypted);
            let pending = database.next_version(current);
            let differences =
                alternating::planned_changes(database, cx, &mut session, &mut request, &pending)
                    .await;
            // If the missing privileges cannot be read, setSecret reports them.
            let ungrantable = match &differences {
                Ok(differences) if !differences.is_empty() => {
                    session.ungrantable_privileges(&request).await.unwrap_or_default()
                }
                _ => Vec::new(),
            };
            Some((pair, differences, ungrantable))
        }
        MasterTask::SetPassword(user) => {
            let reset = PasswordReset {
                master: &credential.username,
                user,
                password: &current.password,
                logs_in_unencrypted: database.logs_in_unencrypted(current),
                proven: None,
            };
            if let (Ok(missing), Err(cause)) =
                (&mut missing, session.check_password_reset(&reset).await)
            {
                missing.push(cause);
            }
            None
        }
    };
    session.close().await;
    let statement = |cause| database.statement(current, &credential.username, cause).into();
    let check = format!(
        "master user {} may administer {}",
        credential.username,
        task.users().join(" and ")
    );
    match missing {
        Ok(missing) if missing.is_empty() => checks.passed(check),
        Ok(missing) => {
            missing.into_iter().for_each(|cause| checks.failed(&check, &statement(cause)))
        }
        Err(cause) => checks.failed(check, &statement(cause)),
    }
    let Some((UserPair { base, alternate }, differences, ungrantable)) = differences else {
        return;
    };
    let check = format!(
        "master user {} may grant the privileges of {base} to {alternate}",
        credential.username
    );
    match differences {
        Ok(differences) if differences.is_empty() => {
            checks.passed(format!("{alternate} is in sync with {base}"));
        }
        Ok(_) if !ungrantable.is_empty() => {
            ungrantable.into_iter().for_each(|cause| checks.failed(&check, &statement(cause)));
        }
        Ok(differences) => checks.skipped(
            check,
            format!(
                "not tried, because that would change something; setSecret reports all missing \
                 privileges in one error. Changes to make: {}",
                shortened(&differences, "; ")
            ),
        ),
        // setSecret reads the same state and would fail with the same error.
        Err(error) => checks.failed(check, &error),
    }
}
