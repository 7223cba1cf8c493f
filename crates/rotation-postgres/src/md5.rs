//! Servers that store MD5 passwords.

use rotation_database::{EngineError, LoginError, Password};

use crate::login::log_in;
use crate::session::Session;
use crate::verifier::{DEFAULT_ITERATIONS, Encryption};

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
    match log_in(&origin.login(user, password)).await {
        Ok(session) => session.close().await,
        Err(LoginError::Refused { .. }) => {
            session.begin().await?;
            session.set_password(user, password, Encryption::ScramSha256(DEFAULT_ITERATIONS), remedy).await?;
            session.commit().await?;
        }
        // Nothing that the form of the password could mend: testSecret will meet it again.
        Err(_) => {}
    }
    Ok(())
}
