//! Logins with a timeout and the TLS policy.

use std::time::{Duration, Instant};

use rotation::Context;
use tokio::time::timeout;

use crate::engine::{Engine, Login, Session, SessionAccount, TlsUse};
use crate::error::{CredentialSource, Endpoint, Error};
use crate::host;
use crate::login_error::LoginError;
use crate::tls::Policy;

/// The timeout of one login. It starts with the first packet, or with the use of a preconnect, and
/// ends when the server accepts the login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Logs in according to the TLS policy.
///
/// With [`Policy::PreferVerified`], an attempt without TLS follows only if the server
/// reports that it does not support TLS. It never follows after a rejected password, an invalid
/// certificate or a timeout.
pub(crate) async fn log_in<E: Engine>(
    engine: &E,
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
) -> Result<E::Session, LoginError> {
    let start = Instant::now();
    let result = log_in_by_policy(engine, cx, login, policy).await;
    let error_type = result.as_ref().err().map(LoginError::error_type);
    cx.log_login(&host::endpoint(login.host, login.port), login.user, start.elapsed(), error_type);
    result
}

async fn log_in_by_policy<E: Engine>(
    engine: &E,
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
) -> Result<E::Session, LoginError> {
    let tls = if policy == Policy::Off { TlsUse::Off } else { TlsUse::Verified };
    match in_time(engine.log_in(&Login { tls, ..*login })).await {
        Err(LoginError::TlsNotOffered { keeps_password: true })
            if policy == Policy::PreferVerified =>
        {
            cx.warn(format!(
                "{} does not offer TLS. Because of TLS_MODE=prefer, the connection is unencrypted; \
                 only the password is protected.",
                host::endpoint(login.host, login.port)
            ));
            in_time(engine.log_in(&Login { tls: TlsUse::NotOffered, ..*login })).await
        }
        result => result,
    }
}

/// A session that the server runs as the user that has logged in, not as another account.
pub(crate) struct Proven<S> {
    pub(crate) session: S,
    pub(crate) account: SessionAccount,
}

/// Logs in according to the policy and checks that the server runs the session as the user's own
/// account.
///
/// Only this proves that the password belongs to the user.
pub(crate) async fn log_in_as_own_account<E: Engine>(
    engine: &E,
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
) -> Result<Proven<E::Session>, LoginError> {
    let mut session = log_in(engine, cx, login, policy).await?;
    let asked = in_time(async {
        let account = session.session_account(login.user).await;
        account.map_err(|error| error.into_login_error(login.host, login.port))
    });
    let account = match asked.await {
        Ok(account) if account.is_of_user => return Ok(Proven { session, account }),
        asked => asked,
    };
    session.close().await;
    Err(LoginError::OtherAccount { user: login.user.to_owned(), account: account?.name })
}

/// Logs in like [`log_in_as_own_account`] and then closes the session.
pub(crate) async fn prove<E: Engine>(
    engine: &E,
    cx: &Context<'_>,
    login: &Login<'_>,
    policy: Policy,
) -> Result<SessionAccount, LoginError> {
    let Proven { session, account } = log_in_as_own_account(engine, cx, login, policy).await?;
    session.close().await;
    Ok(account)
}

async fn in_time<T>(login: impl Future<Output = Result<T, LoginError>>) -> Result<T, LoginError> {
    match timeout(LOGIN_TIMEOUT, login).await {
        Ok(result) => result,
        // The timeout for connecting is shorter, so the server has accepted the connection and then
        // stopped responding.
        Err(_) => Err(LoginError::Silent { seconds: LOGIN_TIMEOUT.as_secs() }),
    }
}

/// Creates the error for a login that failed for a reason that another password does not solve.
pub(crate) fn failed(login: &Login<'_>, credential: CredentialSource, cause: LoginError) -> Error {
    Error::Login {
        endpoint: Endpoint { host: login.host.to_owned(), port: login.port },
        user: login.user.to_owned(),
        credential,
        cause: Box::new(cause),
    }
}
