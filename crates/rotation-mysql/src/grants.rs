//! `SHOW GRANTS`: privileges as a set, so that two accounts can be compared and brought in step.

use std::collections::{BTreeMap, BTreeSet};

use rotation_database::EngineError;

use crate::create_user::render;
use crate::tokens::{Token, tokens, unreadable};

const ALL: &str = "ALL PRIVILEGES";

/// Everything that an account has been granted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// Object (what follows `ON`) → privileges, each with the column it is for, if any.
    objects: BTreeMap<String, Object>,
    /// Role, and whether with `ADMIN OPTION`.
    roles: BTreeMap<String, bool>,
    /// Account that may be stood in for, and whether with `GRANT OPTION`.
    proxies: BTreeMap<String, bool>,
    /// MySQL's partial revokes: object → privileges.
    restrictions: BTreeMap<String, BTreeSet<String>>,
    /// MariaDB's one default role.
    pub(crate) default_role: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Object {
    /// Privilege and column; the empty column is the whole object.
    privileges: BTreeSet<(String, String)>,
    grant_option: bool,
}

/// A statement that is to be run, without the account: that stands at `{}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The statement, with `{}` for the account.
    pub(crate) statement: String,
    /// What a master must have been granted to run it.
    pub(crate) needs: String,
}

/// Reads the rows of `SHOW GRANTS`.
///
/// # Errors
/// When one cannot be read for certain.
pub(crate) fn parse(rows: &[String]) -> Result<Grants, EngineError> {
    let mut grants = Grants::default();
    for row in rows {
        grants.read(&tokens(row)?)?;
    }
    Ok(grants)
}

impl Grants {
    fn read(&mut self, tokens: &[Token]) -> Result<(), EngineError> {
        let at = |word: &str| tokens.iter().position(|token| token.is(word));
        let between = |from: usize, to: usize| tokens.get(from..to).unwrap_or_default();
        match (tokens.first(), tokens.get(1)) {
            (Some(set), _) if set.is("SET") => {
                let to = at("FOR").ok_or_else(|| unreadable("a default role without an account"))?;
                self.default_role = Some(render(between(3, to)));
            }
            (Some(revoke), _) if revoke.is("REVOKE") => {
                let (on, from) =
                    at("ON").zip(at("FROM")).ok_or_else(|| unreadable("a REVOKE without an object"))?;
                let object = self.restrictions.entry(render(between(on + 1, from))).or_default();
                object.extend(privileges(between(1, on))?.into_iter().map(|(privilege, _)| privilege));
            }
            (Some(grant), Some(second)) if grant.is("GRANT") => {
                let to = at("TO").ok_or_else(|| unreadable("a GRANT without an account"))?;
                let tail = between(to, tokens.len());
                let option = |word: &str| tail.windows(2).any(|two| two[0].is(word) && two[1].is("OPTION"));
                match at("ON").filter(|on| *on < to) {
                    Some(on) if second.is("PROXY") => {
                        self.proxies.insert(render(between(on + 1, to)), option("GRANT"));
                    }
                    Some(on) => {
                        let object = self.objects.entry(render(between(on + 1, to))).or_default();
                        object.privileges.extend(privileges(between(1, on))?);
                        object.grant_option |= option("GRANT");
                    }
                    None => {
                        for role in between(1, to).split(|token| *token == Token::Sign(',')) {
                            self.roles.insert(render(role), option("ADMIN"));
                        }
                    }
                }
            }
            _ => return Err(unreadable("a line that is neither GRANT nor REVOKE")),
        }
        Ok(())
    }

    /// The statements that turn `self` into `wanted`. Grants come before revokes: the account may be in use.
    pub(crate) fn changes_to_become(&self, wanted: &Self) -> Vec<Change> {
        let none = Object::default();
        let mut before = Vec::new();
        let mut grants = Vec::new();
        let mut revokes = Vec::new();
        let objects: BTreeSet<_> = self.objects.keys().chain(wanted.objects.keys()).collect();
        for object in objects {
            let (has, wants) =
                (self.objects.get(object).unwrap_or(&none), wanted.objects.get(object).unwrap_or(&none));
            let all = (ALL.to_owned(), String::new());
            let mut held = has.privileges.clone();
            if held.contains(&all) && !wants.privileges.contains(&all) {
                before.push(Change {
                    statement: format!("REVOKE {ALL} ON {object} FROM {{}}"),
                    needs: format!("{ALL} ON {object}"),
                });
                held.clear();
            }
            let missing: BTreeSet<_> = wants.privileges.difference(&held).cloned().collect();
            let option = wants.grant_option && !has.grant_option;
            if !missing.is_empty() || option {
                let list = if missing.is_empty() { "USAGE".to_owned() } else { list(&missing) };
                let with = if option { " WITH GRANT OPTION" } else { "" };
                grants.push(Change {
                    statement: format!("GRANT {list} ON {object} TO {{}}{with}"),
                    needs: format!("{list} ON {object}"),
                });
            }
            let mut extra: BTreeSet<_> = held.difference(&wants.privileges).cloned().collect();
            if wants.privileges.contains(&all) {
                // Single privileges have become part of ALL.
                extra.retain(|(_, column)| !column.is_empty());
            }
            if !extra.is_empty() {
                let list = list(&extra);
                revokes.push(Change {
                    statement: format!("REVOKE {list} ON {object} FROM {{}}"),
                    needs: format!("{list} ON {object}"),
                });
            }
            if has.grant_option && !wants.grant_option {
                revokes.push(Change {
                    statement: format!("REVOKE GRANT OPTION ON {object} FROM {{}}"),
                    needs: format!("{ALL} ON {object}"),
                });
            }
        }
        self.restrict(wanted, &mut grants);
        self.roles_and_proxies(wanted, &mut grants, &mut revokes);
        [before, grants, revokes].concat()
    }

    fn restrict(&self, wanted: &Self, changes: &mut Vec<Change>) {
        let none = BTreeSet::new();
        let objects: BTreeSet<_> = self.restrictions.keys().chain(wanted.restrictions.keys()).collect();
        for object in objects {
            let has = self.restrictions.get(object).unwrap_or(&none);
            let wants = wanted.restrictions.get(object).unwrap_or(&none);
            for (verb, to, privileges) in
                [("REVOKE", "FROM", wants.difference(has)), ("GRANT", "TO", has.difference(wants))]
            {
                let list = privileges.cloned().collect::<Vec<_>>().join(", ");
                if !list.is_empty() {
                    changes.push(Change {
                        statement: format!("{verb} {list} ON {object} {to} {{}}"),
                        needs: format!("{list} ON {object}"),
                    });
                }
            }
        }
    }

    fn roles_and_proxies(&self, wanted: &Self, grants: &mut Vec<Change>, revokes: &mut Vec<Change>) {
        let mut compare =
            |has: &BTreeMap<String, bool>, wants: &BTreeMap<String, bool>, prefix: &str, option: &str| {
                for (name, with) in wants.iter().filter(|(name, with)| has.get(*name) != Some(with)) {
                    if has.contains_key(name) {
                        grants.push(Change {
                            statement: format!("REVOKE {prefix}{name} FROM {{}}"),
                            needs: format!("{prefix}{name}"),
                        });
                    }
                    let with = if *with { format!(" WITH {option} OPTION") } else { String::new() };
                    grants.push(Change {
                        statement: format!("GRANT {prefix}{name} TO {{}}{with}"),
                        needs: format!("{prefix}{name}"),
                    });
                }
                for name in has.keys().filter(|name| !wants.contains_key(*name)) {
                    revokes.push(Change {
                        statement: format!("REVOKE {prefix}{name} FROM {{}}"),
                        needs: format!("{prefix}{name}"),
                    });
                }
            };
        compare(&self.roles, &wanted.roles, "", "ADMIN");
        compare(&self.proxies, &wanted.proxies, "PROXY ON ", "GRANT");
    }
}

/// `SELECT, UPDATE (a, b), CREATE TEMPORARY TABLES` → privileges with their columns. `USAGE` is none.
fn privileges(tokens: &[Token]) -> Result<BTreeSet<(String, String)>, EngineError> {
    let mut privileges = BTreeSet::new();
    let mut words: Vec<&str> = Vec::new();
    let mut in_columns = false;
    let mut has_columns = false;
    let mut finish = |words: &mut Vec<&str>, has_columns: &mut bool| {
        let name = words.join(" ");
        if !name.is_empty() && name != "USAGE" && !*has_columns {
            privileges.insert((name, String::new()));
        }
        words.clear();
        *has_columns = false;
    };
    let mut columns = Vec::new();
    for token in tokens {
        match token {
            Token::Word(word) if !in_columns => words.push(word),
            Token::Name(column) if in_columns => {
                columns.push((words.join(" "), crate::quote::identifier(column)));
            }
            Token::Sign('(') if !in_columns => (in_columns, has_columns) = (true, true),
            Token::Sign(')') if in_columns => in_columns = false,
            Token::Sign(',') if in_columns => {}
            Token::Sign(',') => finish(&mut words, &mut has_columns),
            _ => return Err(unreadable("a list of privileges of another form")),
        }
    }
    finish(&mut words, &mut has_columns);
    privileges.extend(columns);
    Ok(privileges)
}

/// The same, written.
fn list(privileges: &BTreeSet<(String, String)>) -> String {
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut items = Vec::new();
    for (name, column) in privileges {
        if column.is_empty() {
            items.push(name.clone());
        } else {
            by_name.entry(name).or_default().push(column);
        }
    }
    items.extend(by_name.iter().map(|(name, columns)| format!("{name} ({})", columns.join(", "))));
    items.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(rows: &[&str]) -> Grants {
        parse(&rows.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    fn statements(from: &[&str], to: &[&str]) -> Vec<String> {
        grants(from).changes_to_become(&grants(to)).into_iter().map(|change| change.statement).collect()
    }

    const RICH: &[&str] = &[
        "GRANT USAGE ON *.* TO `a b`@`%` IDENTIFIED BY PASSWORD '*24' REQUIRE SSL WITH MAX_USER_CONNECTIONS 7",
        "GRANT BACKUP_ADMIN,ROLE_ADMIN ON *.* TO `a b`@`%`",
        r"GRANT SELECT, INSERT ON `d\_b`.* TO `a b`@`%` WITH GRANT OPTION",
        "GRANT SELECT (`a`), UPDATE (`a`, `b``c`) ON `d1`.`t TO x` TO `a b`@`%` WITH GRANT OPTION",
        "GRANT CREATE TEMPORARY TABLES ON `d2`.* TO `a b`@`%`",
        "GRANT EXECUTE ON PROCEDURE `sys`.`p` TO `a b`@`%`",
        "GRANT PROXY ON `root`@`localhost` TO `a b`@`%` WITH GRANT OPTION",
        "REVOKE SELECT ON `mysql`.* FROM `a b`@`%`",
        "GRANT `r1`@`%`,`r2`@`%` TO `a b`@`%` WITH ADMIN OPTION",
        "SET DEFAULT ROLE `r1` FOR `a b`@`%`",
    ];

    #[test]
    fn everything_is_granted_to_one_that_has_nothing() {
        assert_eq!(
            statements(&[], RICH),
            [
                "GRANT BACKUP_ADMIN, ROLE_ADMIN ON *.* TO {}",
                "GRANT EXECUTE ON PROCEDURE `sys`.`p` TO {}",
                "GRANT SELECT (`a`), UPDATE (`a`, `b``c`) ON `d1`.`t TO x` TO {} WITH GRANT OPTION",
                "GRANT CREATE TEMPORARY TABLES ON `d2`.* TO {}",
                r"GRANT INSERT, SELECT ON `d\_b`.* TO {} WITH GRANT OPTION",
                "REVOKE SELECT ON `mysql`.* FROM {}",
                "GRANT `r1`@`%` TO {} WITH ADMIN OPTION",
                "GRANT `r2`@`%` TO {} WITH ADMIN OPTION",
                "GRANT PROXY ON `root`@`localhost` TO {} WITH GRANT OPTION",
            ]
        );
        assert_eq!(grants(RICH).default_role.as_deref(), Some("`r1`"));
    }

    #[test]
    fn two_that_are_alike_need_nothing() {
        assert!(statements(RICH, RICH).is_empty());
    }

    #[test]
    fn what_is_revoked_from_one_leaves_the_other() {
        assert_eq!(
            statements(
                &["GRANT SELECT, INSERT ON `d`.* TO `x`@`%` WITH GRANT OPTION", "GRANT `r` TO `x`@`%`"],
                &["GRANT SELECT ON `d`.* TO `a`@`%`"]
            ),
            ["REVOKE INSERT ON `d`.* FROM {}", "REVOKE GRANT OPTION ON `d`.* FROM {}", "REVOKE `r` FROM {}"]
        );
    }

    #[test]
    fn all_privileges_become_some_and_some_become_all() {
        let all = &["GRANT ALL PRIVILEGES ON `d`.* TO `x`@`%`"][..];
        let some = &["GRANT SELECT ON `d`.* TO `x`@`%`"][..];
        assert_eq!(
            statements(all, some),
            ["REVOKE ALL PRIVILEGES ON `d`.* FROM {}", "GRANT SELECT ON `d`.* TO {}"]
        );
        assert_eq!(statements(some, all), ["GRANT ALL PRIVILEGES ON `d`.* TO {}"]);
    }
}
