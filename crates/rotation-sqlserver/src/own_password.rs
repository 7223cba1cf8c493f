//! Changes the password of the session's own user.

use rotation_database::sync::Statement;
use rotation_database::{Changed, EngineError, PasswordChange, edit_of_secret};

use crate::edition::MASTER;
use crate::principal::Kind;
use crate::quote::{identifier, literal};
use crate::session::Session;
use crate::session_account::of_session;

/// Changes the password of the session's own user.
///
/// `ALTER LOGIN` and `ALTER USER` take no parameters. The server removes the passwords from them
/// before it traces or audits them. `OLD_PASSWORD` is the password with which the session has
/// logged in, which may be another one than that of `AWSCURRENT`.
pub(crate) async fn change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<Changed, EngineError> {
    session.begin().await?;
    let kind = check(session, change).await?;
    let sql = format!(
        "ALTER {} {} WITH PASSWORD = {} OLD_PASSWORD = {}",
        kind.keyword(),
        identifier(change.user),
        password(change.new.expose())?,
        password(change.old.expose())?
    );
    let action = format!("change the password of {}", change.user);
    let remedy = "Any user may change its own password unless that was denied: revoke a DENY ALTER \
        on the user itself. Or rotate with alternating users.";
    session.execute(&Statement::new(action, sql, remedy)).await?;
    Ok(Changed::Now)
}

/// Checks that the password can be changed in the session, and returns the kind of account that has
/// it.
pub(crate) async fn check(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<Kind, EngineError> {
    let account = match session.account() {
        Some(account) => account.clone(),
        None => of_session(session, change.user).await?,
    };
    match account.away_from_master {
        None => Ok(account.principal.kind),
        Some(database) => Err(EngineError::NeedsDecision {
            what: format!(
                "{} is a login, whose password Azure SQL Database changes only in {MASTER}, and \
                 the secret is for the database {database}",
                change.user
            ),
            remedy: edit_of_secret(&format!(
                "Set \"dbname\": \"{MASTER}\" in the secret. Or use a user of {database} with a \
                 password of its own (CREATE USER … WITH PASSWORD = …)."
            )),
        }),
    }
}

/// Returns a password as a literal.
pub(crate) fn password(password: &str) -> Result<String, EngineError> {
    literal(password).ok_or_else(|| EngineError::PasswordRejected {
        message: "it has a backslash at the end of a line, which no T-SQL literal can contain"
            .into(),
        remedy: "Use a password without line breaks.".into(),
    })
}
