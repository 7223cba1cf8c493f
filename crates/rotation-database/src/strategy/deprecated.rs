//! Passwords that rotations which were given up may have left in the database.

use rotation::{Context, Password, Result, VersionId};

use crate::engine::Engine;
use crate::rotator::DatabaseRotator;
use crate::secret::DatabaseSecret;

/// How many versions without a label are tried: with the three that have one, five refused
/// passwords at the most.
const MOST: usize = 2;

/// What an error calls such a version.
pub(crate) const DEPRECATED: &str = "a version without a label";

/// The credentials of earlier versions, the newest first: for the same user and server, with a
/// password that is none of the known ones. Only the password is theirs: where to log in, and
/// whether encrypted, is for `secret` to say.
///
/// The search ends where the secret was another one's: whoever may write it must not get at what it
/// once held for others.
///
/// # Errors
/// When the versions cannot be listed.
pub(crate) async fn credentials<E: Engine>(
    rotator: &DatabaseRotator<E>,
    cx: &Context<'_>,
    secret: &DatabaseSecret,
    mut known: Vec<Password>,
) -> Result<Vec<(VersionId, DatabaseSecret)>> {
    let mut found = Vec::new();
    for version in cx.earlier().await? {
        if found.len() == MOST {
            break;
        }
        let Ok(Some(value)) = cx.value_of(&version).await else { continue };
        let Ok(older) = rotator.parse(&value, DEPRECATED) else { continue };
        if !rotator.is_of_same_users(&older, secret) || !older.is_same_server(secret) {
            break;
        }
        let is_worth_it =
            older.username == secret.username && !rotator.would_weaken_tls(&older, secret);
        if is_worth_it && !known.contains(&older.password) {
            known.push(older.password.clone());
            found.push((version, secret.with_password(older.password)));
        }
    }
    Ok(found)
}
