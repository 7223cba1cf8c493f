//! What a function and a server have written, and whether a password stands in it.

use std::sync::PoisonError;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::Scene;
use crate::server::Server;

impl<T: Server> Scene<T> {
    /// Has a value's password searched for.
    pub(super) fn remember(&self, value: &Value) {
        if let Some(password) = value["password"].as_str() {
            let mut passwords = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
            if !passwords.iter().any(|known| known == password) {
                passwords.push(password.to_owned());
            }
        }
    }

    /// What the function has written.
    pub fn function_log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the server has logged since the scene began.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn server_log(&self) -> Result<String> {
        self.target.log_since(self.log_start)
    }

    /// How often the server has refused a password of the scene's users.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn failed_logins(&self) -> Result<usize> {
        let log = self.server_log()?;
        let failed = |user: &str| T::count_refused(&log, user);
        Ok(failed(&self.user) + failed(&self.alternate()) + failed(&self.master))
    }

    /// How many sessions of the scene's users the server has let in.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn logins(&self) -> Result<usize> {
        let log = self.server_log()?;
        let came = |user: &str| T::count_let_in(&log, user);
        Ok(came(&self.user) + came(&self.alternate()) + came(&self.master))
    }

    /// Searches everything that was written for every password of the scene.
    ///
    /// # Errors
    /// When one is found.
    pub fn search_for_passwords(&self, more: &str) -> Result<()> {
        let passwords = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
        let server = self.server_log()?;
        let function = self.function_log();
        ensure!(!function.is_empty(), "the function has written nothing that could be searched");
        for password in passwords.iter() {
            for (place, text) in
                [("server's log", &*server), ("function's log", &*function), ("answers", more)]
            {
                ensure!(!text.contains(password.as_str()), "a password stands in the {place}");
                let json = Value::from(password.as_str()).to_string();
                let quoted = password.replace('\'', "''");
                for form in [json[1..json.len() - 1].to_owned(), quoted.replace('\\', "\\\\"), quoted] {
                    ensure!(!text.contains(&form), "a password stands in the {place}, escaped");
                }
            }
        }
        Ok(())
    }
}
