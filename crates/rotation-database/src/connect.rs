//! Logging in, under a time-out and the TLS policy.

use std::time::Duration;

use rotation::Context;
use tokio::time::timeout;

use crate::engine::{Engine, Login, SessionAccount, TlsUse};
use crate::error::{CredentialSource, Error, Place};
use crate::host;
use crate::login_error::LoginError;
use crate::tls::Policy;

/// How long one login may take, from the first packet (or a connection that was made before) to the
/// server's consent.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Logs in as the policy says.
///
/// Under [`Policy::VerifiedUnlessNotOffered`] a second attempt without TLS follows only on the
/// server's own word that it has none: never after a refused password, a bad certificate or a
/// time-out.
pub(crate) async fn log_in<E: Engine>(
    engine: &E,
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
) -> Result<E::Session, LoginError> {
    let tls = if policy == Policy::Off { TlsUse::Off } else { TlsUse::Verified };
    match in_time(engine.log_in(&Login { tls, ..*login })).await {
        Err(LoginError::TlsNotOffered { keeps_password: true })
            if policy == Policy::VerifiedUnlessNotOffered =>
        {
            cx.warn(format!(
                "{} offers no TLS; going on without, because TLS_MODE=prefer. Everything but the password travels \
                 readable.",
                host::endpoint(login.host, login.port)
            ));
            in_time(engine.log_in(&Login { tls: TlsUse::NotOffered, ..*login })).await
        }
        result => result,
    }
}

/// A session that belongs to the user that has logged in, and to no other account.
pub(crate) struct Proven<S> {
    pub(crate) session: S,
    pub(crate) account: SessionAccount,
}

/// Logs in as the policy says, and checks that the server runs the session as the user's own
/// account.
///
/// Nothing else counts as a proof that a password is the user's.
pub(crate) async fn log_in_as_itself<E: Engine>(
    engine: &E,
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
) -> Result<Proven<E::Session>, LoginError> {
    let mut session = log_in(engine, cx, login, policy).await?;
    let asked = in_time(async {
        engine.session_account(&mut session, login.user).await.map_err(LoginError::from_query)
    });
    let account = match asked.await {
        Ok(account) if account.is_of_user => return Ok(Proven { session, account }),
        asked => asked,
    };
    engine.log_out(session).await;
    Err(LoginError::OtherAccount { user: login.user.to_owned(), account: account?.name })
}

/// Logs in as [`log_in_as_itself`] does, and out again.
pub(crate) async fn prove<E: Engine>(
    engine: &E,
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
) -> Result<SessionAccount, LoginError> {
    let Proven { session, account } = log_in_as_itself(engine, cx, login, policy).await?;
    engine.log_out(session).await;
    Ok(account)
}

async fn in_time<T>(login: impl Future<Output = Result<T, LoginError>>) -> Result<T, LoginError> {
    match timeout(LOGIN_TIMEOUT, login).await {
        Ok(result) => result,
        // Connecting has a shorter timeout, so the server has accepted the connection before it
        // became silent.
        Err(_) => Err(LoginError::Silent { seconds: LOGIN_TIMEOUT.as_secs() }),
    }
}

/// A login that failed for a reason that no other password mends.
pub(crate) fn failed(login: &Login<'_>, whose: CredentialSource, cause: LoginError) -> Error {
    Error::Login {
        place: Place { host: login.host.to_owned(), port: login.port },
        user: login.user.to_owned(),
        whose,
        cause: Box::new(cause),
    }
}
