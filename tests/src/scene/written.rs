//! The leak scan: searches everything that a function and a server have written for secrets.

use std::sync::atomic::Ordering;
use std::sync::{LazyLock, Mutex, PoisonError};

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use anyhow::{Result, ensure};
use regex_lite::Regex;
use serde_json::Value;

use super::Fixture;
use crate::server::Server;

/// The output that a fixture has collected.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// The function's own output: log lines, panics, metrics.
    pub(super) function: Mutex<String>,
    /// The answers and errors of the function.
    pub(super) answers: Mutex<String>,
    /// The secrets to search for: passwords, and the credentials of the function itself.
    pub(super) secrets: Mutex<Vec<String>>,
}

impl Written {
    fn add(to: &Mutex<String>, text: &str) {
        let mut log = to.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(text);
        log.push('\n');
    }

    /// Adds a line of the function's log.
    pub(super) fn log(&self, line: &str) {
        Self::add(&self.function, line);
    }

    /// Adds an answer or error of the function.
    pub(super) fn answer(&self, answer: &str) {
        Self::add(&self.answers, answer);
    }
}

/// The verifiers that PostgreSQL, MySQL and MariaDB store instead of a password, as statements
/// contain them.
static VERIFIER: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/=]|\*[0-9A-F]{40}|md5[0-9a-f]{32}|\$A\$[0-9]{3}\$",
    )
    .ok()
});

/// Returns the forms that a text can have in a log: unchanged, in JSON, in an SQL literal, and in
/// an SQL literal with backslash escapes.
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
    /// Adds the password of a secret value to those that are searched for.
    pub(super) fn remember(&self, value: &Value) {
        if let Some(password) = value["password"].as_str() {
            let mut secrets = self.written.secrets.lock().unwrap_or_else(PoisonError::into_inner);
            if !secrets.iter().any(|known| known == password) {
                secrets.push(password.to_owned());
            }
        }
    }

    /// Returns what the function has written.
    pub fn function_log(&self) -> String {
        self.written.function.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Searches what has been written so far, and then forgets it.
    ///
    /// # Errors
    /// Returns an error if a secret is found.
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

    /// Returns what the server has logged since the fixture was created.
    ///
    /// # Errors
    /// Returns an error if the log cannot be read.
    pub fn server_log(&self) -> Result<String> {
        self.target.log_since(self.log_start.load(Ordering::SeqCst))
    }

    /// Returns how often the server has rejected a password of the fixture's users.
    ///
    /// # Errors
    /// Returns an error if the server's log cannot be read.
    pub fn failed_logins(&self) -> Result<usize> {
        let log = self.server_log()?;
        let failed = |user: &str| T::count_refused(&log, user);
        let all = failed(&self.user) + failed(&self.alternate()) + failed(&self.master);
        Ok(all - self.of_preflight.failed_logins.load(Ordering::SeqCst))
    }

    /// Returns how many successful logins of the fixture's users the server has logged.
    ///
    /// # Errors
    /// Returns an error if the server's log cannot be read.
    pub fn logins(&self) -> Result<usize> {
        let log = self.server_log()?;
        let came = |user: &str| T::count_let_in(&log, user);
        let all = came(&self.user) + came(&self.alternate()) + came(&self.master);
        Ok(all - self.of_preflight.logins.load(Ordering::SeqCst))
    }

    /// Searches everything that has been written for every secret of the fixture. Searches the
    /// function's output for verifiers as well. The server's log may contain verifiers, because it
    /// has the statements that set them.
    ///
    /// # Errors
    /// Returns an error if a secret or verifier is found.
    pub fn search_for_passwords(&self, more: &str) -> Result<()> {
        let function = self.function_log();
        ensure!(!function.is_empty(), "the function has written nothing to search");
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
            ensure!(search.find(*text).is_none(), "found a password or credential in the {place}");
        }
        for (place, text) in own {
            let verifier = VERIFIER.as_ref().and_then(|verifier| verifier.find(text));
            ensure!(verifier.is_none(), "found a verifier in the {place}");
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
