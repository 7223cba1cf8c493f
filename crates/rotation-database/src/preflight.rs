//! `preflight`: looks at the server and at both credentials as a rotation will, and changes nothing.

use rotation::{CURRENT, Checks, Context, Password, SecretValue};

use crate::connect;
use crate::engine::Engine;
use crate::error::Whose;
use crate::master::Master;
use crate::rotator::DatabaseRotator;
use crate::secret::DatabaseSecret;
use crate::settings::StrategyKind;
use crate::strategy::UserPair;
use crate::strategy::alternating::masters_login;

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
    let session = rotator.log_in(cx, &current, CURRENT).await;
    let failed = |cause| connect::failed(&rotator.login(&current), Whose::Version(CURRENT), cause).into();
    let Some(session) = checks.of(check, session.map_err(failed)) else { return };
    rotator.engine.log_out(session).await;
    match rotator.settings.strategy {
        StrategyKind::SingleUser => checks.open(
            format!("{} may change its own password", current.username),
            "not tried, for it would change it; servers allow it unless somebody has forbidden it",
        ),
        StrategyKind::MasterUser => look_at_master(rotator, cx, &current, checks).await,
    }
}

async fn look_at_master<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    checks: &mut Checks,
) {
    let arn = current.master_arn.clone().unwrap_or_default();
    let master = Master::fetch(cx, current, E::SPEC).await;
    let check = format!("the master secret {arn} can be read, is complete, and is for the same server");
    let Some(master) = checks.of(check, master) else { return };
    let credential = &master.secret;
    let (login, policy) = masters_login(rotator, &master, current, current);
    cx.doing(format!("logging in to {} as master {}", master.place, credential.username));
    let session = connect::log_in(&rotator.engine, cx, &login, policy).await;
    let failed = |cause| connect::failed(&login, Whose::Master(arn.clone()), cause).into();
    let check = format!("master {} logs in to {}", credential.username, master.place);
    let Some(mut session) = checks.of(check, session.map_err(failed)) else { return };
    let pair = UserPair::of(&current.username, E::SPEC);
    let missing = rotator.engine.missing(&mut session, &credential.username, &pair).await;
    rotator.engine.log_out(session).await;
    let statement = |cause| rotator.statement(current, &credential.username, cause).into();
    let check = format!("master {} may administer {} and {}", credential.username, pair.base, pair.alternate);
    match missing {
        Ok(missing) if missing.is_empty() => checks.good(check),
        Ok(missing) => missing.into_iter().for_each(|cause| checks.bad(&check, &statement(cause))),
        Err(cause) => checks.bad(check, &statement(cause)),
    }
    checks.open(
        format!("master {} may pass on all that {} may do", credential.username, pair.base),
        "not tried, for it would change something: setSecret names what is missing, all of it at once",
    );
}
