//! Checks poolers and proxies between the function and the server.
//!
//! A pooler that looks up passwords in the server (`auth_query` of pgbouncer) accepts a new
//! password at once. A pooler with its own copy (`auth_file`, Amazon RDS Proxy) keeps using the old
//! password, which the server then rejects, so that all clients of the pooler would be locked out.
//!
//! This check finds out which kind it is before the password changes. SCRAM sends a client the salt
//! of the stored verifier. So the function stores the *same* password with a new salt. If the
//! pooler then offers the new salt, it reads the verifier from the server. If it does not, the
//! function stores the verifier with the old salt again, because a pooler with a copy of the
//! verifier needs the server to have the same one.

use rotation_database::{EngineError, LoginError, Password};
use zeroize::Zeroizing;

use crate::authenticate::Offer;
use crate::login;
use crate::new_password::{self, NewPassword, verifier_failed};
use crate::origin::Origin;
use crate::scram;
use crate::session::{Access, Session};

/// Checks that the session's pooler looks up the password of `user` in the server.
///
/// `remedy` is for the DBA, if the privilege to set the password is missing.
pub(crate) async fn check_password_lookup(
    session: &mut Session,
    user: &str,
    password: &Password,
    remedy: &str,
) -> Result<(), EngineError> {
    new_password::check_cleartext_is_safe(session).await?;
    let before = offer(session.origin(), user).await?;
    let storage = session.identity().await?.storage;
    if before == Offer::Md5 && storage.md5 {
        // An MD5 hash has no random salt, so this check is not possible.
        return Ok(());
    }
    // For a pooler that asks for MD5, the check is not possible. On a server that stores MD5
    // hashes, the check must not replace the hash with a SCRAM verifier.
    let (Offer::Scram { salt: old_salt, iterations: old_iterations }, false) =
        (&before, storage.md5)
    else {
        return Err(pooler_has_own_copy(user));
    };
    // A pooler that generates a new salt for each client does not offer the server's salt.
    if offer(session.origin(), user).await? != before {
        return Err(pooler_has_own_copy(user));
    }
    let (salt, iterations, owned) = (old_salt.clone(), *old_iterations, password.clone());
    let old =
        scram::compute(iterations, move || scram::verifier_with(&owned, &salt, iterations)).await;
    let old = old.map_err(|message| verifier_failed(user, message))?;
    let iterations = storage.iterations.clamp(scram::DEFAULT_ITERATIONS, scram::MAX_ITERATIONS);
    let owned = password.clone();
    let fresh =
        scram::compute(iterations, move || scram::verifier(&owned, iterations)).await.flatten();
    let fresh = fresh.map_err(|message| verifier_failed(user, message))?;
    let stored = store(session, user, fresh.clone(), remedy).await;
    let after = match stored {
        Ok(()) => offer(session.origin(), user).await,
        Err(error) => Err(error),
    };
    if let Ok(Offer::Scram { salt, .. }) = &after
        && scram::salt_of(&fresh).as_ref() == Some(salt)
    {
        return Ok(());
    }
    // Restore the old verifier after any failure: a pooler with a copy of the verifier needs the
    // server to have the same one.
    let restored = store(session, user, old, remedy).await;
    after?;
    restored?;
    Err(pooler_has_own_copy(user))
}

fn pooler_has_own_copy(user: &str) -> EngineError {
    EngineError::NeedsDecision {
        what: format!(
            "the function connects through a pooler or proxy that has its own copy of the password \
             of {user}: after a rotation, no client could log in through it. The password is \
             unchanged"
        ),
        remedy: "Set \"host\" to the server's own endpoint, and update the password in the pooler \
            after each rotation. Or configure the pooler to look up passwords in the server \
            (pgbouncer: auth_query). If it already does so and asks for MD5, store the password as \
            SCRAM once (ALTER ROLE with password_encryption = 'scram-sha-256'). For Amazon RDS \
            Proxy, set \"host\" to the endpoint of the instance or the cluster, and attach this \
            secret to the proxy."
            .into(),
    }
}

/// Returns the authentication that the pooler offers a client before the client has proven
/// anything.
async fn offer(origin: &Origin, user: &str) -> Result<Offer, EngineError> {
    let failed = |cause: LoginError| EngineError::Disconnected {
        action: format!("ask the pooler how {user} logs in"),
        cause,
    };
    login::offer_of(user, origin).await.map_err(failed)
}

async fn store(
    session: &mut Session,
    user: &str,
    verifier: Zeroizing<String>,
    remedy: &str,
) -> Result<(), EngineError> {
    let transaction = session.begin(Access::Change).await?;
    transaction
        .set_password_and_commit(user, NewPassword::Verifier(verifier).messages(user), remedy)
        .await
}
