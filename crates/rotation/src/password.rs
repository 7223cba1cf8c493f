//! The settings for `GetRandomPassword`, which generates the new passwords.

use std::ops::RangeInclusive;

use crate::error::Result;
use crate::settings::{Source, boolean, number};

/// The range of useful password lengths (the API accepts 1 to 4096).
const LENGTHS: RangeInclusive<u32> = 8..=256;

/// The options of [GetRandomPassword][doc]. The environment variables have the same names as those
/// of AWS's own rotation functions.
///
/// [doc]: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetRandomPassword.html
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordSettings {
    /// The setting `PASSWORD_LENGTH`, in characters.
    pub length: u32,
    /// The setting `EXCLUDE_CHARACTERS`: the characters that a new password must not contain.
    pub exclude_characters: String,
    /// The setting `EXCLUDE_NUMBERS`: `true` if a new password must not contain digits.
    pub exclude_numbers: bool,
    /// The setting `EXCLUDE_PUNCTUATION`: `true` if a new password must not contain punctuation.
    pub exclude_punctuation: bool,
    /// The setting `EXCLUDE_UPPERCASE`: `true` if a new password must not contain uppercase
    /// letters.
    pub exclude_uppercase: bool,
    /// The setting `EXCLUDE_LOWERCASE`: `true` if a new password must not contain lowercase
    /// letters.
    pub exclude_lowercase: bool,
    /// The setting `REQUIRE_EACH_INCLUDED_TYPE`: `true` if a new password must contain each type of
    /// character that is not excluded. The default is `true`.
    pub require_each_included_type: bool,
}

impl PasswordSettings {
    /// Reads the settings. The defaults depend on the kind of credential.
    ///
    /// # Errors
    /// Returns [`crate::Error::Setting`] for an invalid value.
    pub fn read(source: Source<'_>, default_length: u32, default_excluded: &str) -> Result<Self> {
        Ok(Self {
            length: number(source, "PASSWORD_LENGTH", default_length, LENGTHS)?,
            exclude_characters: source("EXCLUDE_CHARACTERS")
                .unwrap_or_else(|| default_excluded.to_owned()),
            exclude_numbers: boolean(source, "EXCLUDE_NUMBERS", false)?,
            exclude_punctuation: boolean(source, "EXCLUDE_PUNCTUATION", false)?,
            exclude_uppercase: boolean(source, "EXCLUDE_UPPERCASE", false)?,
            exclude_lowercase: boolean(source, "EXCLUDE_LOWERCASE", false)?,
            require_each_included_type: boolean(source, "REQUIRE_EACH_INCLUDED_TYPE", true)?,
        })
    }
}
