//! Computes the form in which MariaDB stores a password. If a statement contains this form, the
//! server's log never contains the password.
//!
//! The form is that of [PASSWORD()]: an asterisk and `SHA1(SHA1(password))` in upper-case
//! hexadecimal digits.
//!
//! [PASSWORD()]: https://mariadb.com/docs/server/reference/sql-functions/secondary-functions/encryption-hashing-and-compression-functions/password

use sha1::{Digest, Sha1};

/// Returns the hash of a password for `mysql_native_password`.
pub fn native_hash(password: &str) -> String {
    let twice = Sha1::digest(Sha1::digest(password));
    twice.iter().fold("*".to_owned(), |text, byte| format!("{text}{byte:02X}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn native_hash_matches_manual() {
        // SELECT PASSWORD('password')
        assert_eq!(super::native_hash("password"), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    }
}
