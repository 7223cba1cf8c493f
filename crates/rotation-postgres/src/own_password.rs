//! A role's own password.

use rotation_database::{Changed, EngineError, PasswordChange};

use crate::new_password::NewPassword;
use crate::quote::identifier;
use crate::session::{Access, Session};

pub(crate) async fn change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<Changed, EngineError> {
    let remedy = remedy(change.user);
    // Before the transaction: a verifier with many iterations takes its time.
    let password = NewPassword::of_session(session, change.user, change.new).await?;
    let transaction = session.begin(Access::Change).await?;
    transaction.set_password_and_commit(change.user, &password, &remedy).await?;
    Ok(Changed::Now)
}

/// What lets a role change its own password.
pub(crate) fn remedy(user: &str) -> String {
    format!(
        "Let the role change its own password (on RDS with rds.restrict_password_commands: \
         GRANT rds_password TO {}), or rotate with alternating users.",
        identifier(user)
    )
}
