//! Builds the connect descriptor. A value in the secret must not be able to add another server to
//! it.

use rotation_database::{Login, LoginError, TlsUse};

/// The kind of name by which the listener finds the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// A service name, which current databases have.
    Service,
    /// A system identifier (SID).
    Sid,
}

/// Returns a connect descriptor, `(DESCRIPTION=(ADDRESS=…)(CONNECT_DATA=…))`.
///
/// # Errors
/// If the host or the database contains a character that could change the rest of the descriptor.
pub(crate) fn descriptor(login: &Login<'_>, by: By) -> Result<String, LoginError> {
    let database = login.database.unwrap_or_default();
    let is_plain = |text: &str, more: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || more.contains(c))
    };
    if !is_plain(login.host, ".-_:%") {
        return Err(LoginError::DnsFailed { message: "it is not a host name".into() });
    }
    if !is_plain(database, ".-_$#") {
        return Err(LoginError::NoSuchDatabase {
            message: "it is neither a service name nor a SID".into(),
        });
    }
    let protocol = if login.tls == TlsUse::Verified { "tcps" } else { "tcp" };
    let key = match by {
        By::Service => "SERVICE_NAME",
        By::Sid => "SID",
    };
    Ok(format!(
        "(DESCRIPTION=(ADDRESS=(PROTOCOL={protocol})(HOST={})(PORT={}))\
         (CONNECT_DATA=({key}={database})))",
        login.host, login.port
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rotation_database::{CaCertificates, Password};

    fn of(host: &str, database: &str) -> Result<String, LoginError> {
        let password = Password::new("secret");
        let authorities = CaCertificates::read(&|_| None).unwrap();
        let login = Login {
            host,
            port: 1521,
            user: "u",
            password: &password,
            database: Some(database),
            tls: TlsUse::Verified,
            authorities: &authorities,
        };
        descriptor(&login, By::Service)
    }

    #[test]
    fn secret_value_cannot_change_the_descriptor() {
        assert!(
            of("db.example.com", "ORCL.example.com")
                .unwrap()
                .contains("(SERVICE_NAME=ORCL.example.com)")
        );
        assert!(of("::1", "FREE_PDB$1").is_ok());
        for part in [
            "X)(HOST=evil.example.com",
            "X))(ADDRESS=(HOST=y))",
            "a b",
            "a=b",
            "a\"b",
            "a'b",
            "a\\b",
            "",
        ] {
            assert!(matches!(of("db", part), Err(LoginError::NoSuchDatabase { .. })), "{part:?}");
            assert!(matches!(of(part, "FREE"), Err(LoginError::DnsFailed { .. })), "{part:?}");
        }
    }
}
