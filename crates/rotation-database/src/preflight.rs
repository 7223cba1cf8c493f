//! `preflight`: looks at the server and at both credentials as a rotation will, and changes nothing.

use rotation::{CURRENT, Checks, Context, Password, SecretValue};

use crate::connect;
use crate::engine::{Engine, UserCopy};
use crate::error::Whose;
use crate::master::Master;
use crate::rotator::DatabaseRotator;
use crate::secret::DatabaseSecret;
use crate::settings::StrategyKind;
use crate::strategy::master_session::MasterLogin;
use crate::strategy::{MastersTask, UserPair};

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
    if let Some(password) = random {
        let fits = rotator.check_password(&password).map_err(Into::into);
        checks.of(format!("{} takes passwords of these settings", E::SPEC.display), fits);
    }
    let check = format!(
        "{} can be reached at {}, and {} logs in with AWSCURRENT",
        E::SPEC.display,
        current.place(),
        current.username
    );
    let login = rotator.log_in(cx, &current, CURRENT).await;
    let failed = |cause| connect::failed(&rotator.login(&current), Whose::Version(CURRENT), cause).into();
    let is_lost = rotator.settings.strategy == StrategyKind::SingleUserByMaster
        && matches!(&login, Err(cause) if cause.new_password_helps());
    let session = match login {
        // That is what the strategy is for.
        Err(cause) if is_lost => {
            checks.open(check, format!("{cause}: the master sets a new password all the same"));
            None
        }
        login => match checks.of(check, login.map_err(failed)) {
            Some(proven) => Some(proven.session),
            None => return,
        },
    };
    if let Some(mut session) = session {
        look_at_own_session(rotator, &current, &mut session, checks).await;
        rotator.engine.log_out(session).await;
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
    session: &mut E::Session,
    checks: &mut Checks,
) {
    let strategy = rotator.settings.strategy;
    if strategy != StrategyKind::MasterUser && rotator.engine.is_pooled(session).await {
        checks.open(
            format!("the pooler or proxy in front of {} takes passwords from the server", current.place()),
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
    let check = format!("{} takes changes (it is no replica, and not read-only)", current.place());
    if checks.of(check, takes_changes).is_some() {
        checks.open(
            format!("{} may change its own password", current.username),
            "not tried, because that would change it; servers allow it by default",
        );
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
    let check = format!("the master secret {arn} can be read, is complete, and is for the same server");
    let Some(master) = checks.of(check, master) else { return };
    let credential = &master.secret;
    let session = MasterLogin::of(rotator, &master, current, current).open(cx).await;
    let check = format!("master {} logs in to {}", credential.username, master.place);
    let Some(mut session) = checks.of(check, session) else { return };
    let takes_changes = rotator.engine.takes_changes(&mut session).await;
    let takes_changes =
        takes_changes.map_err(|cause| rotator.statement(current, &credential.username, cause).into());
    let check = format!("{} takes changes (it is no replica, and not read-only)", master.place);
    if checks.of(check, takes_changes).is_none() {
        rotator.engine.log_out(session).await;
        return;
    }
    let missing = rotator.engine.missing(&mut session, &credential.username, task).await;
    let differences = match task {
        MastersTask::Alternate(pair) => {
            let unencrypted = rotator.logs_in_unencrypted(current);
            let copy = UserCopy::to_compare(&credential.username, pair, &current.password, unencrypted);
            let differences = rotator.engine.differences(&mut session, &copy).await;
            // What cannot be read for certain is left to setSecret.
            let lacks = match &differences {
                Ok(differences) if !differences.is_empty() => {
                    rotator.engine.not_grantable(&mut session, &copy).await.unwrap_or_default()
                }
                _ => Vec::new(),
            };
            Some((pair, differences, lacks))
        }
        MastersTask::SetPassword(_) => None,
    };
    rotator.engine.log_out(session).await;
    let statement = |cause| rotator.statement(current, &credential.username, cause).into();
    let check = format!("master {} may administer {}", credential.username, task.users().join(" and "));
    match missing {
        Ok(missing) if missing.is_empty() => checks.good(check),
        Ok(missing) => missing.into_iter().for_each(|cause| checks.bad(&check, &statement(cause))),
        Err(cause) => checks.bad(check, &statement(cause)),
    }
    let Some((UserPair { base, alternate }, differences, lacks)) = differences else { return };
    let check = format!("master {} may pass on what {base} may do to {alternate}", credential.username);
    match differences {
        Ok(differences) if differences.is_empty() => {
            checks.good(format!("{alternate} may do just what {base} may: nothing has to be passed on"));
        }
        Ok(_) if !lacks.is_empty() => {
            lacks.into_iter().for_each(|cause| checks.bad(&check, &statement(cause)));
        }
        Ok(differences) => checks.open(
            check,
            format!(
                "not tried, for it would change something; setSecret names what is missing, all of it at once. It will see to: {}",
                differences.join("; ")
            ),
        ),
        Err(cause) => checks.open(check, format!("what {base} may do could not be read: {cause}")),
    }
}
