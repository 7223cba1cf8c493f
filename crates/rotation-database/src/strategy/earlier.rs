//! Logins with an earlier version of a user's credential, after the server has rejected the current
//! one.

use rotation::{Context, PREVIOUS, Result, VersionId};

use crate::connect::{self, Proven};
use crate::database::Database;
use crate::engine::Engine;
use crate::error::{CredentialSource, LoginAttempt};
use crate::login_error::LoginError;
use crate::secret::DatabaseSecret;
use crate::strategy::deprecated::{self, DEPRECATED};

/// An earlier version, and the session that was opened with its password.
pub(crate) struct Earlier<S> {
    /// The version, or `None` for `AWSPREVIOUS`.
    version: Option<VersionId>,
    /// The credential. Only its password comes from that version.
    pub(crate) secret: DatabaseSecret,
    pub(crate) proven: Proven<S>,
}

impl<S> Earlier<S> {
    /// Returns the name of the version in errors.
    pub(crate) fn label(&self) -> &'static str {
        if self.version.is_some() { DEPRECATED } else { PREVIOUS }
    }

    /// Returns the note for the operator.
    pub(crate) fn note(&self) -> String {
        let user = &self.secret.username;
        match &self.version {
            None => {
                format!(
                    "The database still had the AWSPREVIOUS password of {user}, not the one of \
                     AWSCURRENT."
                )
            }
            Some(version) => format!(
                "The database had the password of the deprecated version {version} for {user}. It \
                 is from a cancelled rotation, or the database was restored."
            ),
        }
    }
}

/// Logs in with one version. Returns `None` if the server rejected the password, so that another
/// one may be tried.
pub(crate) async fn attempt<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    secret: &DatabaseSecret,
    label: &'static str,
    tried: &mut Vec<LoginAttempt>,
) -> Result<Option<Proven<E::Session>>> {
    match database.log_in(cx, secret, label).await {
        Ok(proven) => Ok(Some(proven)),
        Err(LoginError::Refused { message }) => {
            cx.warn(format!("the server rejected the password of {label}: {message}"));
            tried.push(LoginAttempt { label: label.into(), result: message });
            Ok(None)
        }
        Err(cause) => {
            Err(connect::failed(&database.login(secret), CredentialSource::Version(label), cause)
                .into())
        }
    }
}

/// Searches for an earlier version whose password logs in as the user of `current`: first the
/// previous version, then the deprecated ones. The password of `pending` is not tried again.
pub(crate) async fn open<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    pending: &DatabaseSecret,
    tried: &mut Vec<LoginAttempt>,
) -> Result<Option<Earlier<E::Session>>> {
    let mut known = vec![current.password.clone(), pending.password.clone()];
    if let Some(secret) = previous(database, cx, current, tried).await? {
        if let Some(proven) = attempt(database, cx, &secret, PREVIOUS, tried).await? {
            return Ok(Some(Earlier { version: None, secret, proven }));
        }
        known.push(secret.password);
    }
    // A missing permission to list the versions is reported with the rejected passwords, which are
    // the cause of the failure.
    let credentials = match deprecated::credentials(database, cx, current, known).await {
        Ok(credentials) => credentials,
        Err(error) => {
            let result = format!("could not be listed: {error}. {}", error.remedy());
            tried.push(LoginAttempt { label: "deprecated versions".into(), result });
            return Ok(None);
        }
    };
    for (version, secret) in credentials {
        if let Some(proven) = attempt(database, cx, &secret, DEPRECATED, tried).await? {
            return Ok(Some(Earlier { version: Some(version), secret, proven }));
        }
        if let Some(last) = tried.last_mut() {
            last.label = format!("version {version}");
        }
    }
    Ok(None)
}

/// Returns the credential of the previous version of the user of `secret`, if its password is worth
/// trying. Otherwise, adds the reason to `attempts`. Sends nothing to a server. Only the password
/// comes from the previous version. `secret` determines the server and the use of TLS.
///
/// # Errors
/// Returns an error if the version cannot be read.
pub(crate) async fn previous<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    secret: &DatabaseSecret,
    attempts: &mut Vec<LoginAttempt>,
) -> Result<Option<DatabaseSecret>> {
    let mut skip = |why: &str| {
        attempts.push(LoginAttempt { label: PREVIOUS.into(), result: format!("not tried, {why}") })
    };
    let Some(value) = cx.previous().await? else {
        skip("it does not exist");
        return Ok(None);
    };
    let Ok(previous) = database.parse(&value, PREVIOUS) else {
        skip("it is not a usable secret");
        return Ok(None);
    };
    if previous.username != secret.username || !previous.is_same_server(secret) {
        skip("it is for another user or server");
        return Ok(None);
    }
    if database.would_weaken_tls(&previous, secret) {
        skip("its connection was encrypted, and the new one would not be");
        return Ok(None);
    }
    if previous.password == secret.password {
        skip("its password has already been tried");
        return Ok(None);
    }
    Ok(Some(secret.with_password(previous.password.clone())))
}
