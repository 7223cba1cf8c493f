//! A secret with its versions and their staging labels, as [the service stores them][doc].
//!
//! [doc]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html

mod labels;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::ServiceError;
use super::schedule::{Rules, Window};

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";
pub(crate) const PENDING: &str = "AWSPENDING";

/// A secret with its versions.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) description: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) policy: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created: f64,
    pub(crate) changed: f64,
    /// The day on which it was last read.
    pub(crate) accessed: Option<f64>,
    pub(crate) deletion: Option<Deletion>,
    pub(crate) rotation: Option<Rotation>,
    pub(crate) rotated: Option<f64>,
    /// The versions in the order in which they were created.
    pub(crate) versions: Vec<Version>,
}

/// The rotation configuration of a secret. A secret has none until it is configured for rotation.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Rotation {
    pub(crate) enabled: bool,
    pub(crate) function: String,
    pub(crate) rules: Option<Rules>,
    pub(crate) next: Option<Window>,
}

/// The scheduled deletion of a secret.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Deletion {
    pub(crate) asked: f64,
    pub(crate) due: f64,
}

/// A version of a secret. A version that `RotateSecret` creates has no value until the function
/// stores one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) value: Option<SecretValue>,
    /// The KMS key that encrypts the value. `None` is the default key.
    pub(crate) key: Option<String>,
    pub(crate) created: f64,
    pub(crate) accessed: Option<f64>,
    /// The staging labels in the order in which they were attached.
    pub(crate) labels: Vec<String>,
    /// `true` if the version is a copy that exists only while `testSecret` runs on it.
    #[serde(default)]
    pub(crate) is_test_copy: bool,
}

/// The value of a version.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SecretValue {
    Text(String),
    Binary(Vec<u8>),
}

impl Version {
    /// Returns the value if it is a string.
    pub(crate) fn text(&self) -> Option<&str> {
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
    pub(crate) fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|one| one == label)
    }

    pub(crate) fn is_deprecated(&self) -> bool {
        self.labels.is_empty()
    }
}

impl Secret {
    /// Creates a secret without versions.
    pub(crate) fn new(region: &str, name: &str, arn: String, now: f64) -> Self {
        Self {
            region: region.to_owned(),
            name: name.to_owned(),
            arn,
            description: None,
            kind: None,
            kms_key_id: None,
            policy: None,
            tags: BTreeMap::new(),
            created: now,
            changed: now,
            accessed: None,
            deletion: None,
            rotation: None,
            rotated: None,
            versions: Vec::new(),
        }
    }

    pub(crate) fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// Returns the version that has a staging label.
    pub(crate) fn labelled(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.has(label))
    }

    /// Returns the pending version of a rotation that has not finished.
    pub(crate) fn unfinished(&self) -> Option<&Version> {
        self.labelled(PENDING).filter(|pending| !pending.has(CURRENT) && !pending.is_test_copy)
    }

    /// Returns `true` if a staging label is attached to this version.
    pub(crate) fn is_labelled(&self, label: &str, id: &str) -> bool {
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
