//! Logging in, under a time-out and the TLS policy.

use std::time::Duration;

use rotation::Context;
use tokio::time::timeout;

use crate::engine::{Engine, Login, TlsUse};
use crate::error::{Error, Place, Whose};
use crate::host;
use crate::login_error::LoginError;
use crate::tls::Policy;

/// How long one login may take, from the first packet to the session.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Logs in as the policy says.
///
/// Under [`Policy::VerifiedUnlessNotOffered`] a second attempt without TLS follows only on the server's own word
/// that it has none: never after a refused password, a bad certificate or a time-out.
pub(crate) async fn log_in<E: Engine>(
    engine: &E,
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
) -> Result<E::Session, LoginError> {
    let (first, without_tls) = both(login, policy);
    attempts(cx, login, policy, engine.log_in(&first), engine.log_in(&without_tls)).await
}

/// The same, and out again.
pub(crate) async fn try_login<E: Engine>(
    engine: &E,
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
) -> Result<(), LoginError> {
    let (first, without_tls) = both(login, policy);
    let tried = attempts(cx, login, policy, engine.try_login(&first), engine.try_login(&without_tls)).await?;
    // Outside of the time-out: whoever is let in must not be told as silent.
    if let Some(session) = tried {
        engine.log_out(session).await;
    }
    Ok(())
}

/// The first attempt, and the one without TLS.
fn both<'a>(login: &Login<'a>, policy: Policy) -> (Login<'a>, Login<'a>) {
    let tls = if policy == Policy::Off { TlsUse::Off } else { TlsUse::Verified };
    (Login { tls, ..*login }, Login { tls: TlsUse::NotOffered, ..*login })
}

/// A future does nothing until it is waited for, and the second one is waited for only as the policy says.
async fn attempts<T>(
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
    first: impl Future<Output = Result<T, LoginError>>,
    without_tls: impl Future<Output = Result<T, LoginError>>,
) -> Result<T, LoginError> {
    match in_time(first).await {
        Err(LoginError::TlsNotOffered { keeps_password: true })
            if policy == Policy::VerifiedUnlessNotOffered =>
        {
            cx.warn(format!(
                "{} offers no TLS; going on without, because TLS_MODE=prefer. Everything but the password travels \
                 readable.",
                host::endpoint(login.host, login.port)
            ));
            in_time(without_tls).await
        }
        result => result,
    }
}

async fn in_time<T>(login: impl Future<Output = Result<T, LoginError>>) -> Result<T, LoginError> {
    match timeout(LOGIN_TIMEOUT, login).await {
        Ok(result) => result,
        // The dialling has a shorter time-out of its own: whoever is silent now has taken the connection.
        Err(_) => Err(LoginError::Silent { seconds: LOGIN_TIMEOUT.as_secs() }),
    }
}

/// A login that failed for a reason that no other password mends.
pub(crate) fn failed(login: &Login<'_>, whose: Whose, cause: LoginError) -> Error {
    Error::Login {
        place: Place { host: login.host.to_owned(), port: login.port },
        user: login.user.to_owned(),
        whose,
        cause: Box::new(cause),
    }
}
