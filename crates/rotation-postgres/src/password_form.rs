//! `POSTGRES_PASSWORD_FORM`: the form in which the function sends new passwords.

use rotation::settings::{Source, choice};

/// The environment variable that selects a [`PasswordForm`].
pub(crate) const SETTING: &str = "POSTGRES_PASSWORD_FORM";

/// The form in which the function sends a new password to the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum PasswordForm {
    /// A verifier, which is the default.
    #[default]
    Hashed,
    /// The cleartext password, for servers that reject a verifier.
    Cleartext,
}

impl PasswordForm {
    /// Reads the form from the environment variable [`SETTING`].
    pub(crate) fn read(source: Source<'_>) -> rotation::Result<Self> {
        let forms = [("hashed", Self::Hashed), ("cleartext", Self::Cleartext)];
        Ok(choice(source, SETTING, &forms)?.unwrap_or_default())
    }
}
