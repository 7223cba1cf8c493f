//! The second password of an account ([dual passwords]).
//!
//! [dual passwords]: https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords

use crate::session::Session;

/// Discards the second passwords of accounts, if there are any, after their password was changed.
///
/// Only `KEEP_PREVIOUS_PASSWORD` leaves such passwords, and it needs a privilege that other users do
/// not have: where it is missing, and on servers that know no second password, there is nothing to
/// discard. The password was changed, so a failure here is not one of the rotation.
pub(crate) async fn discard(session: &mut Session, accounts: &[String]) {
    let named: Vec<_> = accounts.iter().map(|name| format!("{name} DISCARD OLD PASSWORD")).collect();
    let _ = session.try_run(&format!("ALTER USER {}", named.join(", "))).await;
}
