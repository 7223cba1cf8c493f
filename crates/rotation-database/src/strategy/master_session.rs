//! Where and how the master logs in.

use rotation::{Context, Result};

use crate::connect;
use crate::engine::{Engine, Login};
use crate::engine_error::EngineError;
use crate::error::{CredentialSource, Error};
use crate::host;
use crate::master::Master;
use crate::rotator::DatabaseRotator;
use crate::secret::DatabaseSecret;
use crate::tls::Policy;

/// A login of the master that has not been tried yet.
pub(crate) struct MasterLogin<'a, E> {
    rotator: &'a DatabaseRotator<E>,
    master: &'a Master,
    login: Login<'a>,
    policy: Policy,
}

impl<'a, E: Engine> MasterLogin<'a, E> {
    /// As the master secret says, and where the secret's own credential counts, as `opened` says.
    pub(crate) fn of(
        rotator: &'a DatabaseRotator<E>,
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
                // The database that a credential has opened, not the one that a pending version
                // names.
                true => opened.database.as_deref().or(credential.database.as_deref()),
                false => credential.database.as_deref(),
            },
            ..rotator.login(pending)
        };
        // The stricter of the two: whoever may change the secret must not thereby strip the master
        // of its protection.
        let mode = rotator.settings.tls_mode;
        let policy = Policy::of(credential.ssl, mode).max(Policy::of(pending.ssl, mode));
        Self { rotator, master, login, policy }
    }

    /// Logs in where a credential of the secret logs in as well.
    ///
    /// Two names may share an address and be two servers: what that credential has opened under
    /// one, it must open under the other, before the master acts there.
    pub(crate) async fn proven_by(
        self,
        cx: &Context<'_>,
        (opened, label): (&DatabaseSecret, &'static str),
    ) -> Result<E::Session> {
        let Self { rotator, master, login, policy } = &self;
        if !host::same(&master.endpoint.host, &opened.host) {
            cx.set_activity(format!(
                "logging in to {}, the master's server, as {}",
                master.endpoint, opened.username
            ));
            let proof = Login { host: login.host, port: login.port, ..rotator.login(opened) };
            match connect::prove(&rotator.engine, cx, &proof, *policy).await {
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

    /// Logs in.
    pub(crate) async fn open(self, cx: &Context<'_>) -> Result<E::Session> {
        let Self { rotator, master, login, policy } = self;
        cx.set_activity(format!("logging in to {} as master {}", master.endpoint, login.user));
        let session = connect::log_in(&rotator.engine, cx, &login, policy).await;
        let failed =
            |cause| connect::failed(&login, CredentialSource::Master(master.arn.clone()), cause);
        Ok(session.map_err(failed)?)
    }
}

/// Checks, by the server's own word, that a master may go ahead: the server takes changes, and no
/// user whose password is to be changed is the master itself. Returns the session, or logs it out.
///
/// Servers compare names by rules of their own (case, accents, width, trailing blanks), so the
/// names alone, which [`must_be_another`] compares before anything is asked, do not settle it.
pub(crate) async fn may_go_ahead<E: Engine>(
    rotator: &DatabaseRotator<E>,
    master: &Master,
    mut session: E::Session,
    users: &[&str],
    pending: &DatabaseSecret,
) -> Result<E::Session, Error> {
    match check(rotator, master, &mut session, users, pending).await {
        Ok(()) => Ok(session),
        Err(error) => {
            rotator.engine.log_out(session).await;
            Err(error)
        }
    }
}

/// As [`may_go_ahead`], for a session that is kept in any case.
pub(crate) async fn check<E: Engine>(
    rotator: &DatabaseRotator<E>,
    master: &Master,
    session: &mut E::Session,
    users: &[&str],
    pending: &DatabaseSecret,
) -> Result<(), Error> {
    let name = &master.secret.username;
    let takes_changes = rotator.engine.takes_changes(session).await;
    takes_changes.map_err(|cause| rotator.statement(pending, name, cause))?;
    for user in users {
        let account = rotator.engine.session_account(session, user).await;
        if account.map_err(|cause| rotator.statement(pending, name, cause))?.is_of_user {
            return Err(is_the_master(rotator, user, name, pending));
        }
    }
    Ok(())
}

/// A secret that names the master as one of its users would let whoever writes it read the master's
/// new password, and would leave the master secret with one that is refused.
pub(crate) fn must_be_another<E: Engine>(
    rotator: &DatabaseRotator<E>,
    master: &Master,
    users: &[&str],
    pending: &DatabaseSecret,
) -> Result<(), Error> {
    let name = &master.secret.username;
    // Whichever of these differences the server makes nothing of.
    let plain = |name: &str| name.trim_end().trim_matches('"').to_lowercase();
    match users.iter().find(|user| plain(user) == plain(name)) {
        Some(user) => Err(is_the_master(rotator, user, name, pending)),
        None => Ok(()),
    }
}

fn is_the_master<E: Engine>(
    rotator: &DatabaseRotator<E>,
    user: &str,
    master: &str,
    pending: &DatabaseSecret,
) -> Error {
    let named =
        if user == master { String::new() } else { format!(", which the server calls {master}") };
    let cause = EngineError::NeedsDecision {
        what: format!("{user}{named} is the master, and a master sets only the passwords of others"),
        remedy: "Rotate it as a single user (ROTATION_STRATEGY=single-user), or correct \"masterarn\" in the secret.".into(),
    };
    rotator.statement(pending, master, cause)
}
