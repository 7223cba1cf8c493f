//! Connects to a server and logs in.

use std::path::Path;
use std::time::Duration;

use oracledb::Config;
use rotation_database::{APPLICATION, Login, LoginError, TlsUse, dial};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::descriptor::{By, descriptor};
use crate::driver::{self, DriverError};
use crate::failure;
use crate::name::Name;
use crate::probe;
use crate::release::Release;
use crate::session::Session;
use crate::wallet;

/// Logs in once. Asks the listener for a service first, and then for a SID. No password is sent
/// before the listener knows one of them. Rejects a server whose release is not supported.
pub(crate) async fn log_in(login: &Login<'_>) -> Result<Session, LoginError> {
    if login.tls != TlsUse::Verified {
        return attempt(login).await;
    }
    match timeout(TLS_LOGIN, verified(login)).await {
        Ok(Ok(session)) => Ok(session),
        Ok(Err(cause)) if !is_unclear(&cause) => Err(cause),
        unclear => {
            if probe::speaks_tns_without_tls(login.host, login.port).await {
                return Err(LoginError::TlsNotOffered { keeps_password: true });
            }
            unclear.unwrap_or(Err(LoginError::Silent { seconds: TLS_LOGIN.as_secs() }))
        }
    }
}

/// Logs in over TLS. Returns the session only if the server also reports that it uses TLS.
async fn verified(login: &Login<'_>) -> Result<Session, LoginError> {
    let mut session = attempt(login).await?;
    let protocol = match session.read_identity().await {
        Ok(protocol) => protocol.unwrap_or_else(|| "an unknown protocol".into()),
        Err(error) => return Err(failure::error(&error, login)),
    };
    if protocol.eq_ignore_ascii_case("tcps") {
        return Ok(session);
    }
    session.close().await;
    Err(LoginError::TlsLost { protocol })
}

/// The timeout of a login over TLS. A listener without TLS may wait forever.
const TLS_LOGIN: Duration = Duration::from_secs(4);

/// Returns `true` if the cause of an error may be that the listener does not use TLS.
fn is_unclear(cause: &LoginError) -> bool {
    use LoginError::{Network, Other, Protocol, Tls};
    matches!(cause, Network { .. } | Tls { .. } | Protocol { .. } | Other { .. })
}

async fn attempt(login: &Login<'_>) -> Result<Session, LoginError> {
    match connect(login, By::Service).await {
        Err(DriverError::Error(error)) if failure::is_unknown_service(&error) => {
            match connect(login, By::Sid).await {
                Err(DriverError::Error(other)) if failure::is_unknown_service(&other) => {
                    Err(failure::map_login_error(&error, login))
                }
                result => finish(result, login).await,
            }
        }
        result => finish(result, login).await,
    }
}

async fn finish(
    result: Result<Session, DriverError>,
    login: &Login<'_>,
) -> Result<Session, LoginError> {
    match result {
        Ok(session) => Ok(session),
        Err(DriverError::Error(error)) if failure::is_connection_error(&error) => {
            // The driver opens its own connection, and its error has no details. Connect again to
            // find out the cause.
            match dial(login.host, login.port).await {
                Err(cause) => Err(cause),
                Ok(_) => Err(failure::map_login_error(&error, login)),
            }
        }
        Err(error) => Err(failure::error(&error, login)),
    }
}

/// Returns a user name for the driver. The server folds a name without quotes to upper case, so a
/// name that is not a simple identifier gets quotes.
fn user_name(written: &str) -> String {
    let is_simple = written.chars().all(|c| c.is_ascii_alphanumeric() || "_$#".contains(c));
    match Name::written(written) {
        Some(name) if !is_simple => name.to_string(),
        _ => written.to_owned(),
    }
}

async fn connect(login: &Login<'_>, by: By) -> Result<Session, DriverError> {
    let authorities = match login.tls {
        TlsUse::Verified => {
            Some(wallet::folder(login.authorities.pem()).map_err(DriverError::Refused)?)
        }
        TlsUse::Off | TlsUse::NotOffered => None,
    };
    let config = configure(login, by, authorities.as_ref().map(TempDir::path))?;
    let connect = move || {
        let connected = oracledb::connect(config);
        // Delete the certificates only now: the driver reads them, and this thread continues if the
        // caller stops waiting.
        drop(authorities);
        let connection = connected?;
        let release = Release::supported(&connection.version()?);
        // If the release is not supported, the driver ends the session here, on this thread.
        Ok(release.map(|release| (connection, release)))
    };
    let (connection, release) = driver::run(connect).await?.map_err(DriverError::Refused)?;
    Ok(Session::new(connection, release, login))
}

fn configure(login: &Login<'_>, by: By, authorities: Option<&Path>) -> Result<Config, DriverError> {
    let descriptor = descriptor(login, by).map_err(DriverError::Refused)?;
    let mut config = Config::default()
        .set_credentials(&user_name(login.user), login.password.expose())
        .set_stmtcachesize(0)
        .set_connect_string(&descriptor)
        .and_then(|config| config.set_program(APPLICATION))
        .map_err(DriverError::Error)?;
    if let Some(folder) = authorities {
        config = config.set_wallet_location(folder.to_string_lossy());
    }
    Ok(config)
}
