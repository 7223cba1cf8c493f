//! A pooler or proxy on the way of a user whose only password is about to change.

use std::time::Duration;

use rotation::Context;

use crate::engine::Engine;
use crate::engine_error::EngineError;
use crate::rotator::DatabaseRotator;
use crate::secret::DatabaseSecret;

/// What the look may take. It must not be cut off in the middle: see the engine's own words.
const LOOK: Duration = Duration::from_secs(12);

/// Looks, before the password changes, whether a pooler has its own copy of `current`.
pub(crate) async fn look<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    session: &mut E::Session,
    current: &DatabaseSecret,
) -> Result<(), EngineError> {
    let user = &current.username;
    if !rotator.engine.is_pooled(session).await {
        return Ok(());
    }
    if cx.remaining() < LOOK {
        return Err(EngineError::Busy {
            action: format!("look whether the pooler takes the password of {user} from the server"),
            message: "too little time is left".into(),
        });
    }
    cx.set_activity(format!(
        "looking whether the pooler in front of {} takes passwords from the server",
        current.endpoint()
    ));
    rotator.engine.pooler_looks_passwords_up(session, user, &current.password).await
}
