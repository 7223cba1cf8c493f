//! The files that a finished rotation writes: the new secret and, with alternating users, the
//! previous one.

use std::path::Path;

use anyhow::Result;
use secretsmanager_emulator::{CURRENT, PREVIOUS, Service};
use serde_json::{Map, Value, json};

use super::RotateArgs;
use super::{PREVIOUS_SUFFIX, SECRET};
use crate::journal::{beside, write_atomically};
use crate::progress::say;

/// The destination of the result.
pub(super) struct Output<'a> {
    pub(super) out: &'a Path,
    pub(super) args: &'a RotateArgs,
    /// `true` to keep `masterarn` in the result.
    pub(super) keeps_master: bool,
}

impl Output<'_> {
    fn value(&self, service: &Service, label: &str) -> Result<Map<String, Value>> {
        let answer = service
            .perform("GetSecretValue", &json!({"SecretId": SECRET, "VersionStage": label}))?;
        let mut value: Map<String, Value> =
            serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default())?;
        if !self.keeps_master {
            value.remove("masterarn");
        }
        Ok(value)
    }

    /// Writes the current version and, with alternating users, the previous version, whose user
    /// still works.
    pub(super) fn write(&self, service: &Service) -> Result<Value> {
        let text = |value: &Map<String, Value>| {
            Ok::<_, anyhow::Error>(serde_json::to_string_pretty(value)? + "\n")
        };
        if self.args.database.master.alternates() {
            let previous = self.value(service, PREVIOUS)?;
            write_atomically(&beside(self.out, PREVIOUS_SUFFIX), text(&previous)?.as_bytes())?;
        }
        let current = self.value(service, CURRENT)?;
        write_atomically(self.out, text(&current)?.as_bytes())?;
        Ok(Value::Object(current))
    }

    pub(super) fn announce(&self, service: &Service) -> Result<()> {
        let user = |value: &Map<String, Value>| {
            value.get("username").and_then(Value::as_str).map(str::to_owned)
        };
        let current = self.value(service, CURRENT)?;
        if self.args.database.master.alternates() {
            let previous = self.value(service, PREVIOUS)?;
            say(&format!(
                "\nUser {} keeps its password until the next rotation. Its secret is in {}.",
                user(&previous).unwrap_or_default(),
                beside(self.out, PREVIOUS_SUFFIX).display()
            ));
        }
        let of_user = user(&current).map(|user| format!(" (user {user})")).unwrap_or_default();
        say(&format!("\nThe new secret is in {}{of_user}.", self.out.display()));
        if self.args.out.is_some() {
            say(&format!("The old secret is still in {}.", self.args.database.secret.display()));
        }
        if self.args.show_passwords {
            say(&serde_json::to_string_pretty(&current)?);
        }
        Ok(())
    }
}
