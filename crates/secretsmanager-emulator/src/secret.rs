//! A secret with its versions and their staging labels, as [the service stores them][doc].
//!
//! [doc]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html

mod labels;
mod replication;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::ServiceError;
use crate::schedule::{Rules, Window};
use crate::scope::Scope;

pub(crate) use replication::{
    AccountReplica, Primary, Progress, RegionReplica, Replication, Status,
};

/// The staging label of the version that clients read by default.
pub const CURRENT: &str = "AWSCURRENT";
/// The staging label of the version that was current before.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// The staging label of the version that a rotation has not promoted yet.
pub const PENDING: &str = "AWSPENDING";

/// A secret with its versions.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secret {
    /// The id of the secret's account. `None` is the service's own account.
    #[serde(default)]
    pub(crate) account: Option<String>,
    /// The region of the secret.
    pub region: String,
    /// The name, which is unique in the region.
    pub name: String,
    /// The ARN, which contains the name and ends with a random suffix.
    pub arn: String,
    /// The description, if a request has set one.
    pub description: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    /// `true` if the secret has or had tags. After the last tag is removed, the list is empty.
    #[serde(default)]
    pub(crate) was_tagged: bool,
    pub(crate) created: f64,
    pub(crate) changed: f64,
    /// The day on which it was last read.
    pub(crate) accessed: Option<f64>,
    /// The scheduled deletion, if the secret is marked for deletion.
    pub deletion: Option<Deletion>,
    /// The rotation configuration. `None` until the secret is configured for rotation.
    pub rotation: Option<Rotation>,
    pub(crate) rotated: Option<f64>,
    /// The links to replicas, or to the primary.
    #[serde(default)]
    pub(crate) replication: Replication,
    /// The versions in the order in which they were created.
    pub versions: Vec<Version>,
}

/// The rotation configuration of a secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rotation {
    /// `true` until `CancelRotateSecret` turns rotation off.
    pub enabled: bool,
    /// The ARN of the rotation function.
    pub function: String,
    pub(crate) rules: Option<Rules>,
    /// The next rotation window. `None` without a schedule.
    pub next: Option<Window>,
}

/// The scheduled deletion of a secret.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Deletion {
    pub(crate) asked: f64,
    pub(crate) due: f64,
}

/// A version of a secret. A version that `RotateSecret` creates has no value until the function
/// stores one.
#[derive(Clone, Serialize, Deserialize)]
pub struct Version {
    /// The version id: the client request token of the request, or a UUID if it has none.
    pub id: String,
    /// The value. `None` until the function stores one.
    pub value: Option<SecretValue>,
    /// The KMS key that encrypts the value. `None` is the default key.
    pub(crate) key: Option<String>,
    /// The time at which the version was created, in seconds since 1970.
    pub created: f64,
    pub(crate) accessed: Option<f64>,
    /// The staging labels in the order in which they were attached.
    pub labels: Vec<String>,
    /// `true` if the version is a copy that exists only while `testSecret` runs on it.
    #[serde(default)]
    pub(crate) is_test_copy: bool,
}

/// The value of a version.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SecretValue {
    /// A text, from the parameter `SecretString`.
    Text(String),
    /// Bytes, decoded from the Base64 of the parameter `SecretBinary`.
    Binary(Vec<u8>),
}

impl Version {
    /// Returns the value if it is a string.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Some(SecretValue::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("arn", &self.arn).field("versions", &self.versions).finish()
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Version")
            .field("id", &self.id)
            .field("labels", &self.labels)
            .field("has_value", &self.value.is_some())
            .finish()
    }
}

type Result<T> = std::result::Result<T, ServiceError>;

impl Version {
    /// Returns the staging labels in alphabetical order, as the API returns them.
    pub(crate) fn sorted_labels(&self) -> Vec<&str> {
        let mut labels: Vec<&str> = self.labels.iter().map(String::as_str).collect();
        labels.sort_unstable();
        labels
    }

    pub(crate) fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|one| one == label)
    }

    /// Returns `true` if the version has no staging labels.
    pub fn is_deprecated(&self) -> bool {
        self.labels.is_empty()
    }
}

impl Secret {
    /// Creates a secret without versions.
    pub fn new(region: &str, name: &str, arn: String, now: f64) -> Self {
        Self {
            account: None,
            region: region.to_owned(),
            name: name.to_owned(),
            arn,
            description: None,
            kind: None,
            kms_key_id: None,
            policy: None,
            tags: BTreeMap::new(),
            was_tagged: false,
            created: now,
            changed: now,
            accessed: None,
            deletion: None,
            rotation: None,
            rotated: None,
            replication: Replication::default(),
            versions: Vec::new(),
        }
    }

    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope { account: self.account.as_deref(), region: &self.region }
    }

    pub(crate) fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Returns the version that has a staging label.
    pub fn labelled(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.has(label))
    }

    /// Returns the pending version of a rotation that has not finished.
    pub fn unfinished(&self) -> Option<&Version> {
        self.labelled(PENDING).filter(|pending| !pending.has(CURRENT) && !pending.is_test_copy)
    }

    /// Returns `true` if a staging label is attached to this version.
    pub fn is_labelled(&self, label: &str, id: &str) -> bool {
        self.labelled(label).is_some_and(|version| version.id == id)
    }

    pub(crate) fn ensure_not_deleted(&self) -> Result<()> {
        if self.deletion.is_none() {
            return Ok(());
        }
        Err(ServiceError::request(
            "You can't perform this operation on the secret because it was marked for deletion.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_value() {
        let mut secret = Secret::new("eu-west-1", "s", "arn".into(), 0.0);
        secret.put("v1".into(), SecretValue::Text("the-value".into()), None, 0.0).unwrap();
        assert!(!format!("{secret:?}").contains("the-value"));
    }
}
