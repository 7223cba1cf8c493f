//! Accounts: an account is a user *and* a host.

use crate::quote::Literals;

/// An account, which MySQL writes as `'user'@'host'`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// The name of the user.
    pub user: String,
    /// The host part, which may contain the wildcards `%` and `_`.
    pub host: String,
}

impl Account {
    /// Parses the result of `CURRENT_USER()`. A user name may contain `@`, a host part may not.
    pub fn from_current_user(text: &str) -> Option<Self> {
        let (user, host) = text.rsplit_once('@')?;
        Some(Self { user: user.to_owned(), host: host.to_owned() })
    }

    /// Returns the account of another user for the same host.
    pub fn of_user(&self, user: &str) -> Self {
        Self { user: user.to_owned(), host: self.host.clone() }
    }

    /// Returns the account, quoted for a statement.
    pub fn quoted(&self, literals: Literals) -> String {
        format!("{}@{}", literals.quote(&self.user), literals.quote(&self.host))
    }
}

impl std::fmt::Display for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}'@'{}'", self.user, self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_follows_the_last_at_sign() {
        let account = Account::from_current_user("a@b@10.0.%").unwrap();
        assert_eq!((account.user.as_str(), account.host.as_str()), ("a@b", "10.0.%"));
        assert_eq!(account.quoted(Literals::BackslashEscapes), "'a@b'@'10.0.%'");
    }
}
