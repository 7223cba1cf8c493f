//! The names of users and of the objects that they may use.
//!
//! The rules are in [Database Object Names and Qualifiers][rules].
//!
//! [rules]: https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/Database-Object-Names-and-Qualifiers.html

use std::fmt;

/// A name in the form that the data dictionary has.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Returns the name for a user name in a secret. A name without quotes is folded to upper case,
    /// as the server does.
    ///
    /// Returns `None` if the name contains a quote, which no name can contain.
    pub fn written(text: &str) -> Option<Self> {
        let quoted = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|name| !name.is_empty());
        Self::known(match quoted {
            Some(name) => name.to_owned(),
            None => text.chars().map(upper).collect(),
        })
    }

    /// Returns the name for a name from the data dictionary, or `None` if no statement can contain
    /// it.
    pub(crate) fn known(name: String) -> Option<Self> {
        (!name.contains(['"', '\0'])).then_some(Self(name))
    }

    /// Returns the name in the form that the data dictionary has.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Folds a character to upper case. The server only replaces one character with one character.
fn upper(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

/// Writes the name in quotes, for a statement.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn name_without_quotes_is_folded() {
        for (written, known) in [
            ("app", "APP"),
            ("App_1$#", "APP_1$#"),
            ("\"App\"", "App"),
            ("größe", "GRÖßE"),
            ("\"\"", ""),
        ] {
            match Name::written(written) {
                Some(name) => assert_eq!(name.as_str(), known),
                None => assert_eq!(known, ""),
            }
        }
        assert_eq!(Name::written("a\"b"), None);
        assert_eq!(Name::written("\"a\"b\""), None);
    }

    proptest! {
        #[test]
        fn quoted_name_has_two_quotes_only(text in "(?s).{0,30}") {
            if let Some(name) = Name::written(&text) {
                let quoted = name.to_string();
                prop_assert_eq!(quoted.matches('"').count(), 2);
                prop_assert!(quoted.starts_with('"') && quoted.ends_with('"'));
            }
        }
    }
}
