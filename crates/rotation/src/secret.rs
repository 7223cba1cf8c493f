//! Types for secret text. They zero their memory when dropped, and `Debug` does not show the text.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::redact;

/// The `SecretString` of one version.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretValue(String);

impl SecretValue {
    /// Wraps the text of a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the secret text.
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
/// Until the end of the invocation, the function redacts every `Password` in all its output (see
/// [`crate::mask`]).
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    /// Wraps the text of a password and registers it for redaction.
    pub fn new(text: impl Into<String>) -> Self {
        let password = Self(text.into());
        redact::remember(&password.0);
        password
    }

    /// Returns the cleartext password, which the `Debug` output hides.
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
