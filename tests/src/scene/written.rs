//! Everything that a function, its answers and a server have written, and whether a secret stands
//! in it.

use std::sync::atomic::Ordering;
use std::sync::{LazyLock, Mutex, PoisonError};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use anyhow::{Result, ensure};
use regex_lite::Regex;
use serde_json::Value;

use super::Fixture;
use crate::server::Server;

/// What was written, as far as a scene has it.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// By the function: log lines, panics, metrics.
    pub(super) function: Mutex<String>,
    /// Answers and errors of the function.
    pub(super) answers: Mutex<String>,
    /// What must not stand in any of it: passwords, and the credentials of the function itself.
    pub(super) secrets: Mutex<Vec<String>>,
}

impl Written {
    fn add(to: &Mutex<String>, text: &str) {
        let mut log = to.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(text);
        log.push('\n');
    }

    /// A line of the function's log.
    pub(super) fn log(&self, line: &str) {
        Self::add(&self.function, line);
    }

    /// An answer or error of the function.
    pub(super) fn answer(&self, answer: &str) {
        Self::add(&self.answers, answer);
    }
}

/// What servers keep in a password's place, as it stands in statements: of PostgreSQL, of MySQL and
/// MariaDB.
static VERIFIER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]|\*[0-9A-F]{40}|md5[0-9a-f]{32}|\$A\$[0-9]{3}\$",
    )
    .ok()
});

/// A text as it may stand in a log: as it is, in JSON, in SQL's quotes, in quotes where a backslash
/// escapes.
fn forms(text: &str) -> Vec<String> {
    let json = Value::from(text).to_string();
    let quoted = text.replace('\'', "''");
    let mut forms = vec![
        text.to_owned(),
        json[1..json.len() - 1].to_owned(),
        quoted.replace('\\', "\\\\"),
        quoted,
    ];
    forms.dedup();
    forms
}

impl<T: Server> Fixture<T> {
    /// Has a value's password searched for.
    pub(super) fn remember(&self, value: &Value) {
        if let Some(password) = value["password"].as_str() {
            let mut secrets = self.written.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            if !secrets.iter().any(|known| known == password) {
                secrets.push(password.to_owned());
            }
        }
    }

    /// What the function has written.
    pub fn function_log(&self) -> String {
        self.written.function.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Searches what was written so far, and begins with nothing written.
    ///
    /// # Errors
    /// When a secret is found.
    pub fn begin_anew(&self) -> Result<()> {
        self.search_for_passwords("")?;
        self.log_start.store(self.target.log_length()?, Ordering::SeqCst);
        self.of_preflight.failed_logins.store(0, Ordering::SeqCst);
        self.of_preflight.logins.store(0, Ordering::SeqCst);
        for log in [&self.written.function, &self.written.answers] {
            log.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        Ok(())
    }

    /// What the server has logged since the scene began.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn server_log(&self) -> Result<String> {
        self.target.log_since(self.log_start.load(Ordering::SeqCst))
    }

    /// How often the server has refused a password of the scene's users.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn failed_logins(&self) -> Result<usize> {
        let log = self.server_log()?;
        let failed = |user: &str| T::count_refused(&log, user);
        let all = failed(&self.user) + failed(&self.alternate()) + failed(&self.master);
        Ok(all - self.of_preflight.failed_logins.load(Ordering::SeqCst))
    }

    /// How many sessions of the scene's users the server has let in.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn logins(&self) -> Result<usize> {
        let log = self.server_log()?;
        let came = |user: &str| T::count_let_in(&log, user);
        let all = came(&self.user) + came(&self.alternate()) + came(&self.master);
        Ok(all - self.of_preflight.logins.load(Ordering::SeqCst))
    }

    /// Searches everything that was written for every secret of the scene, and what the function
    /// has written for verifiers as well: a server must log the statement that sets one.
    ///
    /// # Errors
    /// When one is found.
    pub fn search_for_passwords(&self, more: &str) -> Result<()> {
        let function = self.function_log();
        ensure!(!function.is_empty(), "the function has written nothing that could be searched");
        self.search(&function, more)
    }

    pub(super) fn search(&self, function: &str, more: &str) -> Result<()> {
        let secrets = self.written.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        let forms: Vec<String> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        let search =
            AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(&forms)?;
        let answers = self.written.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let server = self.server_log()?;
        let own = [("function's log", function), ("answers", &*answers), ("answers", more)];
        for (place, text) in own.iter().chain(&[("server's log", &*server)]) {
            ensure!(
                search.find(*text).is_none(),
                "a password or a credential stands in the {place}"
            );
        }
        for (place, text) in own {
            let verifier = VERIFIER.as_ref().and_then(|verifier| verifier.find(text));
            ensure!(verifier.is_none(), "a verifier stands in the {place}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verifiers_are_known_by_their_form() {
        let verifier = VERIFIER.as_ref().unwrap();
        for text in [
            "PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy'",
            "SET PASSWORD = '*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19'",
            "md55f4dcc3b5aa765d61d8327deb882cf99",
        ] {
            assert!(verifier.is_match(text), "{text}");
        }
        assert!(!verifier.is_match(
            "the server stores SCRAM-SHA-256 verifiers; 00000000-0000-4000-8000-000000000000"
        ));
    }

    #[test]
    fn a_password_is_looked_for_in_each_of_its_forms() {
        assert_eq!(
            forms("a'b\\c\"d"),
            ["a'b\\c\"d", "a'b\\\\c\\\"d", "a''b\\\\c\"d", "a''b\\c\"d"]
        );
    }
}
