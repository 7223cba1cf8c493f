//! The settings with which the sessions of a role start (`ALTER ROLE … [IN DATABASE …] SET`).

use std::collections::BTreeMap;

use rotation_database::EngineError;
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::failure::failure;
use crate::quote::{identifier, literal};

/// The settings of one role by database and name, as the catalog stores them. The database is
/// `None` for settings that apply to all databases.
pub(crate) type Settings = BTreeMap<Option<String>, BTreeMap<String, String>>;

/// The query for all settings of two roles.
pub(crate) const QUERY: &str = "SELECT r.rolname::text, d.datname::text AS database, \
    unnest(s.setconfig) AS setting \
    FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole \
    LEFT JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase \
    WHERE r.rolname::text IN ($1, $2) AND (s.setdatabase = 0 OR d.oid IS NOT NULL)";

/// Sorts the rows of [`QUERY`] by role.
pub(crate) fn read(rows: &[PgRow]) -> Result<BTreeMap<String, Settings>, EngineError> {
    let mut roles: BTreeMap<String, Settings> = BTreeMap::new();
    for row in rows {
        let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get::<String, _>(2)?));
        let (role, database, setting): (String, Option<String>, String) =
            read().map_err(|error| failure(&error, "read the settings of the roles", None))?;
        if let Some((name, value)) = setting.split_once('=') {
            let settings = roles.entry(role).or_default().entry(database).or_default();
            settings.insert(name.to_owned(), value.to_owned());
        }
    }
    Ok(roles)
}

/// Returns the settings of the alternate role: those of the base role, and `role` with the base
/// role, so that everything that the alternate role creates belongs to the base role. If the base
/// role has a `role` setting, the alternate role gets that one.
pub(crate) fn for_alternate(base: &str, settings: &Settings) -> Settings {
    let mut wanted = settings.clone();
    wanted.entry(None).or_default().entry("role".into()).or_insert_with(|| base.to_owned());
    wanted
}

/// One change of a role's settings.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The name of the setting, such as `search_path`.
    pub(crate) name: String,
    /// The database in which the setting applies, or `None` for all.
    database: Option<String>,
    /// The part of the statement after `ALTER ROLE name `.
    pub(crate) clause: String,
}

impl Change {
    /// Returns the setting and the database in which it applies, for messages.
    pub(crate) fn place(&self) -> String {
        match &self.database {
            None => self.name.clone(),
            Some(database) => format!("{} in database {database}", self.name),
        }
    }
}

/// Returns the changes that turn `from` into `to`.
pub(crate) fn changes(from: &Settings, to: &Settings) -> Vec<Change> {
    let mut changes = Vec::new();
    let none = BTreeMap::new();
    let databases: std::collections::BTreeSet<_> = from.keys().chain(to.keys()).collect();
    for database in databases {
        let (has, wants) = (from.get(database).unwrap_or(&none), to.get(database).unwrap_or(&none));
        let place = match database {
            None => String::new(),
            Some(database) => format!("IN DATABASE {} ", identifier(database)),
        };
        for name in has.keys().filter(|name| !wants.contains_key(*name)) {
            changes.push(Change {
                name: name.clone(),
                database: database.clone(),
                clause: format!("{place}RESET {}", identifier(name)),
            });
        }
        for (name, value) in wants.iter().filter(|(name, value)| has.get(*name) != Some(value)) {
            let clause =
                format!("{place}SET {} TO {}", identifier(name), value_clause(name, value));
            changes.push(Change { name: name.clone(), database: database.clone(), clause });
        }
    }
    changes
}

/// The settings whose stored value is a list of quoted identifiers (`variable_is_guc_list_quote` in
/// `pg_dump`). If such a list were set as one literal, it would become a single element.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

fn value_clause(name: &str, value: &str) -> String {
    if !LISTS.contains(&name) {
        return literal(value);
    }
    let elements: Vec<_> = split_list(value).iter().map(|element| literal(element)).collect();
    if elements.is_empty() { literal("") } else { elements.join(", ") }
}

/// Splits a stored list. The elements are separated by commas, and quoted like identifiers if
/// necessary.
fn split_list(list: &str) -> Vec<String> {
    let mut elements = Vec::new();
    let mut characters = list.chars().peekable();
    loop {
        while characters.next_if(|c| c.is_whitespace()).is_some() {}
        let mut element = String::new();
        if characters.next_if_eq(&'"').is_some() {
            while let Some(character) = characters.next() {
                if character == '"' && characters.next_if_eq(&'"').is_none() {
                    break;
                }
                element.push(character);
            }
            while characters.next_if(|c| *c != ',').is_some() {}
        } else {
            while let Some(character) = characters.next_if(|c| *c != ',') {
                element.push(character);
            }
            element.truncate(element.trim_end().len());
            if element.is_empty() && elements.is_empty() && characters.peek().is_none() {
                return elements;
            }
        }
        elements.push(element);
        if characters.next().is_none() {
            return elements;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(entries: &[(Option<&str>, &str, &str)]) -> Settings {
        let mut settings = Settings::new();
        for (database, name, value) in entries {
            settings
                .entry(database.map(str::to_owned))
                .or_default()
                .insert(name.to_string(), value.to_string());
        }
        settings
    }

    #[test]
    fn alternate_acts_as_the_same_role_as_its_base() {
        let plain = for_alternate("app", &Settings::new());
        assert_eq!(plain[&None]["role"], "app");
        let other = for_alternate("app", &settings(&[(None, "role", "app_owner")]));
        assert_eq!(other[&None]["role"], "app_owner");
    }

    #[test]
    fn changes_convert_settings_and_keep_equal_ones() {
        let from = settings(&[
            (None, "work_mem", "4MB"),
            (None, "role", "app"),
            (Some("shop"), "app.tenant", "1"),
        ]);
        let to = settings(&[
            (None, "role", "app"),
            (None, "search_path", r#""$user", "A ""b", public"#),
            (Some("shop"), "app.tenant", "o'2"),
        ]);
        let clauses: Vec<_> = changes(&from, &to).into_iter().map(|change| change.clause).collect();
        assert_eq!(
            clauses,
            [
                r#"RESET "work_mem""#,
                r#"SET "search_path" TO '$user', 'A "b', 'public'"#,
                r#"IN DATABASE "shop" SET "app.tenant" TO 'o''2'"#,
            ]
        );
        assert_eq!(changes(&to, &to), []);
    }

    #[test]
    fn empty_list_and_empty_element_are_distinguished() {
        assert_eq!(value_clause("search_path", ""), "''");
        assert_eq!(split_list(r#""""#), [""]);
        assert_eq!(split_list(r#"a , "b, c""#), ["a", "b, c"]);
    }
}
