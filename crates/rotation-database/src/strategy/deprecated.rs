//! The passwords of deprecated versions, which cancelled rotations may have set in the database.

use rotation::{Context, Password, Result, VersionId};

use crate::database::Database;
use crate::engine::Engine;
use crate::secret::DatabaseSecret;

/// The maximum number of deprecated versions that are tried. Together with the three labelled
/// versions, the server rejects at most five passwords.
const MAX_VERSIONS: usize = 2;

/// The name of such a version in errors.
pub(crate) const DEPRECATED: &str = "a deprecated version";

/// Returns the credentials of deprecated versions for the same user and server whose password is
/// not one of the known ones, newest first. Only the password comes from the version. `secret`
/// determines the server and the use of TLS.
///
/// The search ends at the first version for other users or another server. A writer of the secret
/// must not get access to credentials that the secret contained for a different owner.
///
/// # Errors
/// Returns an error if the versions cannot be listed.
pub(crate) async fn credentials<E: Engine>(
    database: &Database<E>,
    cx: &Context<'_>,
    secret: &DatabaseSecret,
    mut known: Vec<Password>,
) -> Result<Vec<(VersionId, DatabaseSecret)>> {
    let mut found = Vec::new();
    for version in cx.earlier().await? {
        if found.len() == MAX_VERSIONS {
            break;
        }
        let Ok(Some(value)) = cx.value_of(&version).await else { continue };
        let Ok(older) = database.parse(&value, DEPRECATED) else { continue };
        if !database.is_of_same_users(&older, secret) || !older.is_same_server(secret) {
            break;
        }
        let is_worth_trying =
            older.username == secret.username && !database.would_weaken_tls(&older, secret);
        if is_worth_trying && !known.contains(&older.password) {
            known.push(older.password.clone());
            found.push((version, secret.with_password(older.password)));
        }
    }
    Ok(found)
}
