//! Logging in under a time-out and the TLS policy, with the failures of the network told apart.

use std::time::Duration;

use rotation::Context;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::engine::{Engine, Login, TlsUse};
use crate::error::{Error, Place};
use crate::host;
use crate::login_error::LoginError;
use crate::tls::Policy;

/// How long one login may take, from the first packet to the session.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the look after a failed login may take.
const DIAGNOSIS_TIMEOUT: Duration = Duration::from_millis(700);

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
    let tls = if policy == Policy::Off { TlsUse::Off } else { TlsUse::Verified };
    match attempt(engine, &Login { tls, ..*login }).await {
        Err(LoginError::TlsNotOffered) if policy == Policy::VerifiedUnlessNotOffered => {
            cx.warn(format!(
                "{} offers no TLS; going on without, because TLS_MODE=prefer. Everything but the password travels \
                 readable.",
                host::endpoint(login.host, login.port)
            ));
            attempt(engine, &Login { tls: TlsUse::NotOffered, ..*login }).await
        }
        result => result,
    }
}

async fn attempt<E: Engine>(engine: &E, login: &Login<'_>) -> Result<E::Session, LoginError> {
    match timeout(LOGIN_TIMEOUT, engine.log_in(login)).await {
        Ok(Err(LoginError::Network { said })) => Err(name_fault(login, said).await),
        Ok(result) => result,
        Err(_) => Err(why_silent(login).await),
    }
}

/// A failed look-up is an I/O error without a kind of its own: ask again to tell.
async fn name_fault(login: &Login<'_>, said: String) -> LoginError {
    match timeout(DIAGNOSIS_TIMEOUT, lookup_host((login.host, login.port))).await {
        Ok(Err(error)) => LoginError::NameNotFound { said: error.to_string() },
        _ => LoginError::Network { said },
    }
}

/// After a time-out: does the name resolve, is the port reachable?
async fn why_silent(login: &Login<'_>) -> LoginError {
    let seconds = LOGIN_TIMEOUT.as_secs();
    match timeout(DIAGNOSIS_TIMEOUT, TcpStream::connect((login.host, login.port))).await {
        Ok(Ok(_)) => LoginError::Silent { seconds },
        Ok(Err(error)) => match LoginError::from_io(&error) {
            LoginError::Network { said } => name_fault(login, said).await,
            other => other,
        },
        Err(_) => LoginError::ConnectTimeout { seconds },
    }
}

/// A login that failed for a reason that no other password mends.
pub(crate) fn failed(login: &Login<'_>, label: &str, cause: LoginError) -> Error {
    Error::Login {
        place: Place { host: login.host.to_owned(), port: login.port },
        user: login.user.to_owned(),
        label: label.to_owned(),
        cause: Box::new(cause),
    }
}
