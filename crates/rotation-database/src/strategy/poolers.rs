//! The check for a pooler or proxy before the only password of a user changes.

use std::time::Duration;

use rotation::Context;

use crate::engine::Session;
use crate::engine_error::EngineError;
use crate::secret::DatabaseSecret;

/// The time that the check may take. It must not be interrupted: the PostgreSQL engine documents
/// why.
const CHECK_TIMEOUT: Duration = Duration::from_secs(12);

/// Checks, before the password changes, that no pooler has its own copy of `current`.
pub(crate) async fn look(
    cx: &Context<'_>,
    session: &mut impl Session,
    current: &DatabaseSecret,
) -> Result<(), EngineError> {
    let user = &current.username;
    if !session.is_pooled().await {
        return Ok(());
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
