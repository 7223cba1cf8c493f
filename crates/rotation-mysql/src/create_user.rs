//! `SHOW CREATE USER`: the options of an account, without its password and its privileges.

mod attribute;
mod in_use;

use std::collections::BTreeMap;

use rotation_database::{EngineError, administrator};

use crate::account::Account;
use crate::plugin::Plugin;
use crate::quote::{Literals, identifier};
use crate::tokens::{Token, tokens, unreadable};

/// The result of [`parse`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreateUser {
    /// The authentication plugins, in order.
    pub(crate) plugins: Vec<String>,
    /// The stored hash of each plugin. Only MariaDB shows it.
    pub(crate) stored: Vec<(String, String)>,
    /// `true` if a statement has expired the password (`PASSWORD EXPIRE`). A new password is not
    /// expired.
    has_expired: bool,
    /// `true` if the account is locked (`ACCOUNT LOCK`).
    pub(crate) locked: bool,
    /// The default roles of MySQL, in the syntax of a statement, or `None` without default roles.
    /// MariaDB shows its only default role with the grants.
    pub(crate) default_roles: Option<String>,
    clauses: BTreeMap<Clause, Vec<Token>>,
}

/// The clauses of an account, in the order of the [grammar].
///
/// [grammar]: https://dev.mysql.com/doc/refman/8.4/en/alter-user.html
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Clause {
    Require,
    Limits,
    Expire,
    History,
    Reuse,
    RequireCurrent,
    FailedLogins,
    LockTime,
    Attribute,
    // The sync does not copy these clauses, or copies them elsewhere.
    Account,
    DefaultRole,
    Identified,
}

const LIMITS: [&str; 4] = [
    "MAX_QUERIES_PER_HOUR",
    "MAX_UPDATES_PER_HOUR",
    "MAX_CONNECTIONS_PER_HOUR",
    "MAX_USER_CONNECTIONS",
];

/// Returns the clause that begins at a token.
fn clause_at(tokens: &[Token], at: usize) -> Option<Clause> {
    let word = |offset: isize| match at.checked_add_signed(offset).and_then(|at| tokens.get(at)) {
        Some(Token::Word(word)) => word.as_str(),
        _ => "",
    };
    Some(match (word(0), word(1)) {
        ("IDENTIFIED", _) if word(-1) != "AND" => Clause::Identified,
        ("REQUIRE", _) if word(-1) != "PASSWORD" => Clause::Require,
        ("WITH", next) if next.starts_with("MAX_") => Clause::Limits,
        ("PASSWORD", "EXPIRE") => Clause::Expire,
        ("PASSWORD", "HISTORY") => Clause::History,
        ("PASSWORD", "REUSE") => Clause::Reuse,
        ("PASSWORD", "REQUIRE") => Clause::RequireCurrent,
        ("FAILED_LOGIN_ATTEMPTS", _) => Clause::FailedLogins,
        ("PASSWORD_LOCK_TIME", _) => Clause::LockTime,
        ("ATTRIBUTE" | "COMMENT", _) => Clause::Attribute,
        ("ACCOUNT", "LOCK" | "UNLOCK") => Clause::Account,
        ("DEFAULT", "ROLE") => Clause::DefaultRole,
        _ => return None,
    })
}

/// Parses a statement of `SHOW CREATE USER`.
///
/// # Errors
/// Returns an error if the statement cannot be parsed reliably.
pub(crate) fn parse(statement: &str) -> Result<CreateUser, EngineError> {
    let tokens = tokens(statement)?;
    let mut clauses: BTreeMap<Clause, Vec<Token>> = BTreeMap::new();
    let mut open = None;
    for at in 0..tokens.len() {
        if let Some(clause) = clause_at(&tokens, at) {
            if clauses.insert(clause, Vec::new()).is_some() {
                return Err(unreadable("a clause occurs twice"));
            }
            open = Some(clause);
        }
        if let Some(clause) = open {
            clauses.entry(clause).or_default().push(tokens[at].clone());
        }
    }
    let identified = clauses.remove(&Clause::Identified).unwrap_or_default();
    let locked = clauses
        .remove(&Clause::Account)
        .is_some_and(|tokens| tokens.iter().any(|token| token.is("LOCK")));
    let roles = clauses.remove(&Clause::DefaultRole).unwrap_or_default();
    if let Some(limits) = clauses.get_mut(&Clause::Limits) {
        *limits = all_limits(limits)?;
    }
    // `PASSWORD EXPIRE` without an interval expires the current password, not a new one.
    let has_expired = clauses.get(&Clause::Expire).is_some_and(|tokens| tokens.len() == 2);
    if has_expired {
        clauses.remove(&Clause::Expire);
    }
    Ok(CreateUser {
        plugins: plugins(&identified),
        stored: stored(&identified),
        has_expired,
        locked,
        default_roles: roles.get(2..).filter(|roles| !roles.is_empty()).map(render),
        clauses,
    })
}

/// Returns the plugins of `IDENTIFIED WITH p …`, `IDENTIFIED VIA p … OR q …` or
/// `IDENTIFIED BY PASSWORD …`.
fn plugins(identified: &[Token]) -> Vec<String> {
    let mut plugins = Vec::new();
    for pair in identified.windows(2) {
        match (&pair[0], &pair[1]) {
            (Token::Word(before), Token::Word(name)) if before == "VIA" || before == "OR" => {
                plugins.push(name.to_ascii_lowercase());
            }
            (Token::Word(before), Token::Text(name) | Token::Name(name))
                if ["VIA", "OR", "WITH"].contains(&before.as_str()) =>
            {
                plugins.push(name.clone());
            }
            (Token::Word(before), Token::Word(next)) if before == "BY" && next == "PASSWORD" => {
                plugins.push("mysql_native_password".to_owned());
            }
            _ => {}
        }
    }
    plugins
}

/// Returns the stored hashes of `VIA p USING 's' OR …` or `BY PASSWORD 's'`, each with its plugin.
fn stored(identified: &[Token]) -> Vec<(String, String)> {
    let mut stored = Vec::new();
    for at in 1..identified.len().saturating_sub(1) {
        let (Token::Word(word), Token::Text(text)) = (&identified[at], &identified[at + 1]) else {
            continue;
        };
        let plugin = match word.as_str() {
            "USING" | "AS" => plugins(&identified[..at]).pop(),
            "PASSWORD" => Some("mysql_native_password".to_owned()),
            _ => None,
        };
        stored.extend(plugin.map(|plugin| (plugin, text.clone())));
    }
    stored
}

/// Returns all limits. The server does not show limits that are 0, but a statement must name them,
/// because the alternate user may have other values.
fn all_limits(shown: &[Token]) -> Result<Vec<Token>, EngineError> {
    let mut values: BTreeMap<&str, Vec<Token>> = BTreeMap::new();
    let mut name = "";
    for token in shown.iter().skip(1) {
        match token {
            Token::Word(word) if word.starts_with("MAX_") => name = word,
            value => values.entry(name).or_default().push(value.clone()),
        }
    }
    let known = |name: &str| LIMITS.contains(&name) || name == STATEMENT_TIME;
    if let Some(other) = values.keys().find(|name| !known(name)) {
        return Err(unreadable(&format!("there is a limit {other}")));
    }
    let mut all = no_limits();
    for at in (1..all.len()).step_by(2).rev() {
        if let Token::Word(name) = &all[at]
            && let Some(value) = values.get(name.as_str())
        {
            all.splice(at + 1..at + 2, value.clone());
        }
    }
    if let Some(value) = values.get(STATEMENT_TIME) {
        all.push(Token::Word(STATEMENT_TIME.into()));
        all.extend(value.clone());
    }
    Ok(all)
}

fn no_limits() -> Vec<Token> {
    let mut none = vec![Token::Word("WITH".into())];
    for name in LIMITS {
        none.extend([Token::Word(name.into()), Token::Word("0".into())]);
    }
    none
}

/// A limit that only MariaDB has. It is named only if one of the accounts has it.
const STATEMENT_TIME: &str = "MAX_STATEMENT_TIME";

impl CreateUser {
    /// Returns an error if the account can log in with any of several passwords, because a
    /// statement changes only one of them and the others still work.
    pub(crate) fn check_single_password(&self, account: &Account) -> Result<(), EngineError> {
        let takes_password = |plugin: &&String| Plugin::of_account(plugin).is_some();
        if self.plugins.iter().filter(takes_password).count() < 2 {
            return Ok(());
        }
        Err(EngineError::NeedsDecision {
            what: format!(
                "{account} can log in with any of several passwords ({}), and a rotation would \
                 change only one of them",
                self.plugins.join(", ")
            ),
            remedy: administrator(&format!(
                "ALTER USER {} IDENTIFIED VIA {} USING PASSWORD('THE PASSWORD OF AWSCURRENT')",
                account.quoted(Literals::BackslashEscapes),
                self.plugins.iter().find(takes_password).map_or("ed25519", String::as_str)
            )),
        })
    }

    /// Returns the clauses of `ALTER USER` that turn `self` into `wanted`. Returns an empty string
    /// if there is no difference.
    pub(crate) fn clauses_to(&self, wanted: &Self) -> String {
        joined(&self.changes_to(wanted))
    }

    fn changes_to(&self, wanted: &Self) -> Vec<(Clause, String)> {
        let mut clauses = Vec::new();
        let all: std::collections::BTreeSet<_> =
            self.clauses.keys().chain(wanted.clauses.keys()).collect();
        for clause in all {
            if *clause == Clause::Expire && (wanted.has_expired || self.has_expired) {
                // The server does not show the interval of such an account.
                continue;
            }
            match (self.clauses.get(clause), wanted.clauses.get(clause)) {
                (Some(has), Some(wanted)) if *clause == Clause::Attribute && has != wanted => {
                    clauses.push((*clause, render(&attribute::to_become(has, wanted))));
                }
                (has, Some(wanted)) if has != Some(wanted) => {
                    clauses.push((*clause, render(wanted)))
                }
                (Some(_), None) => clauses.extend(default_of(*clause).map(|text| (*clause, text))),
                _ => {}
            }
            if *clause == Clause::Limits
                && self.limits_statement_time()
                && !wanted.limits_statement_time()
            {
                clauses.push((*clause, format!("{STATEMENT_TIME} 0")));
            }
        }
        clauses
    }

    /// Returns `true` if `PASSWORD EXPIRE NEVER` is necessary before [`Self::clauses_to`]
    /// can reset the password lifetime to the server's default.
    ///
    /// If `PASSWORD EXPIRE DEFAULT` follows `PASSWORD EXPIRE INTERVAL`, MySQL stores it, but still
    /// uses and shows the interval until the privileges are loaded again (observed with 9.7). The
    /// difference would remain, and `testSecret` would fail on every attempt.
    pub(crate) fn lifetime_must_end_first(&self, wanted: &Self) -> bool {
        let third = |of: &Self, word: &str| {
            of.clauses
                .get(&Clause::Expire)
                .and_then(|tokens| tokens.get(2))
                .is_some_and(|token| token.is(word))
        };
        let defaults = !wanted.clauses.contains_key(&Clause::Expire) || third(wanted, "DEFAULT");
        third(self, "INTERVAL") && defaults && !wanted.has_expired
    }

    fn limits_statement_time(&self) -> bool {
        let limits = self.clauses.get(&Clause::Limits);
        limits.is_some_and(|tokens| tokens.iter().any(|token| token.is(STATEMENT_TIME)))
    }

    /// Returns all clauses of `CREATE USER`, with a lock.
    pub(crate) fn all_clauses_locked(&self) -> String {
        let (last, first): (Vec<_>, Vec<_>) =
            self.clauses.iter().partition(|(clause, _)| **clause == Clause::Attribute);
        let mut clauses: Vec<_> = first.into_iter().map(|(_, tokens)| render(tokens)).collect();
        // In the grammar, the attribute follows the lock.
        clauses.push("ACCOUNT LOCK".to_owned());
        clauses.extend(last.into_iter().map(|(_, tokens)| render(tokens)));
        clauses.join(" ")
    }
}

fn joined(clauses: &[(Clause, String)]) -> String {
    clauses.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>().join(" ")
}

/// Returns the clause that sets the default, which the server does not show.
fn default_of(clause: Clause) -> Option<String> {
    let text = match clause {
        Clause::Require => "REQUIRE NONE",
        Clause::Limits => return Some(render(&no_limits())),
        Clause::Expire => "PASSWORD EXPIRE DEFAULT",
        Clause::History => "PASSWORD HISTORY DEFAULT",
        Clause::Reuse => "PASSWORD REUSE INTERVAL DEFAULT",
        Clause::RequireCurrent => "PASSWORD REQUIRE CURRENT DEFAULT",
        Clause::FailedLogins => "FAILED_LOGIN_ATTEMPTS 0",
        Clause::LockTime => "PASSWORD_LOCK_TIME 0",
        // The server does not use attributes, so an extra one is harmless.
        Clause::Attribute | Clause::Account | Clause::DefaultRole | Clause::Identified => {
            return None;
        }
    };
    Some(text.to_owned())
}

/// Writes tokens in the syntax of a statement.
pub(crate) fn render(tokens: &[Token]) -> String {
    let mut text = String::new();
    let mut glued = true;
    for token in tokens {
        let sign = matches!(token, Token::Sign('.' | '@' | ',' | ')'));
        if !glued && !sign {
            text.push(' ');
        }
        match token {
            Token::Name(name) => text.push_str(&identifier(name)),
            Token::Text(value) => text.push_str(&Literals::BackslashEscapes.quote(value)),
            Token::Word(word) => text.push_str(word),
            Token::Sign(sign) => text.push(*sign),
        }
        glued = matches!(token, Token::Sign('.' | '@' | '('));
    }
    text
}

#[cfg(test)]
mod tests;
