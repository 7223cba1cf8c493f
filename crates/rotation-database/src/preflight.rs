//! `preflight`: looks at the server and at both credentials as a rotation will, and changes
//! nothing.

use rotation::{CURRENT, Checks, Context, Password, SecretValue};

use crate::connect::{self, Proven};
use crate::engine::{Engine, PasswordChange, PasswordReset};
use crate::error::CredentialSource;
use crate::master::Master;
use crate::rotator::DatabaseRotator;
use crate::secret::DatabaseSecret;
use crate::settings::StrategyKind;
use crate::shortened::shortened;
use crate::strategy::alternating;
use crate::strategy::master_session::{self, MasterLogin, must_be_another};
use crate::sync::SyncRequest;
use crate::user_pair::{MastersTask, UserPair};

/// Looks at what `setSecret` and `testSecret` will need.
pub(crate) async fn look<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    current: &SecretValue,
    random: Option<Password>,
    checks: &mut Checks,
) {
    // It was read once before.
    let Ok(current) = rotator.parse(current, CURRENT) else { return };
    if let Some(password) = &random {
        let fits = rotator.check_password(password).map_err(Into::into);
        if checks
            .record(format!("{} takes passwords of these settings", E::SPEC.display), fits)
            .is_some()
        {
            checks.skipped(
                "the server's password policy accepts such passwords",
                "not tried, because that would change a password",
            );
        }
    }
    let check = format!(
        "{} can be reached at {}, and {} logs in with AWSCURRENT",
        E::SPEC.display,
        current.endpoint(),
        current.username
    );
    let login = rotator.log_in(cx, &current, CURRENT).await;
    let failed = |cause| {
        connect::failed(&rotator.login(&current), CredentialSource::Version(CURRENT), cause).into()
    };
    let is_lost = rotator.settings.strategy == StrategyKind::SingleUserByMaster
        && matches!(&login, Err(cause) if cause.is_solved_by_new_password());
    let proven = match login {
        // That is what the strategy is for.
        Err(cause) if is_lost => {
            checks.skipped(check, format!("{cause}: the master sets a new password all the same"));
            None
        }
        login => match checks.record(check, login.map_err(failed)) {
            Some(proven) => Some(proven),
            None => return,
        },
    };
    if let Some(mut proven) = proven {
        look_at_own_session(rotator, &current, random.as_ref(), &mut proven, checks).await;
        rotator.engine.log_out(proven.session).await;
    }
    match rotator.settings.strategy {
        StrategyKind::SingleUser => {}
        StrategyKind::SingleUserByMaster => {
            let task = MastersTask::SetPassword(&current.username);
            look_at_master(rotator, cx, &current, task, checks).await;
        }
        StrategyKind::MasterUser => {
            let pair = UserPair::of(&current.username, E::SPEC);
            look_at_master(rotator, cx, &current, MastersTask::Alternate(&pair), checks).await;
        }
    }
}

/// Looks at what the user's own session can show before its password changes.
async fn look_at_own_session<E: Engine>(
    rotator: &DatabaseRotator<E>,
    current: &DatabaseSecret,
    random: Option<&Password>,
    proven: &mut Proven<E::Session>,
    checks: &mut Checks,
) {
    let Proven { session, account } = proven;
    let strategy = rotator.settings.strategy;
    if strategy != StrategyKind::MasterUser && rotator.engine.is_pooled(session).await {
        checks.skipped(
            format!("the pooler or proxy in front of {} takes passwords from the server", current.endpoint()),
            "a pooler or proxy was found; setSecret looks, before it changes anything, whether it has its own copy of the \
             password, and stops then. Better name the server's own endpoint in \"host\"",
        );
    }
    if strategy != StrategyKind::SingleUser {
        return;
    }
    let takes_changes = rotator.engine.takes_changes(session).await;
    let takes_changes =
        takes_changes.map_err(|cause| rotator.statement(current, &current.username, cause).into());
    let check =
        format!("{} takes changes (it is no replica, and not read-only)", current.endpoint());
    if checks.record(check, takes_changes).is_some() {
        let check = format!("{} may change its own password", current.username);
        let change = PasswordChange {
            user: &current.username,
            old: &current.password,
            new: random.unwrap_or(&current.password),
            keep_old: rotator.settings.keep_previous_password,
        };
        match rotator.engine.may_change_password(session, &change).await {
            Ok(()) => checks.skipped(
                check,
                "not tried, because that would change it; servers allow it by default",
            ),
            Err(cause) => {
                checks.failed(check, &rotator.statement(current, &current.username, cause).into())
            }
        }
        if let Some(note) = &account.note {
            checks.skipped(format!("applications log in as {} only", account.name), note);
        }
    }
}

async fn look_at_master<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    task: MastersTask<'_>,
    checks: &mut Checks,
) {
    let arn = current.master_arn.clone().unwrap_or_default();
    let master = Master::fetch(cx, current, E::SPEC).await;
    let check =
        format!("the master secret {arn} can be read, is complete, and is for the same server");
    let Some(master) = checks.record(check, master) else { return };
    let credential = &master.secret;
    let users = task.users();
    let is_another = must_be_another(rotator, &master, &users, current).map_err(Into::into);
    let check =
        format!("master {} is another user than {}", credential.username, users.join(" and "));
    if checks.record(check, is_another).is_none() {
        return;
    }
    let session = MasterLogin::of(rotator, &master, current, current).open(cx).await;
    let check = format!("master {} logs in to {}", credential.username, master.endpoint);
    let Some(mut session) = checks.record(check, session) else { return };
    let may_act = master_session::check(rotator, &master, &mut session, &users, current).await;
    let check = format!("{} takes changes (it is no replica, and not read-only)", master.endpoint);
    if checks.record(check, may_act.map_err(Into::into)).is_none() {
        rotator.engine.log_out(session).await;
        return;
    }
    let mut missing = rotator.engine.missing(&mut session, &credential.username, task).await;
    let differences = match task {
        MastersTask::Alternate(pair) => {
            let unencrypted = rotator.logs_in_unencrypted(current);
            let mut request =
                SyncRequest::to_compare(&credential.username, pair, &current.password, unencrypted);
            let pending = rotator.next_version(current);
            let differences =
                alternating::foresee(rotator, cx, &mut session, &mut request, &pending).await;
            // What cannot be read for certain is left to setSecret.
            let lacks = match &differences {
                Ok(differences) if !differences.is_empty() => {
                    rotator.engine.not_grantable(&mut session, &request).await.unwrap_or_default()
                }
                _ => Vec::new(),
            };
            Some((pair, differences, lacks))
        }
        MastersTask::SetPassword(user) => {
            let reset = PasswordReset {
                master: &credential.username,
                user,
                password: &current.password,
                logs_in_unencrypted: rotator.logs_in_unencrypted(current),
                proven: None,
            };
            if let (Ok(missing), Err(cause)) =
                (&mut missing, rotator.engine.may_set_password(&mut session, &reset).await)
            {
                missing.push(cause);
            }
            None
        }
    };
    rotator.engine.log_out(session).await;
    let statement = |cause| rotator.statement(current, &credential.username, cause).into();
    let check =
        format!("master {} may administer {}", credential.username, task.users().join(" and "));
    match missing {
        Ok(missing) if missing.is_empty() => checks.passed(check),
        Ok(missing) => {
            missing.into_iter().for_each(|cause| checks.failed(&check, &statement(cause)))
        }
        Err(cause) => checks.failed(check, &statement(cause)),
    }
    let Some((UserPair { base, alternate }, differences, lacks)) = differences else { return };
    let check =
        format!("master {} may pass on what {base} may do to {alternate}", credential.username);
    match differences {
        Ok(differences) if differences.is_empty() => {
            checks.passed(format!("{alternate} may do just what {base} may: nothing has to be passed on"));
        }
        Ok(_) if !lacks.is_empty() => {
            lacks.into_iter().for_each(|cause| checks.failed(&check, &statement(cause)));
        }
        Ok(differences) => checks.skipped(
            check,
            format!(
                "not tried, for it would change something; setSecret names what is missing, all of it at once. It will see to: {}",
                shortened(&differences, "; ")
            ),
        ),
        // setSecret reads the same.
        Err(error) => checks.failed(check, &error),
    }
}
