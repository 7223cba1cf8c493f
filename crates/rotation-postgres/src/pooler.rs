//! Poolers and proxies between the function and the server.
//!
//! A pooler that looks passwords up in the server (`auth_query` of pgbouncer) accepts a new
//! password at once. One with a copy of its own (`auth_file`, Amazon RDS Proxy) goes on with the
//! old password, which the server then rejects: every client of it would be locked out.
//!
//! Which of the two it is shows before the password changes. SCRAM offers a client the salt of the
//! stored verifier. So the *same* password is stored with a new salt, and if the pooler then offers
//! that salt, it has looked at the server. If not, the old salt is stored again: a pooler with a
//! copy of the verifier needs the same one.

use rotation_database::{EngineError, LoginError, Password};
use zeroize::Zeroizing;

use crate::authenticate::Offer;
use crate::login;
use crate::new_password::{self, NewPassword, not_computed};
use crate::scram;
use crate::session::{Access, Origin, Session};

/// Checks that the pooler of a session takes the password of `user` from the server.
///
/// `remedy` is what an administrator does when the privilege to set the password is missing.
pub(crate) async fn must_look_passwords_up(
    session: &mut Session,
    user: &str,
    password: &Password,
    remedy: &str,
) -> Result<(), EngineError> {
    new_password::may_travel_readable(session).await?;
    let before = offer(session.origin(), user).await?;
    let storage = session.identity().await?.storage;
    if before == Offer::Md5 && storage.md5 {
        // An MD5 hash has no salt that could show anything.
        return Ok(());
    }
    // What a pooler that asks for MD5 has cannot be found out, and a server that stores MD5 hashes
    // must not get a SCRAM verifier instead.
    let (Offer::Scram { salt: old_salt, iterations: old_iterations }, false) =
        (&before, storage.md5)
    else {
        return Err(own_copy(user));
    };
    // One that makes a salt up for each client has none of the server's.
    if offer(session.origin(), user).await? != before {
        return Err(own_copy(user));
    }
    let (salt, iterations, owned) = (old_salt.clone(), *old_iterations, password.clone());
    let old =
        scram::compute(iterations, move || scram::verifier_with(&owned, &salt, iterations)).await;
    let old = old.map_err(|message| not_computed(user, message))?;
    let iterations = storage.iterations.clamp(scram::DEFAULT_ITERATIONS, scram::MOST_ITERATIONS);
    let owned = password.clone();
    let fresh =
        scram::compute(iterations, move || scram::verifier(&owned, iterations)).await.flatten();
    let fresh = fresh.map_err(|message| not_computed(user, message))?;
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
    // Whatever failed: a pooler with a copy of the verifier needs the same one.
    let restored = store(session, user, old, remedy).await;
    after?;
    restored?;
    Err(own_copy(user))
}

fn own_copy(user: &str) -> EngineError {
    EngineError::NeedsDecision {
        what: format!(
            "a pooler or proxy stands between the function and the server, and has its own copy of the password of {user}: \
             after a rotation, no client could log in through it. The password is unchanged"
        ),
        remedy: "Name the server's own endpoint in \"host\", and give the pooler the new password after each rotation; or \
            let the pooler look passwords up in the server (pgbouncer: auth_query). If it does so and asks for MD5: store \
            the password as SCRAM once (ALTER ROLE with password_encryption = 'scram-sha-256'). For Amazon RDS Proxy: \
            name the instance's or the cluster's endpoint, and attach this secret to the proxy."
            .into(),
    }
}

/// What the pooler offers a client before it has proven anything.
async fn offer(origin: &Origin, user: &str) -> Result<Offer, EngineError> {
    let failed = |cause: LoginError| EngineError::Disconnected {
        doing: format!("ask the pooler how {user} logs in"),
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
    transaction.set_password_and_commit(user, &NewPassword::Verifier(verifier), remedy).await
}
