//! A user changes its own password.

use rotation_database::{Changed, EngineError, PasswordChange};

use crate::principal::of_session;
use crate::quote::{identifier, literal};
use crate::session::Session;

/// Changes the session's own password.
///
/// Neither statement takes parameters. What they say of passwords is blanked by the server before
/// it is traced or audited. `OLD_PASSWORD` is the one that has really logged in, not the one that
/// AWSCURRENT names.
pub(crate) async fn change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<Changed, EngineError> {
    session.begin().await?;
    let kind = match session.kind() {
        Some(kind) => kind,
        None => of_session(session, change.user).await?.principal.kind,
    };
    let statement = format!(
        "ALTER {} {} WITH PASSWORD = {} OLD_PASSWORD = {}",
        kind.keyword(),
        identifier(change.user),
        password(change.new.expose())?,
        password(change.old.expose())?
    );
    let doing = format!("change the password of {}", change.user);
    let remedy = "Any user may change its own password unless that was denied (DENY ALTER on itself). Or rotate with \
        alternating users.";
    session.run_or(&doing, &statement, remedy).await?;
    Ok(Changed::Now)
}

/// A password as a literal.
pub(crate) fn password(password: &str) -> Result<String, EngineError> {
    literal(password).ok_or_else(|| EngineError::PasswordRejected {
        message: "it has a backslash at the end of a line, which T-SQL cannot write".into(),
        remedy: "Use a password without line breaks.".into(),
    })
}
