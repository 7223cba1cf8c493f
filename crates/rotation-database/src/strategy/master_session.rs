//! The login of the master user.

use rotation::{Context, Result};

use crate::connect;
use crate::database::Database;
use crate::engine::{Engine, Login, Session};
use crate::engine_error::EngineError;
use crate::error::{CredentialSource, Error};
use crate::host;
use crate::master::Master;
use crate::secret::DatabaseSecret;
use crate::tls::Policy;

/// A login of the master user that has not been attempted yet.
pub(crate) struct MasterLogin<'a, E> {
    database: &'a Database<E>,
    master: &'a Master,
    login: Login<'a>,
    policy: Policy,
}

impl<'a, E: Engine> MasterLogin<'a, E> {
    /// Creates the login from the master secret. The database comes from `opened`, a credential
    /// that has logged in, if the engine's master user logs in to the secret's database.
    pub(crate) fn of(
        database: &'a Database<E>,
        master: &'a Master,
        opened: &'a DatabaseSecret,
        pending: &'a DatabaseSecret,
    ) -> Self {
        let credential = &master.secret;
        let login = Login {
            host: host::bare(&master.endpoint.host),
            port: master.endpoint.port,
            user: &credential.username,
            password: &credential.password,
            database: match E::SPEC.master_uses_database {
                // Not the database of the pending version, which no login has proven.
                true => opened.database.as_deref().or(credential.database.as_deref()),
                false => credential.database.as_deref(),
            },
            ..database.login(pending)
        };
        // The stricter of the two policies: a writer of the secret must not be able to weaken the
        // TLS policy of the master user.
        let mode = database.settings.tls_mode;
        let policy = Policy::of(credential.ssl, mode).max(Policy::of(pending.ssl, mode));
        Self { database, master, login, policy }
    }

    /// Logs in, after a credential of the secret has logged in to the same endpoint.
    ///
    /// Two host names can resolve to one address and still lead to different servers. If the master
    /// secret has another host name, the credential that logged in to the secret's host must also
    /// log in to that one before the master user acts there.
    pub(crate) async fn open_after_proof(
        self,
        cx: &Context<'_>,
        (opened, label): (&DatabaseSecret, &'static str),
    ) -> Result<E::Session> {
        let Self { database, master, login, policy } = &self;
        if !host::same(&master.endpoint.host, &opened.host) {
            cx.set_activity(format!(
                "logging in to {}, the master's server, as {}",
                master.endpoint, opened.username
            ));
            let proof = Login { host: login.host, port: login.port, ..database.login(opened) };
            match connect::prove(&database.engine, cx, &proof, *policy).await {
                Err(cause) if !cause.proves_password() => {
                    return Err(
                        connect::failed(&proof, CredentialSource::Version(label), cause).into()
                    );
                }
                _ => {}
            }
        }
        self.open(cx).await
    }

    /// Logs in as the master user, at the endpoint that the master secret or RDS names.
    pub(crate) async fn open(self, cx: &Context<'_>) -> Result<E::Session> {
        let Self { database, master, login, policy } = self;
        cx.set_activity(format!("logging in to {} as master {}", master.endpoint, login.user));
        let session = connect::log_in(&database.engine, cx, &login, policy).await;
        let failed =
            |cause| connect::failed(&login, CredentialSource::Master(master.arn.clone()), cause);
        Ok(session.map_err(failed)?)
    }
}

/// Asks the server whether a master user may proceed: the server must be writable, and no user
/// whose password is to be changed may be the master user itself. Returns the session, or closes
/// it.
///
/// Servers compare names by their own rules (case, accents, width, trailing blanks). The comparison
/// of the names by [`ensure_not_master`], which happens before the login, is therefore not
/// sufficient.
pub(crate) async fn check_or_close<E: Engine>(
    database: &Database<E>,
    master: &Master,
    mut session: E::Session,
    users: &[&str],
    pending: &DatabaseSecret,
) -> Result<E::Session, Error> {
    match check(database, master, &mut session, users, pending).await {
        Ok(()) => Ok(session),
        Err(error) => {
            session.close().await;
            Err(error)
        }
    }
}

/// Makes the checks of [`check_or_close`] without closing the session.
pub(crate) async fn check<E: Engine>(
    database: &Database<E>,
    master: &Master,
    session: &mut E::Session,
    users: &[&str],
    pending: &DatabaseSecret,
) -> Result<(), Error> {
    let name = &master.secret.username;
    let check_writable = session.check_writable().await;
    check_writable.map_err(|cause| database.statement(pending, name, cause))?;
    for user in users {
        let account = session.session_account(user).await;
        if account.map_err(|cause| database.statement(pending, name, cause))?.is_of_user {
            return Err(is_master_error(database, user, name, pending));
        }
    }
    Ok(())
}

/// Checks that none of `users` is the master user, by name.
///
/// If a secret named the master user as one of its users, a writer of that secret could read the
/// new password of the master user, and the server would reject the password in the master secret.
pub(crate) fn ensure_not_master<E: Engine>(
    database: &Database<E>,
    master: &Master,
    users: &[&str],
    pending: &DatabaseSecret,
) -> Result<(), Error> {
    let name = &master.secret.username;
    // Servers differ in which of these differences they ignore, so all of them are ignored here.
    let normalized = |name: &str| name.trim_end().trim_matches('"').to_lowercase();
    match users.iter().find(|user| normalized(user) == normalized(name)) {
        Some(user) => Err(is_master_error(database, user, name, pending)),
        None => Ok(()),
    }
}

fn is_master_error<E: Engine>(
    database: &Database<E>,
    user: &str,
    master: &str,
    pending: &DatabaseSecret,
) -> Error {
    let named = if user == master { String::new() } else { format!(" (on the server: {master})") };
    let cause = EngineError::NeedsDecision {
        what: format!(
            "{user}{named} is the master user, which can only set the passwords of other users"
        ),
        remedy: "Rotate it as a single user (ROTATION_STRATEGY=single-user), or correct \
                 \"masterarn\" in the secret."
            .into(),
    };
    database.statement(pending, master, cause)
}
