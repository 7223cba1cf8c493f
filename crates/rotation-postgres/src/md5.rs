//! Servers that store MD5 passwords.

use rotation_database::{EngineError, LoginError, Password};
use sqlx::Row;

use crate::login::LoggedIn;
use crate::scram::DEFAULT_ITERATIONS;
use crate::session::Session;
use crate::verifier::Encryption;

/// The first version that says by which rule a session was let in.
const SAYS_THE_RULE: u32 = 160_000;

/// The form for a session's own new password: SCRAM where the rule that let the session in demands it, whatever
/// `password_encryption` says.
pub(crate) async fn own_form(
    session: &mut Session,
    encryption: Encryption,
) -> Result<Encryption, EngineError> {
    const DOING: &str = "ask by which rule the session was let in";
    if encryption != Encryption::Md5 || session.version() < SAYS_THE_RULE {
        return Ok(encryption);
    }
    let rows = session.rows(DOING, "SELECT system_user::text", &[]).await?;
    let rule: Option<String> = rows.first().and_then(|row| row.try_get(0).ok());
    Ok(match rule {
        Some(rule) if rule.starts_with("scram-sha-256:") => Encryption::ScramSha256(DEFAULT_ITERATIONS),
        _ => Encryption::Md5,
    })
}

/// Makes sure that a password which was stored as MD5 can be used.
///
/// `password_encryption = md5` does not say that the server also lets MD5 in: `pg_hba.conf` may demand SCRAM, and
/// then the old password would be gone and the new one refused. While this session is still there, a login tells,
/// and SCRAM, which both kinds of rule let in, mends it.
pub(crate) async fn keep_usable(
    session: &mut Session,
    user: &str,
    password: &Password,
    encryption: Encryption,
    remedy: &str,
) -> Result<(), EngineError> {
    if encryption != Encryption::Md5 {
        return Ok(());
    }
    let origin = session.origin();
    match LoggedIn::over(None, &origin.login(user, password)).await {
        Ok(logged_in) => logged_in.leave().await,
        Err(LoginError::Refused { .. }) => {
            session.begin().await?;
            session
                .set_password_and_commit(user, password, Encryption::ScramSha256(DEFAULT_ITERATIONS), remedy)
                .await?;
        }
        // Nothing that the form of the password could mend: testSecret will meet it again.
        Err(_) => {}
    }
    Ok(())
}
