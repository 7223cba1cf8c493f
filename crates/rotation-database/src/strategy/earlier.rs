//! An earlier version of a user's credential, tried where the current one is refused.

use rotation::{Context, PREVIOUS, Result, VersionId};

use crate::connect::{self, Proven};
use crate::engine::Engine;
use crate::error::{CredentialSource, LoginAttempt};
use crate::login_error::LoginError;
use crate::rotator::DatabaseRotator;
use crate::secret::DatabaseSecret;
use crate::strategy::deprecated::{self, DEPRECATED};

/// An earlier version, and the session that its password has opened.
pub(crate) struct Earlier<S> {
    /// The version; `None` is `AWSPREVIOUS`.
    version: Option<VersionId>,
    /// The credential: only its password is of that version.
    pub(crate) secret: DatabaseSecret,
    pub(crate) proven: Proven<S>,
}

impl<S> Earlier<S> {
    /// What an error calls it.
    pub(crate) fn label(&self) -> &'static str {
        if self.version.is_some() { DEPRECATED } else { PREVIOUS }
    }

    /// What a person should know.
    pub(crate) fn note(&self) -> String {
        let user = &self.secret.username;
        match &self.version {
            None => {
                format!(
                    "The database still had the password of AWSPREVIOUS for {user}, not of AWSCURRENT."
                )
            }
            Some(version) => format!(
                "The database had the password of version {version} for {user}, which has no label: of a rotation that was \
                 given up, or from before the database was restored."
            ),
        }
    }
}

/// One login; `None` when the password was refused and another may be tried.
pub(crate) async fn attempt<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    secret: &DatabaseSecret,
    label: &'static str,
    tried: &mut Vec<LoginAttempt>,
) -> Result<Option<Proven<E::Session>>> {
    match rotator.log_in(cx, secret, label).await {
        Ok(proven) => Ok(Some(proven)),
        Err(LoginError::Refused { message }) => {
            cx.warn(format!("the password of {label} is refused: {message}"));
            tried.push(LoginAttempt { label: label.into(), result: message });
            Ok(None)
        }
        Err(cause) => {
            Err(connect::failed(&rotator.login(secret), CredentialSource::Version(label), cause)
                .into())
        }
    }
}

/// Looks for an earlier version whose password logs in as the user of `current`: the previous one,
/// then those without a label. The one of `pending` need not be tried.
pub(crate) async fn open<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    current: &DatabaseSecret,
    pending: &DatabaseSecret,
    tried: &mut Vec<LoginAttempt>,
) -> Result<Option<Earlier<E::Session>>> {
    let mut known = vec![current.password.clone(), pending.password.clone()];
    if let Some(secret) = previous(rotator, cx, current, tried).await? {
        if let Some(proven) = attempt(rotator, cx, &secret, PREVIOUS, tried).await? {
            return Ok(Some(Earlier { version: None, secret, proven }));
        }
        known.push(secret.password);
    }
    // Who may not look there is told so beside the refused passwords, which are the cause.
    let credentials = match deprecated::credentials(rotator, cx, current, known).await {
        Ok(credentials) => credentials,
        Err(error) => {
            let result = format!("not looked for: {error}. {}", error.remedy());
            tried.push(LoginAttempt { label: "versions without a label".into(), result });
            return Ok(None);
        }
    };
    for (version, secret) in credentials {
        if let Some(proven) = attempt(rotator, cx, &secret, DEPRECATED, tried).await? {
            return Ok(Some(Earlier { version: Some(version), secret, proven }));
        }
        if let Some(last) = tried.last_mut() {
            last.label = format!("version {version}");
        }
    }
    Ok(None)
}

/// The previous version of the user of `secret`, when its password is worth trying; if not, `attempts`
/// says why. Checked before anything is sent to a server. Only the password is its own: where to
/// log in, and whether encrypted, is for `secret` to say.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn previous<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    secret: &DatabaseSecret,
    attempts: &mut Vec<LoginAttempt>,
) -> Result<Option<DatabaseSecret>> {
    let mut skip = |why: &str| {
        attempts.push(LoginAttempt { label: PREVIOUS.into(), result: format!("not tried, {why}") })
    };
    let Some(value) = cx.previous().await? else {
        skip("there is none");
        return Ok(None);
    };
    let Ok(previous) = rotator.parse(&value, PREVIOUS) else {
        skip("it is not a usable secret");
        return Ok(None);
    };
    if previous.username != secret.username || !previous.is_same_server(secret) {
        skip("it is for another user or server");
        return Ok(None);
    }
    if rotator.would_weaken_tls(&previous, secret) {
        skip("its connection was encrypted, and would be no longer");
        return Ok(None);
    }
    if previous.password == secret.password {
        skip("its password has been tried already");
        return Ok(None);
    }
    Ok(Some(secret.with_password(previous.password.clone())))
}
