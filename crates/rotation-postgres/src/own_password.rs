//! Changes the password of the session's own role.

use rotation_database::{Changed, EngineError, PasswordChange};

use crate::new_password::NewPassword;
use crate::quote::identifier;
use crate::session::{Access, Session};

pub(crate) async fn change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<Changed, EngineError> {
    let remedy = remedy(change.user);
    // Compute the verifier before the transaction begins, because many iterations take long.
    let password = NewPassword::of_session(session, change.user, change.new).await?;
    let transaction = session.begin(Access::Change).await?;
    transaction
        .set_password_and_commit(change.user, password.messages(change.user), &remedy)
        .await?;
    Ok(Changed::Now)
}

/// Returns the remedy for a role that may not change its own password.
pub(crate) fn remedy(user: &str) -> String {
    format!(
        "Allow the role to change its own password (on RDS with rds.restrict_password_commands: \
         GRANT rds_password TO {}), or rotate with alternating users.",
        identifier(user)
    )
}
