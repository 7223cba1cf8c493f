//! The engine of a server, the settings, and the means to connect: what every strategy needs.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rotation::settings::Source;
use rotation::{CURRENT, Context, Done, PENDING, Password, Result, Step, VersionId};

use crate::connect::{self, Proven};
use crate::engine::{Engine, Login, Server, Session, SessionAccount, TlsUse};
use crate::engine_error::EngineError;
use crate::error::{CredentialSource, Error, LoginAttempt};
use crate::host;
use crate::login_error::LoginError;
use crate::secret::DatabaseSecret;
use crate::settings::Settings;
use crate::tls::Policy;

/// The pauses before `testSecret` logs in again, because a proxy or a replica may not know the new
/// password immediately. There are few, because each rejected login counts towards an account
/// lockout.
const TEST_RETRY_PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(1500)];

/// The engine, the settings and the means to connect, which the strategies work on.
#[derive(Debug)]
pub(crate) struct Database<E> {
    pub(crate) engine: E,
    pub(crate) settings: Settings,
    /// The id of a secret, and the server of the version that was used last. The next step of its
    /// rotation most likely uses the same server.
    server: Mutex<Option<(String, Server)>>,
    /// The changes of the last `setSecret` that the server accepted without effect. `testSecret`
    /// finds them again and must not count them.
    without_effect: Mutex<Option<WithoutEffect>>,
}

/// Changes that a server accepted without effect in one rotation.
#[derive(Debug)]
struct WithoutEffect {
    secret: String,
    version: VersionId,
    changes: Vec<String>,
}

impl<E: Engine> Database<E> {
    /// Reads the settings of the function and of the engine, and prepares the engine for its first
    /// login.
    ///
    /// # Errors
    /// [`rotation::Error::Setting`] with the name of the variable that cannot be used.
    pub(crate) fn new(mut engine: E, source: Source<'_>) -> Result<Self> {
        let settings = Settings::read(source, E::SPEC)?;
        engine.configure(source)?;
        engine.prepare(&settings.authorities);
        Ok(Self { engine, settings, server: Mutex::default(), without_effect: Mutex::default() })
    }

    pub(crate) fn login<'a>(&'a self, secret: &'a DatabaseSecret) -> Login<'a> {
        Login {
            host: host::bare(&secret.host),
            port: secret.port,
            user: &secret.username,
            password: &secret.password,
            database: secret.database.as_deref(),
            tls: TlsUse::Verified,
            authorities: &self.settings.authorities,
        }
    }

    /// Returns `true` if the user of `secret` logs in without TLS because of `"ssl": false`.
    pub(crate) fn logs_in_unencrypted(&self, secret: &DatabaseSecret) -> bool {
        Policy::of(secret.ssl, self.settings.tls_mode) == Policy::Off
    }

    /// Stores the changes of this rotation that the server accepted without effect.
    pub(crate) fn store_changes_without_effect(&self, cx: &Context<'_>, changes: Vec<String>) {
        let of_rotation = cx.version().ok().map(|version| WithoutEffect {
            secret: cx.secret_id().to_owned(),
            version: version.clone(),
            changes,
        });
        *self.without_effect.lock().unwrap_or_else(PoisonError::into_inner) = of_rotation;
    }

    /// Removes the changes that the server accepted without effect in the `setSecret` of this
    /// rotation.
    pub(crate) fn remove_changes_without_effect(
        &self,
        cx: &Context<'_>,
        differences: &mut Vec<String>,
    ) {
        let known = self.without_effect.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(known), Ok(version)) = (known.as_ref(), cx.version())
            && (known.secret.as_str(), &known.version) == (cx.secret_id(), version)
        {
            differences.retain(|difference| !known.changes.contains(difference));
        }
    }

    /// Remembers the server for a preconnection in the next step. A preconnection is opened without
    /// a request, so only servers with verified TLS are remembered.
    pub(crate) fn remember_server(&self, id: &str, secret: &DatabaseSecret) {
        let is_verified = Policy::of(secret.ssl, self.settings.tls_mode) != Policy::Off;
        let server = is_verified.then(|| Server {
            host: host::bare(&secret.host).to_owned(),
            port: secret.port,
            authorities: self.settings.authorities.clone(),
        });
        let server = server.map(|server| (id.to_owned(), server));
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }

    /// Preconnects to the server of the previous step of the same secret.
    pub(crate) fn preconnect(&self, step: Step, secret_id: &str) {
        let server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        // Otherwise, the server of another secret would get an unnecessary connection.
        if let (Step::Set | Step::Test | Step::Finish, Some((id, server))) = (step, &*server)
            && id == secret_id
        {
            self.engine.preconnect(server);
        }
    }

    /// Logs in with a version's own credential.
    pub(crate) async fn log_in(
        &self,
        cx: &Context<'_>,
        secret: &DatabaseSecret,
        label: &str,
    ) -> Result<Proven<E::Session>, LoginError> {
        let policy = self.logging_in(cx, secret, label);
        connect::log_in_as_own_account(&self.engine, cx, &self.login(secret), policy).await
    }

    /// Logs in with a version's own credential, and closes the session. Returns the account of the
    /// session.
    pub(crate) async fn prove(
        &self,
        cx: &Context<'_>,
        secret: &DatabaseSecret,
        label: &str,
    ) -> Result<SessionAccount, LoginError> {
        let policy = self.logging_in(cx, secret, label);
        connect::prove(&self.engine, cx, &self.login(secret), policy).await
    }

    fn logging_in(&self, cx: &Context<'_>, secret: &DatabaseSecret, label: &str) -> Policy {
        cx.set_activity(format!(
            "logging in to {} as {} ({label})",
            secret.endpoint(),
            secret.username
        ));
        self.remember_server(cx.secret_id(), secret);
        Policy::of(secret.ssl, self.settings.tls_mode)
    }

    pub(crate) fn check_password(&self, password: &Password) -> Result<(), Error> {
        let spec = E::SPEC;
        let text = password.expose();
        let unusable = |why: String| Err(Error::PasswordUnusable { why });
        if text.len() > spec.password_max_bytes {
            return unusable(format!(
                "{} accepts at most {} bytes, and it has {}",
                spec.display,
                spec.password_max_bytes,
                text.len()
            ));
        }
        match text.chars().find(|c| *c == '\0' || spec.password_forbidden.contains(c)) {
            Some(found) => unusable(format!("{} passwords cannot contain {found:?}", spec.display)),
            None => Ok(()),
        }
    }

    /// Logs in with the pending version, and retries if the password is rejected.
    pub(crate) async fn log_in_with_retries(
        &self,
        cx: &Context<'_>,
        pending: &DatabaseSecret,
    ) -> Result<Proven<E::Session>, LoginError> {
        let mut pauses = TEST_RETRY_PAUSES.iter();
        loop {
            match (self.log_in(cx, pending, PENDING).await, pauses.next()) {
                (Err(LoginError::Refused { message }), Some(pause))
                    if cx.remaining() > *pause * 2 =>
                {
                    cx.warn(format!(
                        "the server does not accept the new password yet ({message}); retrying"
                    ));
                    tokio::time::sleep(*pause).await;
                }
                (result, _) => return result,
            }
        }
    }

    /// Returns `true` if the pending credential is the current one. That is so if rotation was
    /// turned on without an immediate rotation: Secrets Manager then runs only `testSecret`, and no
    /// `setSecret` has synced the users.
    pub(crate) async fn equals_current(&self, cx: &Context<'_>, pending: &DatabaseSecret) -> bool {
        let Ok(Some(current)) = cx.current().await else { return false };
        self.parse(&current, CURRENT).is_ok_and(|current| {
            current.username == pending.username && current.password == pending.password
        })
    }

    /// Returns `true` if a tested password must not be promoted.
    ///
    /// A locked account blocks promotion only with alternating users, because the other user may
    /// still be unlocked. A single user is locked with every password, and after the lock is
    /// removed applications need the password that the server has.
    pub(crate) fn blocks_promotion(&self, cause: &LoginError) -> bool {
        matches!(cause, LoginError::OtherAccount { .. } | LoginError::Refused { .. })
            || (self.settings.strategy.alternates() && cause.is_account_state())
    }

    pub(crate) fn pending_failed(&self, pending: &DatabaseSecret, cause: LoginError) -> Error {
        connect::failed(&self.login(pending), CredentialSource::Version(PENDING), cause)
    }

    /// Returns the outcome for a server that already has the pending password, because an earlier
    /// attempt did the step.
    pub(crate) fn already_set(&self, pending: &DatabaseSecret) -> Done {
        Done::before(format!(
            "{} already accepts the pending password of {}: an earlier attempt set it.",
            pending.endpoint(),
            pending.username
        ))
    }

    /// Returns the error for a user that the server rejects with every known password.
    pub(crate) fn refused(&self, current: &DatabaseSecret, tried: Vec<LoginAttempt>) -> Error {
        Error::CredentialsRefused {
            endpoint: current.endpoint(),
            user: current.username.clone(),
            tried,
            also_means: E::SPEC.auth_failure_hint,
        }
    }

    /// Verifies the pending password with a login, after the server has rejected it because it is
    /// in the password history.
    ///
    /// A random password can only be in the history because an earlier attempt has set it. A
    /// password that an operator has stored may be an older one, and only a login shows that.
    pub(crate) async fn confirm_reused_password(
        &self,
        cx: &Context<'_>,
        pending: &DatabaseSecret,
    ) -> Result<(), Error> {
        match self.log_in_with_retries(cx, pending).await {
            Ok(proven) => proven.session.close().await,
            Err(LoginError::Refused { .. }) => {
                let cause = EngineError::PasswordRejected {
                    message: "it was used before, and is not the user's current password".into(),
                    remedy: "Let the rotation generate a new password.".into(),
                };
                return Err(self.statement(pending, &pending.username, cause));
            }
            // testSecret is the next step, and reports this error with more detail.
            Err(_) => {}
        }
        Ok(())
    }

    /// Returns `true` if a change is to be retried, because another session changed the same
    /// objects and this rotation has not been superseded. Asks Secrets Manager whether the version
    /// is still pending.
    pub(crate) async fn should_retry_conflict<T: Sync>(
        &self,
        cx: &Context<'_>,
        changed: &Result<T, EngineError>,
    ) -> bool {
        let Err(error @ EngineError::Conflict { .. }) = changed else { return false };
        cx.warn(format!("{error}; checking whether this version is still pending"));
        cx.is_still_pending().await
    }

    /// Returns the error for a statement that failed.
    pub(crate) fn statement(
        &self,
        secret: &DatabaseSecret,
        user: &str,
        cause: EngineError,
    ) -> Error {
        Error::Statement {
            endpoint: secret.endpoint(),
            user: user.to_owned(),
            cause: Box::new(cause),
        }
    }
}
