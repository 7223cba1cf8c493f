//! The proof that the target user belongs to the secret: an earlier version that logs in as it.

use rotation::{Context, PENDING, PREVIOUS, Result};

use crate::connect;
use crate::database::Database;
use crate::engine::{Engine, SessionAccount};
use crate::error::CredentialSource;
use crate::secret::DatabaseSecret;
use crate::strategy::deprecated::{self, DEPRECATED};
use crate::strategy::earlier;

/// Checks whether the target user belongs to the secret: whether a version of the secret has its
/// password. The name in a version is not enough, because any writer of the secret can put it
/// there.
///
/// In a normal rotation, the password of the previous version still works. If an earlier attempt of
/// this rotation has set the pending password, that one works. After a cancelled rotation, the
/// password of a deprecated version may work. `is_refused` is `true` if the server has already
/// rejected the pending password.
///
/// Returns the result of the login with that version, or `None` if no version proves it.
pub(super) async fn prove_target<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    pending: &DatabaseSecret,
    is_refused: bool,
) -> Result<Option<LoginProof>> {
    let mut known = vec![pending.password.clone()];
    if let Some(previous) = earlier::previous(database, cx, pending, &mut Vec::new()).await? {
        if let Some(login) = try_login(database, cx, &previous, PREVIOUS).await? {
            return Ok(login.proof());
        }
        known.push(previous.password);
    }
    if !is_refused && let Some(login) = try_login(database, cx, pending, PENDING).await? {
        return Ok(login.proof());
    }
    // If the deprecated versions cannot be listed, they prove nothing.
    let deprecated =
        deprecated::credentials(database, cx, pending, known).await.unwrap_or_default();
    for (_, secret) in &deprecated {
        if let Some(login) = try_login(database, cx, secret, DEPRECATED).await? {
            return Ok(login.proof());
        }
    }
    Ok(None)
}

/// The result of a login with a version, if no other password could give another result.
pub(super) enum LoginProof {
    /// The login succeeded as this account.
    Account(SessionAccount),
    /// The password is right, but has expired.
    Expired,
    /// The account is locked or not allowed to log in.
    NotAllowed,
}

impl LoginProof {
    /// Returns the result if it proves that the password is the user's.
    fn proof(self) -> Option<Self> {
        (!matches!(self, Self::NotAllowed)).then_some(self)
    }

    /// Returns the account of the session, if the login succeeded.
    pub(super) fn account(self) -> Option<SessionAccount> {
        match self {
            Self::Account(account) => Some(account),
            Self::Expired | Self::NotAllowed => None,
        }
    }
}

/// Logs in with a version. Returns `None` if the password was rejected, so that another one may
/// work.
async fn try_login<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    secret: &DatabaseSecret,
    label: &'static str,
) -> Result<Option<LoginProof>> {
    match database.prove(cx, secret, label).await {
        Ok(account) => Ok(Some(LoginProof::Account(account))),
        Err(cause) if cause.is_wrong_password() => Ok(None),
        Err(cause) if cause.proves_password() => Ok(Some(LoginProof::Expired)),
        Err(cause) if cause.is_account_state() => Ok(Some(LoginProof::NotAllowed)),
        Err(cause) => {
            Err(connect::failed(&database.login(secret), CredentialSource::Version(label), cause)
                .into())
        }
    }
}
