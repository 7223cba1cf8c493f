//! The check, before a password changes, that the user can log in with the new one.
//!
//! A new password clears the user's entry in the server's cache of `caching_sha2_password`. At the
//! next login, the client must send the password itself, and without TLS that requires an RSA key
//! of the server.

use rotation_database::{EngineError, Password, PasswordRequest, edit_of_secret};

use super::Base;
use crate::account::Account;
use crate::plugin::{Plugin, max_password_len_for_rsa_key};
use crate::session::{Session, text};

/// Checks the next login of a user that changes its own password, with the plugin that
/// authenticated this session.
pub(crate) async fn of_session_is_possible(
    session: &mut Session,
    account: &Account,
    new: &Password,
) -> Result<(), EngineError> {
    if session.is_encrypted() {
        return Ok(());
    }
    // Even if the server does not report a key, it has one if this login was a full authentication.
    let has_key = session.method().cache_independent;
    needs_key(session, account, session.method().plugin.name(), new, has_key).await
}

/// Checks the next logins of the accounts of a user whose password a master user sets.
pub(crate) async fn is_possible(
    session: &mut Session,
    request: &impl PasswordRequest,
    bases: &[Base],
) -> Result<(), EngineError> {
    if !request.logs_in_unencrypted() || session.is_mariadb() {
        return Ok(());
    }
    for plugin in [Plugin::CachingSha2.name(), Plugin::Sha256.name()] {
        if let Some(base) = bases.iter().find(|base| base.plugin == plugin) {
            // The login of the master user proves nothing about the user's login.
            needs_key(session, &base.account, plugin, request.password(), false).await?;
        }
    }
    Ok(())
}

async fn needs_key(
    session: &mut Session,
    account: &Account,
    plugin: &str,
    new: &Password,
    has_key: bool,
) -> Result<(), EngineError> {
    let variable = match plugin {
        "caching_sha2_password" => "Caching_sha2_password_rsa_public_key",
        "sha256_password" => "Rsa_public_key",
        _ => return Ok(()),
    };
    let query = format!("SHOW GLOBAL STATUS LIKE '{variable}'");
    let rows = session.rows("read the RSA key of the server", &query).await?;
    let key = rows.first().and_then(|row| text(row, 1)).unwrap_or_default();
    match max_password_len_for_rsa_key(key.as_bytes()) {
        Some(longest) if new.expose().len() <= longest => return Ok(()),
        Some(longest) => {
            return Err(EngineError::PasswordRejected {
                message: format!(
                    "{account} logs in with {plugin} without TLS, where the server's RSA key \
                     protects at most {longest} bytes of a password, and the new one has {}. \
                     Nothing was changed",
                    new.expose().len()
                ),
                remedy: format!(
                    "Set PASSWORD_LENGTH of the function to {longest} or less, give the server a \
                     longer RSA key, or use TLS."
                ),
            });
        }
        None if has_key => return Ok(()),
        None => {}
    }
    Err(EngineError::NeedsDecision {
        what: format!(
            "{account} logs in with {plugin} without TLS, and the server has no RSA key to protect \
             its password: with a new password it could no longer log in. Nothing was changed"
        ),
        remedy: edit_of_secret(&format!(
            "Give the server an RSA key ({plugin}_auto_generate_rsa_keys=ON, and restart it). Or \
             turn TLS on at the server, and remove \"ssl\": false from the secret."
        )),
    })
}
