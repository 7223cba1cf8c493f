//! The findings: the problems of a rotation, each with the next command.

use chrono::{DateTime, TimeDelta, Utc};
use secretsmanager_emulator::CURRENT;

use super::commands::Commands;
use super::model::{Function, Replica, ReplicaSettings, Secret};
use super::runtimes::deprecated_since;

/// The type of a finding. The names do not change between releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `AWSPENDING` has been on another version than `AWSCURRENT` for too long.
    RotationUnfinished,
    /// The last attempt stored a value, and was cancelled before it was promoted.
    AttemptCancelled,
    /// Rotation is turned off, although the secret has a function.
    RotationOff,
    /// The secret has never been rotated.
    NeverRotated,
    /// The date of the next rotation is over.
    RotationOverdue,
    /// The function does not exist.
    FunctionMissing,
    /// The function's Python runtime gets no more security updates.
    RuntimeDeprecated,
    /// A replica does not have the current value.
    ReplicaNotInSync,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::RotationUnfinished => "RotationUnfinished",
            Self::AttemptCancelled => "AttemptCancelled",
            Self::RotationOff => "RotationOff",
            Self::NeverRotated => "NeverRotated",
            Self::RotationOverdue => "RotationOverdue",
            Self::FunctionMissing => "FunctionMissing",
            Self::RuntimeDeprecated => "RuntimeDeprecated",
            Self::ReplicaNotInSync => "ReplicaNotInSync",
        }
    }
}

/// A problem that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: Kind,
    pub(super) message: String,
    /// The next step, in one or more sentences.
    pub(super) remedy: &'static str,
    /// The commands of the remedy, in their order.
    pub(super) commands: Vec<String>,
}

/// The unfinished rotation of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub(super) version: String,
    /// Since when, if Secrets Manager shows it.
    pub(super) since: Option<DateTime<Utc>>,
    /// `false` if the rotation may be running just now.
    pub(super) is_stuck: bool,
    /// `true` if `createSecret` has stored a value. `None` if that is not known.
    pub(super) has_value: Option<bool>,
}

/// Returns the unfinished rotation of a secret.
pub(super) fn unfinished(
    secret: &Secret,
    now: DateTime<Utc>,
    limit: TimeDelta,
) -> Option<Unfinished> {
    let version = secret.unfinished_version()?;
    // A version without a value has no date. RotateSecret, which created it, has changed the
    // secret, so the version is at least as old as the last change.
    let listed = secret.version(version);
    let since = listed.map_or(secret.changed, |listed| listed.created);
    Some(Unfinished {
        version: version.to_owned(),
        since,
        is_stuck: since.is_none_or(|since| now - since >= limit),
        has_value: secret.versions.is_ok().then_some(listed.is_some()),
    })
}

/// A secret with everything that its findings depend on.
pub(super) struct Examined<'a> {
    pub(super) secret: &'a Secret,
    pub(super) function: Option<&'a Function>,
    pub(super) unfinished: Option<&'a Unfinished>,
    pub(super) now: DateTime<Utc>,
    pub(super) commands: &'a Commands,
}

impl Examined<'_> {
    /// Returns the findings of the secret.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let of_function = [self.function_missing(), self.runtime_deprecated()];
        let of_rotation = [
            self.rotation_unfinished(),
            self.attempt_cancelled(),
            self.rotation_off(),
            self.never_rotated(),
            self.rotation_overdue(),
        ];
        let replicas = self.secret.replicas.as_deref().unwrap_or_default();
        let not_in_sync = replicas.iter().filter(|replica| replica.status != "InSync");
        let of_replicas = not_in_sync.map(|replica| self.replica_not_in_sync(replica));
        of_rotation.into_iter().chain(of_function).flatten().chain(of_replicas).collect()
    }

    fn on_secret(&self, operation: &str, rest: &str) -> String {
        self.commands.on_secret(operation, &self.secret.arn, rest)
    }

    /// Returns the command that shows why a step failed, if a function rotates the secret.
    fn errors_in_log(&self) -> Option<String> {
        let name = self.secret.function()?.name();
        let group = match self.function {
            Some(Function::Found(found)) => found.log_group.clone(),
            Some(Function::Missing | Function::NotKnown(_)) | None => None,
        };
        self.commands.errors_in(&group.unwrap_or_else(|| format!("/aws/lambda/{name}")))
    }

    fn with_log(&self, commands: impl IntoIterator<Item = String>) -> Vec<String> {
        self.errors_in_log().into_iter().chain(commands).collect()
    }

    fn rotation_unfinished(&self) -> Option<Finding> {
        let unfinished = self.unfinished.filter(|unfinished| unfinished.is_stuck)?;
        let version = &unfinished.version;
        let since = unfinished.since.map_or_else(
            || "; Secrets Manager does not show since when".to_owned(),
            |since| format!(", since {}", age(self.now, since)),
        );
        let step = match unfinished.has_value {
            Some(true) => {
                "The version has a value, so setSecret, testSecret or finishSecret failed."
            }
            Some(false) => "The version has no value, so createSecret failed or did not run.",
            None => "Whether createSecret stored a value is not known.",
        };
        Some(Finding {
            kind: Kind::RotationUnfinished,
            message: format!(
                "AWSPENDING is on the version {version}, which is not current{since}. The last \
                 attempt failed or was interrupted, and Secrets Manager rejects another rotation. \
                 {step}"
            ),
            remedy: "Read the cause in the function's log, correct it, and resume the rotation \
                with its version. Or cancel the rotation with the last two commands.",
            commands: self.with_log([
                self.on_secret("rotate-secret", &format!("--client-request-token {version}")),
                self.on_secret("cancel-rotate-secret", ""),
                self.on_secret(
                    "update-secret-version-stage",
                    &format!("--version-stage AWSPENDING --remove-from-version-id {version}"),
                ),
            ]),
        })
    }

    fn attempt_cancelled(&self) -> Option<Finding> {
        let versions = self.secret.versions.as_ref().ok()?;
        let current = self.secret.version(self.secret.version_with(CURRENT)?)?.created?;
        let newer = versions.iter().filter(|version| {
            !self.secret.labels.contains_key(&version.id)
                && version.created.is_some_and(|created| created > current)
        });
        let newest = newer.max_by_key(|version| version.created)?;
        Some(Finding {
            kind: Kind::AttemptCancelled,
            message: format!(
                "The version {} is newer than the current one and has no staging label: a rotation \
                 stored a value {} and was cancelled. The database may have its password.",
                newest.id,
                newest.created.map_or_else(String::new, |created| age(self.now, created)),
            ),
            remedy: "Check that applications can log in, and rotate. The functions of this project \
                find the password in that version if the database has it.",
            commands: vec![self.on_secret("rotate-secret", "")],
        })
    }

    fn rotation_off(&self) -> Option<Finding> {
        let function = self.secret.function()?;
        (!self.secret.is_enabled).then(|| Finding {
            kind: Kind::RotationOff,
            message: "Rotation is turned off, although the secret has a function. \
                CancelRotateSecret does this."
                .to_owned(),
            remedy: "Turn it on again, without rotating immediately.",
            commands: vec![self.on_secret(
                "rotate-secret",
                &format!("--rotation-lambda-arn {function} --no-rotate-immediately"),
            )],
        })
    }

    fn never_rotated(&self) -> Option<Finding> {
        let is_first = self.secret.is_enabled && self.secret.last_rotated.is_none();
        (is_first && self.unfinished.is_none()).then(|| Finding {
            kind: Kind::NeverRotated,
            message: "Rotation is on, and has never succeeded.".to_owned(),
            remedy: "Rotate now, to see whether it works. If the function is one of this project, \
                run its preflight check first.",
            commands: vec![self.on_secret("rotate-secret", "")],
        })
    }

    fn rotation_overdue(&self) -> Option<Finding> {
        let secret = self.secret;
        let is_running = self.unfinished.is_some_and(|unfinished| !unfinished.is_stuck);
        if !secret.is_enabled || is_running {
            return None;
        }
        // AWS leaves the date of a failed rotation in the past. A service that shows no date has
        // an interval; the rotation window adds a day at most.
        let from = secret.last_rotated.or(secret.created);
        let computed = || Some(from? + secret.interval? + TimeDelta::days(1));
        let due = secret.next_rotation.or_else(computed)?;
        (due < self.now).then(|| Finding {
            kind: Kind::RotationOverdue,
            message: format!(
                "The rotation was due {}. {}",
                age(self.now, due),
                secret.last_rotated.map_or_else(
                    || "The secret has never been rotated.".to_owned(),
                    |last| format!("The last one was {}.", age(self.now, last)),
                )
            ),
            remedy: "Find out why it did not happen, then rotate.",
            commands: self.with_log([self.on_secret("rotate-secret", "")]),
        })
    }

    fn function_missing(&self) -> Option<Finding> {
        let function = self.secret.function()?;
        matches!(self.function, Some(Function::Missing)).then(|| Finding {
            kind: Kind::FunctionMissing,
            message: format!("The function {function} does not exist, so every rotation fails."),
            remedy: "Deploy a function and assign it.",
            commands: vec![self.on_secret(
                "rotate-secret",
                "--rotation-lambda-arn FUNCTION-ARN --no-rotate-immediately",
            )],
        })
    }

    fn runtime_deprecated(&self) -> Option<Finding> {
        let Some(Function::Found(found)) = self.function else { return None };
        let runtime = found.runtime.as_deref()?;
        let since = deprecated_since(runtime, self.now)?;
        Some(Finding {
            kind: Kind::RuntimeDeprecated,
            message: format!(
                "The function runs on {runtime}, which Lambda deprecated on {since}. It gets no \
                 security updates."
            ),
            remedy: "Replace the function, or update it to a newer version. AWS's applications get \
                a newer runtime with a newer version of the application.",
            commands: Vec::new(),
        })
    }

    fn replica_not_in_sync(&self, replica: &Replica) -> Finding {
        let Replica { place, status, .. } = replica;
        let cause = replica.message.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
        let is_moving = status == "InProgress";
        let again = match &replica.settings {
            ReplicaSettings::Account { role } => {
                let role = role.as_ref().map(|role| format!(" --replication-role-arn {role}"));
                let role = role.unwrap_or_default();
                self.on_secret(
                    "associate-cross-account-replica",
                    &format!("--cross-account-replica-arn {place}{role}"),
                )
            }
            ReplicaSettings::Region { key } => {
                let key = key.as_deref().filter(|key| *key != "alias/aws/secretsmanager");
                let key = key.map(|key| format!(",KmsKeyId={key}")).unwrap_or_default();
                self.on_secret(
                    "replicate-secret-to-regions",
                    &format!("--add-replica-regions Region={place}{key}"),
                )
            }
        };
        Finding {
            kind: Kind::ReplicaNotInSync,
            message: format!("The replica in {place} is not in sync: {status}{cause}"),
            remedy: if is_moving {
                "Look again in a few minutes."
            } else {
                "Correct the cause, then replicate again."
            },
            commands: vec![if is_moving { self.on_secret("describe-secret", "") } else { again }],
        }
    }
}

/// Returns a date with its age, `2026-11-27 10:00 UTC (2 days ago)`.
fn age(now: DateTime<Utc>, then: DateTime<Utc>) -> String {
    let passed = now - then;
    let (number, unit) = match (passed.num_days(), passed.num_hours(), passed.num_minutes()) {
        (days, _, _) if days >= 2 => (days, "days"),
        (_, hours, _) if hours >= 2 => (hours, "hours"),
        (_, _, minutes) => (minutes.max(0), "minutes"),
    };
    format!("{} ({number} {unit} ago)", then.format("%Y-%m-%d %H:%M UTC"))
}

#[cfg(test)]
#[path = "findings/tests.rs"]
mod tests;
