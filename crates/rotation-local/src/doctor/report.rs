//! The report on an account, as text and as JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::findings::{Finding, Unfinished};
use super::model::{Function, NotKnown, Rotator, Secret};
use super::origin::Origin;
use super::replacement::Replacement;
use crate::progress::say;

/// The report on one secret.
pub(super) struct SecretReport {
    pub(super) secret: Secret,
    pub(super) function: Option<Function>,
    pub(super) origin: Option<Origin>,
    pub(super) unfinished: Option<Unfinished>,
    pub(super) replacement: Replacement,
    pub(super) findings: Vec<Finding>,
}

/// A fact that is not known, with the secret or the function that it is about.
pub(super) struct Gap {
    pub(super) about: String,
    pub(super) reason: NotKnown,
}

/// The report on a Region of an account.
pub(super) struct Report {
    pub(super) region: String,
    pub(super) endpoint: String,
    pub(super) checked: DateTime<Utc>,
    pub(super) without_rotation: usize,
    pub(super) replicas: usize,
    pub(super) secrets: Vec<SecretReport>,
    pub(super) not_known: Vec<Gap>,
}

impl Report {
    /// Returns the number of findings.
    pub(super) fn findings(&self) -> usize {
        self.secrets.iter().map(|secret| secret.findings.len()).sum()
    }

    /// Returns the numbers of findings and secrets in one sentence, without its period.
    pub(super) fn summary(&self) -> String {
        let number = |number: usize, one: &str, more: &str| {
            format!("{number} {}", if number == 1 { one } else { more })
        };
        let found = match self.findings() {
            0 => "no findings".to_owned(),
            findings => number(findings, "finding", "findings"),
        };
        let secrets = number(self.secrets.len(), "secret", "secrets");
        format!("{found} in {secrets} with rotation")
    }

    /// Prints the report as text.
    pub(super) fn print(&self) {
        say(&format!("Secrets Manager at {}, Region {}", self.endpoint, self.region));
        for report in &self.secrets {
            say("");
            report.print();
        }
        if !self.not_known.is_empty() {
            say("\nNot known:");
        }
        for Gap { about, reason } in &self.not_known {
            say(&format!("  {about}: {}", reason.cause));
            if reason.is_denied {
                say(&format!("    Allow {} to complete the report.", reason.action));
            }
        }
        say(&format!(
            "\n{}. Without rotation: {}. Replicas of another Region, which are reported there: {}. \
             Nothing was changed, and no value was read.",
            capitalized(&self.summary()),
            self.without_rotation,
            self.replicas
        ));
    }

    /// Returns the report as JSON.
    pub(super) fn json(&self) -> Value {
        let not_known = self.not_known.iter().map(|Gap { about, reason }| {
            json!({
                "about": about,
                "action": reason.action,
                "denied": reason.is_denied,
                "message": reason.cause,
            })
        });
        json!({
            "region": self.region,
            "endpoint": self.endpoint,
            "checked": shown(Some(self.checked)),
            "findings": self.findings(),
            "withoutRotation": self.without_rotation,
            "replicasOfOtherRegions": self.replicas,
            "secrets": self.secrets.iter().map(SecretReport::json).collect::<Vec<_>>(),
            "notKnown": not_known.collect::<Vec<_>>(),
        })
    }
}

impl SecretReport {
    fn print(&self) {
        let secret = &self.secret;
        say(&secret.name);
        say(&format!("  rotated by: {}", self.rotator()));
        let date = |date: Option<DateTime<Utc>>| {
            date.map_or_else(|| "never".to_owned(), |date| date.format("%Y-%m-%d").to_string())
        };
        let next = secret.next_rotation.map(|_| date(secret.next_rotation));
        say(&format!(
            "  schedule: {}; last rotated: {}; next: {}",
            secret.schedule.as_deref().unwrap_or("none"),
            date(secret.last_rotated),
            next.unwrap_or_else(|| "not known".to_owned()),
        ));
        if let Some(running) = self.unfinished.as_ref().filter(|running| !running.is_stuck) {
            let since = running.since.map(|since| since.format(" since %Y-%m-%d %H:%M UTC"));
            say(&format!(
                "  a rotation may be running{}: version {}",
                since.map(|since| since.to_string()).unwrap_or_default(),
                running.version
            ));
        }
        for replica in secret.replicas.iter().flatten() {
            say(&format!("  replica: {} {}", replica.place, replica.status));
        }
        for finding in &self.findings {
            say(&format!("  ✗ {}: {}", finding.kind.as_str(), finding.message));
            say(&format!("    What to do: {}", finding.remedy));
            finding.commands.iter().for_each(|command| say(&format!("      {command}")));
        }
        say(&format!("  replacement: {}", self.replacement_in_words()));
        for line in &self.replacement.lines {
            say(&format!("    {}: {}", line.place, line.line));
        }
    }

    fn rotator(&self) -> String {
        let function = match &self.secret.rotator {
            Rotator::Function(function) => function,
            Rotator::Service(service) => return format!("the service {service}"),
            Rotator::External(kind) => return format!("Secrets Manager, as {kind}"),
            Rotator::Unknown => return "not known".to_owned(),
        };
        let runtime = match &self.function {
            Some(Function::Found(found)) => found.runtime.as_deref().unwrap_or("container image"),
            Some(Function::Missing) => "does not exist",
            Some(Function::NotKnown(_)) | None => "runtime not known",
        };
        format!("{} ({runtime})", function.name())
    }

    fn replacement_in_words(&self) -> String {
        let Replacement { functions, reason, .. } = &self.replacement;
        match functions.as_slice() {
            [] => reason.clone(),
            [function] => format!("{function}. {reason}"),
            _ => format!("…SingleUser, …MasterUser or CustomRotation. {reason}"),
        }
    }

    fn json(&self) -> Value {
        let secret = &self.secret;
        let service = match &secret.rotator {
            Rotator::Service(service) => Some(service),
            Rotator::Function(_) | Rotator::External(_) | Rotator::Unknown => None,
        };
        let replicas = secret.replicas.as_ref().ok().map(|replicas| {
            let shown = replicas.iter().map(|replica| {
                json!({
                    "place": replica.place,
                    "status": replica.status,
                    "message": replica.message,
                })
            });
            shown.collect::<Vec<_>>()
        });
        let unfinished = self.unfinished.as_ref().map(|unfinished| {
            json!({
                "version": unfinished.version,
                "since": shown(unfinished.since),
                "stuck": unfinished.is_stuck,
                "hasValue": unfinished.has_value,
            })
        });
        let findings = self.findings.iter().map(|finding| {
            json!({
                "type": finding.kind.as_str(),
                "message": finding.message,
                "remedy": finding.remedy,
                "commands": finding.commands,
            })
        });
        let lines = self.replacement.lines.iter();
        let lines = lines.map(|line| json!({"place": line.place, "line": line.line}));
        json!({
            "name": secret.name,
            "arn": secret.arn,
            "enabled": secret.is_enabled,
            "owningService": service,
            "function": self.function_json(),
            "schedule": secret.schedule,
            "lastRotated": shown(secret.last_rotated),
            "nextRotation": shown(secret.next_rotation),
            "unfinished": unfinished,
            "replicas": replicas,
            "replacement": {
                "status": self.replacement.answer.as_str(),
                "functions": self.replacement.functions,
                "reason": self.replacement.reason,
                "lines": lines.collect::<Vec<_>>(),
            },
            "findings": findings.collect::<Vec<_>>(),
        })
    }

    fn function_json(&self) -> Option<Value> {
        let arn = self.secret.function()?;
        let mut shown = json!({"arn": arn.as_str(), "name": arn.name()});
        shown["status"] = match &self.function {
            Some(Function::Found(_)) => "found",
            Some(Function::Missing) => "missing",
            Some(Function::NotKnown(_)) | None => "notKnown",
        }
        .into();
        if let Some(Function::Found(found)) = &self.function {
            shown["runtime"] = found.runtime.clone().into();
        }
        if let Some(Origin::Aws(function)) = &self.origin {
            shown["application"] = function.application.clone().into();
            shown["stack"] = function.deployment.stack().into();
        }
        Some(shown)
    }
}

fn shown(date: Option<DateTime<Utc>>) -> Option<String> {
    date.map(|date| date.to_rfc3339_opts(SecondsFormat::Secs, true))
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
