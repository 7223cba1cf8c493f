//! The clauses that an account may get while applications use it.

use super::{Clause, CreateUser, LIMITS, STATEMENT_TIME, joined};
use crate::tokens::Token;

impl CreateUser {
    /// Returns the clauses of [`Self::clauses_to`] in two parts: those that the account may get
    /// while applications use it, and those that could block their logins.
    /// `passwords_expire_by_default` is `true` if passwords expire by default on this server.
    pub(crate) fn clauses_while_in_use(
        &self,
        wanted: &Self,
        passwords_expire_by_default: bool,
    ) -> (String, String) {
        let (later, now): (Vec<_>, Vec<_>) =
            self.changes_to(wanted).into_iter().partition(|(clause, _)| {
                self.is_restricted_by(*clause, wanted, passwords_expire_by_default)
            });
        (joined(&now), joined(&later))
    }

    /// Returns `true` if the clause of `wanted` can block a login that the clause of `self` allows.
    fn is_restricted_by(
        &self,
        clause: Clause,
        wanted: &Self,
        passwords_expire_by_default: bool,
    ) -> bool {
        let token = |at: usize| wanted.clauses.get(&clause).and_then(|tokens| tokens.get(at));
        let is_lower = |name: &str| {
            let of = |user: &Self| user.number_after(clause, name).unwrap_or_default();
            let (has, wants) = (of(self), of(wanted));
            wants > 0.0 && (has == 0.0 || wants < has)
        };
        match clause {
            Clause::Require => token(1).is_some_and(|demand| !demand.is("NONE")),
            Clause::Limits => LIMITS.iter().chain([&STATEMENT_TIME]).any(|name| is_lower(name)),
            Clause::Expire => match token(2) {
                Some(token) if token.is("NEVER") => false,
                Some(token) if token.is("INTERVAL") => true,
                _ => passwords_expire_by_default,
            },
            Clause::FailedLogins => is_lower("FAILED_LOGIN_ATTEMPTS"),
            Clause::LockTime => token(1).is_some_and(|days| !days.is("0")),
            Clause::History
            | Clause::Reuse
            | Clause::RequireCurrent
            | Clause::Attribute
            | Clause::Account
            | Clause::DefaultRole
            | Clause::Identified => false,
        }
    }

    /// Returns the number after a word of a clause.
    fn number_after(&self, clause: Clause, word: &str) -> Option<f64> {
        let tokens = self.clauses.get(&clause)?;
        let at = tokens.iter().position(|token| token.is(word))?;
        // A number with a decimal point consists of three tokens.
        let number: String = tokens[at + 1..]
            .iter()
            .map_while(|token| match token {
                Token::Word(word) if word.starts_with(|c: char| c.is_ascii_digit()) => {
                    Some(word.clone())
                }
                Token::Sign('.') => Some(".".to_owned()),
                _ => None,
            })
            .collect();
        number.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;

    #[test]
    fn clauses_that_can_block_logins_are_deferred() {
        let user = |clauses: &str| parse(&format!("CREATE USER `a`@`%` {clauses}")).unwrap();
        let none = "WITH MAX_QUERIES_PER_HOUR 0 MAX_UPDATES_PER_HOUR 0 MAX_CONNECTIONS_PER_HOUR 0 \
            MAX_USER_CONNECTIONS 0";
        let limited = none.replace("CONNECTIONS 0", "CONNECTIONS 9");
        for (has, wanted, now, later) in [
            ("REQUIRE NONE", "REQUIRE X509", "", "REQUIRE X509"),
            ("REQUIRE X509", "REQUIRE NONE", "REQUIRE NONE", ""),
            ("REQUIRE SSL", "", "REQUIRE NONE", ""),
            ("", "WITH MAX_USER_CONNECTIONS 9", "", limited.as_str()),
            ("WITH MAX_USER_CONNECTIONS 12", "WITH MAX_USER_CONNECTIONS 9", "", &limited),
            ("WITH MAX_USER_CONNECTIONS 3", "WITH MAX_USER_CONNECTIONS 9", &limited, ""),
            ("WITH MAX_USER_CONNECTIONS 3", "", none, ""),
            ("", "PASSWORD EXPIRE INTERVAL 9 DAY", "", "PASSWORD EXPIRE INTERVAL 9 DAY"),
            (
                "PASSWORD EXPIRE INTERVAL 9 DAY",
                "PASSWORD EXPIRE NEVER",
                "PASSWORD EXPIRE NEVER",
                "",
            ),
            ("PASSWORD EXPIRE INTERVAL 9 DAY", "", "PASSWORD EXPIRE DEFAULT", ""),
            ("", "FAILED_LOGIN_ATTEMPTS 4", "", "FAILED_LOGIN_ATTEMPTS 4"),
            ("FAILED_LOGIN_ATTEMPTS 4", "", "FAILED_LOGIN_ATTEMPTS 0", ""),
            ("", "PASSWORD HISTORY 5", "PASSWORD HISTORY 5", ""),
        ] {
            let parts = user(has).clauses_while_in_use(&user(wanted), false);
            assert_eq!(parts, (now.to_owned(), later.to_owned()), "{has} to {wanted}");
        }
        let never = user("PASSWORD EXPIRE NEVER");
        let default = user("PASSWORD EXPIRE DEFAULT");
        assert_eq!(never.clauses_while_in_use(&default, true).1, "PASSWORD EXPIRE DEFAULT");
        assert_eq!(never.clauses_while_in_use(&default, false).1, "");
    }
}
