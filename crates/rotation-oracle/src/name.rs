//! Names of users and of what they may use.
//!
//! [Database object
//! names](https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/Database-Object-Names-and-Qualifiers.html).

use std::fmt;

/// A name as the dictionary has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// A user name as somebody has written it: without quotes it is folded to upper case, as the
    /// server does.
    ///
    /// `None` when it has a quote inside, which no name can have.
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

    /// A name that the dictionary has shown.
    pub(crate) fn known(name: String) -> Option<Self> {
        (!name.contains(['"', '\0'])).then_some(Self(name))
    }

    /// As the dictionary has it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One character for one: the server knows no other way of folding.
fn upper(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

/// In quotes, as it stands in a statement.
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
    fn without_quotes_a_name_is_folded() {
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
        fn a_name_never_ends_its_quotes(text in "(?s).{0,30}") {
            if let Some(name) = Name::written(&text) {
                let quoted = name.to_string();
                prop_assert_eq!(quoted.matches('"').count(), 2);
                prop_assert!(quoted.starts_with('"') && quoted.ends_with('"'));
            }
        }
    }
}
