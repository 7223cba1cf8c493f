//! The facts about secrets with rotation that Secrets Manager and Lambda report.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use secretsmanager_emulator::{CURRENT, PENDING};

use super::arn::FunctionArn;

/// A fact, or the reason why it is not known.
pub(super) type Known<T> = Result<T, NotKnown>;

/// The reason why a fact is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotKnown {
    /// The action that IAM must allow, such as `lambda:ListTags`.
    pub(super) action: &'static str,
    /// The cause, as the service or the SDK reports it.
    pub(super) cause: String,
    /// `true` if IAM denies the action.
    pub(super) is_denied: bool,
}

/// The function or the service that rotates a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rotator {
    /// A Lambda function rotates it.
    Function(FunctionArn),
    /// A service of AWS that owns the secret, such as `rds`.
    Service(String),
    /// Secrets Manager itself, for a managed external secret of this type.
    External(String),
    /// The API names no function and no service.
    Unknown,
}

/// A secret with rotation.
#[derive(Debug, Clone)]
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) rotator: Rotator,
    /// Rotation is on. `CancelRotateSecret` turns it off.
    pub(super) is_enabled: bool,
    /// The schedule expression, or the number of days between rotations.
    pub(super) schedule: Option<String>,
    /// The time between rotations, if it is a number of days.
    pub(super) interval: Option<TimeDelta>,
    pub(super) created: Option<DateTime<Utc>>,
    pub(super) changed: Option<DateTime<Utc>>,
    pub(super) last_rotated: Option<DateTime<Utc>>,
    pub(super) next_rotation: Option<DateTime<Utc>>,
    /// The staging labels of each version that has any.
    pub(super) labels: BTreeMap<String, Vec<String>>,
    /// The versions that have a value, also without labels.
    pub(super) versions: Known<Vec<Version>>,
    pub(super) replicas: Known<Vec<Replica>>,
}

/// A version of a secret that has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) id: String,
    pub(super) created: Option<DateTime<Utc>>,
}

/// A replica of a secret in another Region or account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replica {
    /// The Region, or the ARN of a replica in another account.
    pub(super) place: String,
    pub(super) settings: ReplicaSettings,
    /// The status, as Secrets Manager reports it: `InSync`, `InProgress`, `Failed`.
    pub(super) status: String,
    pub(super) message: Option<String>,
}

/// The settings with which a replica was created or associated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ReplicaSettings {
    /// The KMS key of a replica in another Region.
    Region { key: Option<String> },
    /// The ARN of the role that replicates to another account, if it is not the caller.
    Account { role: Option<String> },
}

/// A rotation function, as Lambda reports it.
#[derive(Debug, Clone)]
pub(super) enum Function {
    /// The function exists, with this configuration.
    Found(Box<Configuration>),
    /// Lambda reports that there is no such function.
    Missing,
    /// Lambda was not asked, or did not answer.
    NotKnown(NotKnown),
}

/// The part of a function's configuration that shows which function it is. The environment
/// variables are not in it, because they can contain credentials.
#[derive(Debug, Clone)]
pub(super) struct Configuration {
    /// The runtime. `None` for a container image.
    pub(super) runtime: Option<String>,
    pub(super) handler: Option<String>,
    pub(super) description: Option<String>,
    pub(super) log_group: Option<String>,
    pub(super) tags: Known<BTreeMap<String, String>>,
}

impl Secret {
    /// Returns the version with a staging label.
    pub(super) fn version_with(&self, label: &str) -> Option<&str> {
        let has = |labels: &Vec<String>| labels.iter().any(|found| found == label);
        self.labels.iter().find(|(_, labels)| has(labels)).map(|(id, _)| id.as_str())
    }

    /// Returns the version of a rotation that is unfinished: it has `AWSPENDING`, and is not the
    /// version with `AWSCURRENT`.
    pub(super) fn unfinished_version(&self) -> Option<&str> {
        let pending = self.version_with(PENDING)?;
        (self.version_with(CURRENT) != Some(pending)).then_some(pending)
    }

    /// Returns a version that has a value, if the list of versions is known and has it.
    pub(super) fn version(&self, id: &str) -> Option<&Version> {
        self.versions.as_ref().ok()?.iter().find(|version| version.id == id)
    }

    /// Returns the function that rotates the secret.
    pub(super) fn function(&self) -> Option<&FunctionArn> {
        match &self.rotator {
            Rotator::Function(function) => Some(function),
            Rotator::Service(_) | Rotator::External(_) | Rotator::Unknown => None,
        }
    }
}
