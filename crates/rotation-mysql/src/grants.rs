//! `SHOW GRANTS`: the privileges of an account as a set, so that two accounts can be compared and
//! synced.

mod enough;

use std::collections::{BTreeMap, BTreeSet};

use rotation_database::EngineError;

use crate::create_user::render;
use crate::tokens::{Token, tokens, unreadable};

const ALL: &str = "ALL PRIVILEGES";

/// All privileges and roles that were granted to an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grants {
    /// The privileges on each object. The key is the part of the statement after `ON`.
    objects: BTreeMap<String, Object>,
    /// The [dynamic privileges][dynamic] of MySQL, each with `true` if it has `GRANT OPTION`.
    ///
    /// [dynamic]: https://dev.mysql.com/doc/refman/8.4/en/privileges-provided.html#privileges-provided-dynamic
    dynamic: BTreeMap<String, bool>,
    /// The roles, each with `true` if it has `ADMIN OPTION`.
    roles: BTreeMap<String, bool>,
    /// The accounts that this account may act as (`GRANT PROXY`), each with `true` if it has
    /// `GRANT OPTION`.
    proxies: BTreeMap<String, bool>,
    /// The partial revokes of MySQL: the revoked privileges on each object.
    restrictions: BTreeMap<String, BTreeSet<String>>,
    /// The only default role of MariaDB.
    pub(crate) default_role: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Object {
    privileges: BTreeSet<Privilege>,
    grant_option: bool,
}

/// A privilege on an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Privilege {
    /// The name, such as `SELECT`.
    name: String,
    /// The quoted name of a column, or `None` for the whole object.
    column: Option<String>,
}

/// A statement that changes the privileges of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    before: String,
    after: String,
    /// The privilege that the master user must have with `needs_option` to run the statement.
    pub(crate) needs: String,
    pub(crate) needs_option: &'static str,
    /// `true` if it takes privileges away.
    pub(crate) revokes: bool,
    /// `true` if it temporarily revokes privileges that the account is to keep, or grants them
    /// again after that.
    pub(crate) interrupts: bool,
    /// `true` if it is a partial revoke. When a master user with partial revokes grants privileges,
    /// MySQL may add these partial revokes to the account. The partial revokes that are still
    /// missing are therefore known only after the grants.
    pub(crate) restricts: bool,
    /// The object of a grant on a database, table or routine, and the column of a grant on a
    /// column.
    pub(crate) on: Option<(String, Option<String>)>,
}

const GRANT_OPTION: &str = " WITH GRANT OPTION";
const ADMIN_OPTION: &str = " WITH ADMIN OPTION";

impl Change {
    fn grant(what: String, option: &'static str, with: bool) -> Self {
        Self {
            before: format!("GRANT {what} TO "),
            after: if with { option.to_owned() } else { String::new() },
            needs: what,
            needs_option: option,
            revokes: false,
            interrupts: false,
            restricts: false,
            on: None,
        }
    }

    fn revoke(what: String, option: &'static str) -> Self {
        Self {
            before: format!("REVOKE {what} FROM "),
            after: String::new(),
            needs: what,
            needs_option: option,
            revokes: true,
            interrupts: false,
            restricts: false,
            on: None,
        }
    }

    fn on(self, object: &str, column: Option<&str>) -> Self {
        Self { on: Some((object.to_owned(), column.map(str::to_owned))), ..self }
    }

    fn interrupting(self) -> Self {
        Self { interrupts: true, ..self }
    }

    /// Returns the statement. The caller quotes `account`, unless the statement is only for a
    /// message.
    pub(crate) fn statement(&self, account: &str) -> String {
        format!("{}{account}{}", self.before, self.after)
    }
}

/// Parses the rows of `SHOW GRANTS`.
///
/// # Errors
/// Returns an error if a row cannot be parsed reliably.
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
                let to =
                    at("FOR").ok_or_else(|| unreadable("a default role without an account"))?;
                self.default_role = Some(render(between(3, to)));
            }
            (Some(revoke), _) if revoke.is("REVOKE") => {
                let (on, from) = at("ON")
                    .zip(at("FROM"))
                    .ok_or_else(|| unreadable("a REVOKE without an object"))?;
                let object = self.restrictions.entry(render(between(on + 1, from))).or_default();
                object.extend(privileges(between(1, on))?.into_iter().map(|one| one.name));
            }
            (Some(grant), Some(second)) if grant.is("GRANT") => {
                let to = at("TO").ok_or_else(|| unreadable("a GRANT without an account"))?;
                let tail = between(to, tokens.len());
                let option =
                    |word: &str| tail.windows(2).any(|two| two[0].is(word) && two[1].is("OPTION"));
                match at("ON").filter(|on| *on < to) {
                    Some(on) if second.is("PROXY") => {
                        self.proxies.insert(render(between(on + 1, to)), option("GRANT"));
                    }
                    Some(on) => {
                        let (dynamic, usual): (BTreeSet<_>, BTreeSet<_>) =
                            privileges(between(1, on))?
                                .into_iter()
                                .partition(|one| is_dynamic(&one.name));
                        for Privilege { name, .. } in &dynamic {
                            *self.dynamic.entry(name.clone()).or_default() |= option("GRANT");
                        }
                        if !usual.is_empty() || dynamic.is_empty() {
                            let object =
                                self.objects.entry(render(between(on + 1, to))).or_default();
                            object.privileges.extend(usual);
                            object.grant_option |= option("GRANT");
                        }
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

    /// Returns `true` if there are privileges on a routine that `other` does not have.
    pub(crate) fn has_other_routines(&self, other: &Self) -> bool {
        let is_routine = |object: &str| !object.starts_with(['`', '*']);
        self.objects.iter().any(|(object, has)| {
            is_routine(object) && other.objects.get(object).is_none_or(|other| other != has)
        })
    }

    /// Returns the privileges of `self` on a routine that the server grants to the creator of a
    /// routine.
    pub(crate) fn of_creator(&self, routine: &str) -> Self {
        let is_given = |one: &&Privilege| ["EXECUTE", "ALTER ROUTINE"].contains(&one.name.as_str());
        let mut given = Self::default();
        if let Some(object) = self.objects.get(routine) {
            let privileges: BTreeSet<_> =
                object.privileges.iter().filter(is_given).cloned().collect();
            let object = Object { privileges, grant_option: false };
            given
                .objects
                .extend((!object.privileges.is_empty()).then(|| (routine.to_owned(), object)));
        }
        given
    }

    /// Adds the privileges on objects of `more`.
    pub(crate) fn extend(&mut self, more: &Self) {
        for (object, privileges) in &more.objects {
            self.objects
                .entry(object.clone())
                .or_default()
                .privileges
                .extend(privileges.privileges.clone());
        }
    }

    /// Returns the statements that turn `self` into `wanted`. Grants precede revokes, because
    /// applications may be using the account. Statements that interrupt the account come first,
    /// with [`Change::interrupts`].
    pub(crate) fn changes_to(&self, wanted: &Self) -> Vec<Change> {
        let mut changes = Changes::default();
        self.objects(wanted, &mut changes);
        self.restrict(wanted, &mut changes);
        changes.options(&self.dynamic, &wanted.dynamic, ("", " ON *.*"), GRANT_OPTION);
        changes.options(&self.roles, &wanted.roles, ("", ""), ADMIN_OPTION);
        changes.options(&self.proxies, &wanted.proxies, ("PROXY ON ", ""), GRANT_OPTION);
        [changes.interrupting, changes.grants, changes.revokes].concat()
    }

    fn objects(&self, wanted: &Self, changes: &mut Changes) {
        let none = Object::default();
        let all = Privilege { name: ALL.to_owned(), column: None };
        let objects: BTreeSet<_> = self.objects.keys().chain(wanted.objects.keys()).collect();
        for object in objects {
            let (has, wants) = (
                self.objects.get(object).unwrap_or(&none),
                wanted.objects.get(object).unwrap_or(&none),
            );
            let on = |privileges: &str| format!("{privileges} ON {object}");
            let mut held = has.privileges.clone();
            let narrows = held.contains(&all) && !wants.privileges.contains(&all);
            if narrows {
                changes.interrupting.push(Change::revoke(on(ALL), GRANT_OPTION).interrupting());
                held.clear();
            }
            // One statement per column, because the grant on a column that was dropped fails and
            // must not prevent the grants on other columns.
            let mut missing: BTreeMap<Option<&str>, BTreeSet<_>> = BTreeMap::new();
            for privilege in wants.privileges.difference(&held) {
                missing.entry(privilege.column.as_deref()).or_default().insert(privilege.clone());
            }
            let option = wants.grant_option && !has.grant_option;
            if option && missing.is_empty() {
                changes
                    .grants
                    .push(Change::grant(on("USAGE"), GRANT_OPTION, true).on(object, None));
            }
            for (column, privileges) in missing {
                let grant = Change::grant(on(&list(&privileges)), GRANT_OPTION, option);
                let grant = if narrows { grant.interrupting() } else { grant };
                changes.grants.push(grant.on(object, column));
            }
            let mut extra: BTreeSet<_> = held.difference(&wants.privileges).cloned().collect();
            if wants.privileges.contains(&all) {
                // ALL includes the single privileges.
                extra.retain(|one| one.column.is_some());
            }
            if !extra.is_empty() {
                changes.revokes.push(Change::revoke(on(&list(&extra)), GRANT_OPTION));
            }
            if has.grant_option && !wants.grant_option {
                let revoke = Change::revoke(on("GRANT OPTION"), GRANT_OPTION);
                changes.revokes.push(Change { needs: on(ALL), ..revoke });
            }
        }
    }

    fn restrict(&self, wanted: &Self, changes: &mut Changes) {
        let none = BTreeSet::new();
        let objects: BTreeSet<_> =
            self.restrictions.keys().chain(wanted.restrictions.keys()).collect();
        for object in objects {
            let has = self.restrictions.get(object).unwrap_or(&none);
            let wants = wanted.restrictions.get(object).unwrap_or(&none);
            let on = |privileges: Vec<&str>| format!("{} ON {object}", privileges.join(", "));
            let [taken, given] = [wants.difference(has), has.difference(wants)]
                .map(|privileges| privileges.map(String::as_str).collect::<Vec<_>>());
            if !taken.is_empty() {
                let revoke = Change::revoke(on(taken), GRANT_OPTION);
                changes.grants.push(Change { restricts: true, ..revoke });
            }
            if !given.is_empty() {
                changes.grants.push(Change::grant(on(given), GRANT_OPTION, false));
            }
        }
    }
}

#[derive(Default)]
struct Changes {
    interrupting: Vec<Change>,
    grants: Vec<Change>,
    revokes: Vec<Change>,
}

impl Changes {
    /// Adds the changes of privileges or roles that are granted one by one, each with or without an
    /// option. Removing only the option requires a revoke and a new grant.
    fn options(
        &mut self,
        has: &BTreeMap<String, bool>,
        wants: &BTreeMap<String, bool>,
        (prefix, suffix): (&str, &str),
        option: &'static str,
    ) {
        let what = |name: &str| format!("{prefix}{name}{suffix}");
        for (name, with) in wants.iter().filter(|(name, with)| has.get(*name) != Some(with)) {
            let mut grant = Change::grant(what(name), option, *with);
            if has.get(name) == Some(&true) {
                self.interrupting.push(Change::revoke(what(name), option).interrupting());
                grant = grant.interrupting();
            }
            self.grants.push(grant);
        }
        for name in has.keys().filter(|name| !wants.contains_key(*name)) {
            self.revokes.push(Change::revoke(what(name), option));
        }
    }
}

/// Returns `true` if a privilege is a dynamic one. In MySQL, the names of dynamic privileges, and
/// no others, have underscores and no blanks. MariaDB has no dynamic privileges.
fn is_dynamic(name: &str) -> bool {
    name.contains('_') && !name.contains(' ')
}

/// Parses a list such as `SELECT, UPDATE (a, b), CREATE TEMPORARY TABLES` into privileges with
/// their columns. `USAGE` means no privilege.
fn privileges(tokens: &[Token]) -> Result<BTreeSet<Privilege>, EngineError> {
    let mut privileges = BTreeSet::new();
    let mut words: Vec<&str> = Vec::new();
    let mut in_columns = false;
    let mut has_columns = false;
    let mut finish = |words: &mut Vec<&str>, has_columns: &mut bool| {
        let name = words.join(" ");
        if !name.is_empty() && name != "USAGE" && !*has_columns {
            privileges.insert(Privilege { name, column: None });
        }
        words.clear();
        *has_columns = false;
    };
    let mut columns = Vec::new();
    for token in tokens {
        match token {
            Token::Word(word) if !in_columns => words.push(word),
            Token::Name(column) if in_columns => {
                let column = Some(crate::quote::identifier(column));
                columns.push(Privilege { name: words.join(" "), column });
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

/// Writes privileges in the syntax that [`privileges`] parses.
fn list(privileges: &BTreeSet<Privilege>) -> String {
    let mut by_name: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut items = Vec::new();
    for Privilege { name, column } in privileges {
        match column {
            Some(column) => by_name.entry(name).or_default().push(column),
            None => items.push(name.clone()),
        }
    }
    items.extend(by_name.iter().map(|(name, columns)| format!("{name} ({})", columns.join(", "))));
    items.join(", ")
}

#[cfg(test)]
mod tests;
