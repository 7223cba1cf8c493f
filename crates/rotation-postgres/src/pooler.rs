//! Checks poolers and proxies between the function and the server.
//!
//! A pooler that looks up passwords in the server (`auth_query` of pgbouncer) accepts a new
//! password at once. A pooler with its own copy (`auth_file`, pgcat, Amazon RDS Proxy) keeps using
//! the old password, which the server then rejects, so that all clients of the pooler would be
//! locked out.
//!
//! This check finds out which kind it is before the password changes. SCRAM sends a client the salt
//! of the stored verifier. So the function stores the *same* password with a new salt. If the
//! pooler then offers the new salt, it reads the verifier from the server. If it does not, the
//! function stores the verifier with the old salt again, because a pooler with a copy of the
//! verifier needs the server to have the same one.
//!
//! An MD5 hash has no random salt. On a server that stores MD5 hashes, the function stores a SCRAM
//! verifier of the same password for the time of the check, and the pooler must then offer SCRAM
//! with its salt. The MD5 hash is stored again in any case, for clients that only know MD5. So the
//! check must not begin if the server has stored a SCRAM verifier although it stores new passwords
//! as MD5: under a SCRAM rule of `pg_hba.conf`, the MD5 hash would lock everyone out.

use std::num::NonZeroU32;

use rotation_database::{EngineError, LoginError, Password, Pooler};

use crate::authenticate::Offer;
use crate::login;
use crate::new_password::{self, NewPassword, verifier_failed};
use crate::origin::Origin;
use crate::scram;
use crate::session::{Access, Session};
use crate::stored_form::{StorageSettings, knows_scram};
use crate::verifier::{Encryption, verifier};

/// The first version with [`SYSTEM_USER`][doc], the authentication method and the user.
///
/// [doc]: https://www.postgresql.org/docs/current/functions-info.html
const REPORTS_METHOD_SINCE: Option<u32> = Some(160_000);

/// Finds a pooler that the session goes through, and what it offers a client shows of it.
pub(crate) async fn find(session: &mut Session, user: &str) -> Option<Pooler> {
    let identity = session.identity().await.ok()?;
    if !identity.is_pooled {
        return None;
    }
    let storage = identity.storage;
    Some(match offer_of_server(session, user, storage).await {
        Err(error @ EngineError::NeedsDecision { .. }) => Pooler::HasOwnCopy(error),
        // If the pooler does not answer now, `check_password_lookup` asks again.
        Ok(_) | Err(_) => Pooler::Unknown,
    })
}

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
    let storage = session.identity().await?.storage;
    let origin = session.origin().clone();
    let before = offer_of_server(session, user, storage).await?;
    let failed = |message| verifier_failed(user, message);
    let owned = password.clone();
    let (old, is_md5) = match before {
        ServerOffer::Md5 => (verifier(user, password, Encryption::Md5).map_err(failed)?, true),
        ServerOffer::Scram { salt, iterations } => {
            let work = move || scram::verifier_with(&owned, &salt, iterations);
            (scram::compute(iterations, work).await.map_err(failed)?, false)
        }
    };
    let iterations = storage.iterations.clamp(scram::DEFAULT_ITERATIONS, scram::MAX_ITERATIONS);
    let owned = password.clone();
    let fresh = scram::compute(iterations, move || scram::verifier(&owned, iterations)).await;
    let fresh = fresh.flatten().map_err(failed)?;
    let fresh_salt = scram::salt_of(&fresh);

    let mut transaction = session.begin(Access::Change).await?;
    let messages = NewPassword::Verifier(fresh).messages(user);
    let stored = transaction.set_password_and_begin(user, messages, remedy).await;
    let after = match &stored {
        Ok(()) => Some(offer(&origin, user).await),
        Err(_) => None,
    };
    let looks_up =
        matches!(&after, Some(Ok(Offer::Scram { salt, .. })) if fresh_salt.as_ref() == Some(salt));
    if looks_up && !is_md5 {
        return transaction.commit().await;
    }
    if stored.is_err() {
        // The server may have stored the new verifier, although its answer did not arrive.
        transaction = session.begin(Access::Change).await?;
    }
    let messages = NewPassword::Verifier(old).messages(user);
    let restored = transaction.set_password_and_commit(user, messages, remedy).await;
    stored?;
    after.transpose()?;
    restored?;
    if looks_up { Ok(()) } else { Err(pooler_has_own_copy(user)) }
}

/// The authentication that a pooler offers, if it can be that of the password in the server.
enum ServerOffer {
    Scram { salt: Vec<u8>, iterations: NonZeroU32 },
    Md5,
}

/// Returns what the pooler offers a client. Returns [`EngineError::NeedsDecision`] if that shows
/// that the pooler has its own copy of the password.
async fn offer_of_server(
    session: &mut Session,
    user: &str,
    storage: StorageSettings,
) -> Result<ServerOffer, EngineError> {
    let origin = &session.origin().clone();
    match (offer(origin, user).await?, storage.md5) {
        (Offer::Md5, true) if has_proven_scram(session).await? => Err(pooler_has_own_copy(user)),
        (Offer::Md5, true) if knows_scram(origin) => Ok(ServerOffer::Md5),
        // A pooler that generates a new salt for each client does not offer the server's salt. On a
        // server that stores MD5 hashes, the check must not replace the hash with a verifier.
        (before @ Offer::Scram { .. }, false) if offer(origin, user).await? == before => {
            match before {
                Offer::Scram { salt, iterations } => Ok(ServerOffer::Scram { salt, iterations }),
                Offer::Md5 | Offer::Other => Err(pooler_has_own_copy(user)),
            }
        }
        _ => Err(pooler_has_own_copy(user)),
    }
}

/// Returns `true` if the pooler logged in to the server under a rule that demands SCRAM, so the
/// server has stored a verifier. Servers before PostgreSQL 16 do not report it.
async fn has_proven_scram(session: &mut Session) -> Result<bool, EngineError> {
    if session.origin().version < REPORTS_METHOD_SINCE {
        return Ok(false);
    }
    const ACTION: &str = "read how the pooler logs in to the server";
    let method = session.ask(ACTION, "SELECT SYSTEM_USER::pg_catalog.text").await?;
    Ok(matches!(method.as_slice(), [Some(method)] if method.starts_with("scram-sha-256:")))
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
