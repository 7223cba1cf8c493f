//! Secret text in memory: zeroed when dropped, and without a `Debug` that shows it.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::redact;

/// The `SecretString` of one version.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretValue(String);

impl SecretValue {
    /// Takes the text of a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text. Whoever calls this sees the secret.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(****)")
    }
}

/// A password, or any other text that must not be shown.
///
/// Every password that is made is remembered, for as long as the invocation lasts, by the mask that
/// all output of the function passes through (see [`crate::mask`]).
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Takes the text of a password.
    pub fn new(text: impl Into<String>) -> Self {
        let password = Self(text.into());
        redact::remember(&password.0);
        password
    }

    /// The text. Whoever calls this sees the password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(****)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_a_secret_nor_a_password() {
        assert!(!format!("{:?}", SecretValue::new("hunter2")).contains("hunter2"));
        assert!(!format!("{:?}", Password::new("hunter2")).contains("hunter2"));
    }
}
