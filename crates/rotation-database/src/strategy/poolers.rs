//! The checks for a pooler or proxy before the only password of a user changes.

use std::time::Duration;

use rotation::Context;

use crate::engine::{Pooler, Session};
use crate::engine_error::EngineError;
use crate::rds;
use crate::secret::DatabaseSecret;

/// The time that the check may take. It must not be interrupted: the PostgreSQL engine documents
/// why.
const CHECK_TIMEOUT: Duration = Duration::from_secs(12);

/// Finds a pooler or a proxy in front of the server of a secret, without changing anything.
pub(crate) async fn find(session: &mut impl Session, secret: &DatabaseSecret) -> Option<Pooler> {
    match named_by_host(secret) {
        Some(error) => Some(Pooler::HasOwnCopy(error)),
        None => session.find_pooler(&secret.username).await,
    }
}

/// Returns an error if the host of a secret is an endpoint of Amazon RDS Proxy.
pub(crate) fn named_by_host(secret: &DatabaseSecret) -> Option<EngineError> {
    rds::is_proxy(&secret.host).then(|| EngineError::NeedsDecision {
        what: format!(
            "{} is an endpoint of Amazon RDS Proxy, which has its own copy of the password of {}: \
             after a rotation, no client could log in through it until it has the new password. \
             Nothing was changed",
            secret.host, secret.username
        ),
        remedy: "Set \"host\" to the endpoint of the instance or the cluster, and attach this \
            secret to the proxy: it then reads the new password from the secret."
            .into(),
    })
}

/// Checks, before the password changes, that no pooler has its own copy of `current`.
pub(crate) async fn look(
    cx: &Context<'_>,
    session: &mut impl Session,
    current: &DatabaseSecret,
) -> Result<(), EngineError> {
    let user = &current.username;
    match find(session, current).await {
        None => return Ok(()),
        Some(Pooler::HasOwnCopy(error)) => return Err(error),
        Some(Pooler::Unknown) => {}
    }
    if cx.remaining() < CHECK_TIMEOUT {
        return Err(EngineError::Busy {
            action: format!(
                "check whether the pooler reads the password of {user} from the server"
            ),
            message: "not enough time is left".into(),
        });
    }
    cx.set_activity(format!(
        "checking whether the pooler in front of {} reads passwords from the server",
        current.endpoint()
    ));
    session.check_pooler_reads_passwords(user, &current.password).await
}

/// Checks, before the master user replaces a lost password, that there is no pooler in front of the
/// server.
///
/// [`look`] stores the current password again, so it cannot check a pooler if that password was
/// lost. Clients of a pooler with its own copy may still log in with that copy, and the new
/// password would lock them out.
pub(crate) async fn look_without_password(
    session: &mut impl Session,
    current: &DatabaseSecret,
) -> Result<(), EngineError> {
    match find(session, current).await {
        None => Ok(()),
        Some(Pooler::HasOwnCopy(error)) => Err(error),
        Some(Pooler::Unknown) => Err(EngineError::NeedsDecision {
            what: format!(
                "the function connects through a pooler or proxy, and without the password that \
                 {} has now, it cannot check whether the pooler has its own copy of it: clients \
                 of the pooler may still log in with that copy. Nothing was changed",
                current.username
            ),
            remedy: "Set \"host\" to the server's own endpoint, in the master secret as well. \
                If the pooler has its own copy of the password, update it after the rotation."
                .into(),
        }),
    }
}
