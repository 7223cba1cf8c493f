//! Finds and discards the secondary password of an account ([dual passwords][dual]), which
//! `KEEP_PREVIOUS_PASSWORD` creates.
//!
//! [dual]: https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords

use crate::account::Account;
use crate::quote::Literals;
use crate::session::{Session, text};

/// Returns the accounts of a user that have a secondary password, as far as the master user can
/// read them.
///
/// Servers before MySQL 8.0.14 do not support secondary passwords and have no column for them.
pub(crate) async fn accounts_with_secondary_password(
    session: &mut Session,
    user: &str,
    literals: Literals,
) -> Vec<Account> {
    let query = format!(
        "SELECT CONVERT(Host USING utf8mb4) FROM mysql.user WHERE User = {} \
         AND JSON_CONTAINS_PATH(User_attributes, 'one', '$.additional_password')",
        literals.quote(user)
    );
    let rows = session.rows("find secondary passwords", &query).await.unwrap_or_default();
    let hosts = rows.iter().filter_map(|row| text(row, 0));
    hosts.map(|host| Account { user: user.to_owned(), host }).collect()
}

/// Discards the secondary password of an account, if it has one, after its password was changed.
/// Returns `true` if the statement succeeded.
///
/// The statement needs a privilege that the users of [`accounts_with_secondary_password`] and of
/// `KEEP_PREVIOUS_PASSWORD` have. If the privilege is missing, there is nothing to discard. A
/// failure does not fail the rotation, because the password has already been changed.
pub(crate) async fn discard(session: &mut Session, account: &Account, literals: Literals) -> bool {
    let statement = format!("ALTER USER {} DISCARD OLD PASSWORD", account.quoted(literals));
    session.try_run(&statement).await.is_ok()
}
