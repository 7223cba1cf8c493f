//! The checks of preflight: the server, the secret's credential and the master user, without
//! changing anything.

use rotation::{CURRENT, Checks, Context, Password, SecretValue};

use crate::connect;
use crate::database::Database;
use crate::engine::Engine;
use crate::error::CredentialSource;
use crate::strategy::Strategy;
use crate::strategy::preflight::check_host;

/// Checks the requirements of `setSecret` and `testSecret`.
pub(crate) async fn look<E: Engine>(
    strategy: &dyn Strategy<E>,
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
    if strategy.changes_active_user() {
        check_host(database, &current, checks);
    }
    let check = format!(
        "{} can be reached at {}, and {} logs in with AWSCURRENT",
        E::SPEC.display,
        current.endpoint(),
        current.username
    );
    let login = database.log_in(cx, &current, CURRENT).await;
    let login = match login {
        Ok(proven) => {
            checks.passed(check);
            Some(proven)
        }
        Err(cause) => match strategy.excuses_failed_login(&cause) {
            Some(why) => {
                checks.skipped(check, format!("{cause}: {why}"));
                None
            }
            None => {
                let credential = CredentialSource::Version(CURRENT);
                let failed = connect::failed(&database.login(&current), credential, cause);
                return checks.failed(check, &failed.into());
            }
        },
    };
    strategy.preflight(database, cx, &current, random.as_ref(), login, checks).await;
}
