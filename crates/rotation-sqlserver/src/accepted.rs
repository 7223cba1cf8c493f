//! The setting `ACCEPT_DDL_TRIGGERS`: the DDL triggers that may run with the master user's
//! privileges.

use rotation::settings::{Source, boolean};
use rotation::{Error, Result};

use crate::scope::Scope;

/// The environment variable that lists the accepted triggers.
pub(crate) const SETTING: &str = "ACCEPT_DDL_TRIGGERS";

/// The DDL triggers that the operator accepts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Accepted {
    /// No trigger, which is the default.
    #[default]
    None,
    /// Every trigger of the server and of its databases.
    All,
    /// These triggers: a database and a name, or only a name for a trigger of the server.
    These(Vec<(Option<String>, String)>),
}

impl Accepted {
    /// Reads the setting: a Boolean, or names separated by commas, such as
    /// `[shop].[audit],server_audit`.
    pub(crate) fn read(source: Source<'_>) -> Result<Self> {
        let Some(value) = source(SETTING) else { return Ok(Self::None) };
        match boolean(source, SETTING, false) {
            Ok(true) => return Ok(Self::All),
            Ok(false) => return Ok(Self::None),
            Err(_) => {}
        }
        let names = split(&value, ',')
            .and_then(|items| items.into_iter().map(trigger).collect::<Option<Vec<_>>>())
            .ok_or_else(|| Error::Setting {
                name: SETTING,
                fault: format!(
                    "{value:?} is not true, false or a comma-separated list of triggers. Write \
                     [database].[trigger] for a trigger of a database, and [trigger] for a trigger \
                     of the server"
                ),
            })?;
        Ok(Self::These(names))
    }

    /// Returns `true` if a trigger of a scope is accepted. Names must be spelled exactly as on the
    /// server, because a server may distinguish `audit` and `Audit`.
    pub(crate) fn holds(&self, scope: Scope<'_>, name: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::These(names) => names.iter().any(|(database, trigger)| {
                let is_there = match (database, scope) {
                    (None, Scope::Server) => true,
                    (Some(database), Scope::Database(here)) => database == here,
                    _ => false,
                };
                is_there && trigger == name
            }),
        }
    }
}

fn trigger(item: String) -> Option<(Option<String>, String)> {
    let parts = split(&item, '.')?.into_iter().map(name).collect::<Option<Vec<_>>>()?;
    match parts.as_slice() {
        [trigger] => Some((None, trigger.clone())),
        [database, trigger] => Some((Some(database.clone()), trigger.clone())),
        _ => None,
    }
}

/// Parses an identifier, with or without brackets.
fn name(part: String) -> Option<String> {
    let part = part.trim();
    let name = match part.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']')?.replace("]]", "]"),
        None => part.to_owned(),
    };
    (!name.is_empty()).then_some(name)
}

/// Splits a text at each separator that is not inside brackets. Returns `None` if a closing bracket
/// is missing.
fn split(text: &str, separator: char) -> Option<Vec<String>> {
    let (mut parts, mut part, mut is_inside) = (Vec::new(), String::new(), false);
    for character in text.chars() {
        match character {
            // A doubled bracket closes the identifier and opens it again.
            '[' if !is_inside => is_inside = true,
            ']' => is_inside = !is_inside,
            _ => {}
        }
        if character == separator && !is_inside {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(character);
        }
    }
    parts.push(part);
    (!is_inside).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quote::identifier;

    fn read(value: &str) -> Result<Accepted> {
        Accepted::read(&|_| Some(value.to_owned()))
    }

    #[test]
    fn trigger_name_is_of_one_database_or_the_server() {
        let accepted = read(" shop.audit , [a.b].[c,d]]e],server_audit").unwrap();
        for (scope, name, expected) in [
            (Scope::Database("shop"), "audit", true),
            (Scope::Database("SHOP"), "audit", false),
            (Scope::Database("shop"), "Audit", false),
            (Scope::Database("other"), "audit", false),
            (Scope::Server, "audit", false),
            (Scope::Database("a.b"), "c,d]e", true),
            (Scope::Server, "server_audit", true),
            (Scope::Database("shop"), "server_audit", false),
        ] {
            assert_eq!(accepted.holds(scope, name), expected, "{scope:?} {name}");
        }
        let name = "it]s [a], trigger.";
        let quoted = format!("{}.{}", identifier("d"), identifier(name));
        assert!(read(&quoted).unwrap().holds(Scope::Database("d"), name), "{quoted}");
    }

    #[test]
    fn boolean_accepts_all_or_no_triggers() {
        assert!(read("True").unwrap().holds(Scope::Server, "any"));
        assert!(read("yes").unwrap().holds(Scope::Database("d"), "any"));
        assert_eq!(read("false").unwrap(), Accepted::None);
        assert_eq!(Accepted::read(&|_| None).unwrap(), Accepted::None);
    }

    #[test]
    fn error_for_invalid_value_names_the_variable() {
        for value in ["a,,b", "a.b.c", "[a", "a.", ".b", "[a]b", "a]", " , "] {
            let error = read(value).unwrap_err();
            assert_eq!(error.error_type(), "InvalidSetting");
            assert!(error.to_string().contains(SETTING), "{value}: {error}");
        }
    }
}
