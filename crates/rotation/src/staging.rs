//! The checks of the secret's staging labels before every step.

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::event::VersionId;
use crate::replicas::Replicas;

/// The staging label of the version that applications use.
pub const CURRENT: &str = "AWSCURRENT";
/// The staging label of the version that is being rotated to.
pub const PENDING: &str = "AWSPENDING";
/// The staging label of the version that was current before.
pub const PREVIOUS: &str = "AWSPREVIOUS";

/// The result of `DescribeSecret`, as far as a rotation needs it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Description {
    /// The field `RotationEnabled`. An absent field does not mean `false`: the service omits it
    /// while rotation is being set up.
    pub(crate) rotation_enabled: Option<bool>,
    /// The field `VersionIdsToStages`: the staging labels of each version, by version id.
    pub(crate) stages: HashMap<String, Vec<String>>,
    /// The fields `ReplicationStatus` and `CrossAccountReplicas`.
    pub(crate) replicas: Replicas,
}

/// The stage of the version in the event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Staging {
    /// The version is already `AWSCURRENT`, so the rotation is complete.
    AlreadyCurrent,
    /// The version is `AWSPENDING`. `current` is the version that is `AWSCURRENT`.
    Pending { current: Option<VersionId> },
}

impl Description {
    /// Returns the version of a rotation that is not complete. The service rejects another rotation
    /// until then.
    pub(crate) fn unfinished(&self) -> Option<&str> {
        let has = |labels: &[String], label: &str| labels.iter().any(|one| one == label);
        let pending =
            self.stages.iter().find(|(_, labels)| has(labels, PENDING) && !has(labels, CURRENT));
        pending.map(|(version, _)| version.as_str())
    }

    pub(crate) fn staging_of(&self, version: &VersionId) -> Result<Staging> {
        if self.rotation_enabled == Some(false) {
            return Err(Error::RotationNotEnabled);
        }
        let labels = match self.stages.get(version.as_str()) {
            Some(labels) if !labels.is_empty() => labels,
            _ => return Err(Error::VersionUnknown { version: version.to_string() }),
        };
        let has = |label: &str| labels.iter().any(|l| l == label);
        if has(CURRENT) {
            return Ok(Staging::AlreadyCurrent);
        }
        if !has(PENDING) {
            return Err(Error::VersionNotPending {
                version: version.to_string(),
                labels: labels.clone(),
            });
        }
        let current = self
            .stages
            .iter()
            .find(|(_, labels)| labels.iter().any(|label| label == CURRENT))
            .map(|(id, _)| VersionId::new(id));
        Ok(Staging::Pending { current })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(stages: &[(&str, &[&str])]) -> Description {
        let stages = stages.iter().map(|(id, labels)| {
            (id.to_string(), labels.iter().map(|label| label.to_string()).collect())
        });
        Description {
            rotation_enabled: Some(true),
            stages: stages.collect(),
            ..Description::default()
        }
    }

    fn check(description: &Description) -> Result<Staging> {
        description.staging_of(&VersionId::new("new"))
    }

    #[test]
    fn pending_version_returns_the_current_one() {
        let staging = check(&description(&[("old", &["AWSCURRENT"]), ("new", &["AWSPENDING"])]));
        assert_eq!(staging.unwrap(), Staging::Pending { current: Some(VersionId::new("old")) });
    }

    #[test]
    fn current_version_is_already_current() {
        for labels in [&["AWSCURRENT"][..], &["AWSPENDING", "AWSCURRENT"]] {
            assert_eq!(check(&description(&[("new", labels)])).unwrap(), Staging::AlreadyCurrent);
        }
    }

    #[test]
    fn version_without_pending_label_is_rejected() {
        let type_of = |description: &Description| check(description).unwrap_err().error_type();
        assert_eq!(type_of(&description(&[("old", &["AWSCURRENT"])])), "VersionUnknown");
        assert_eq!(type_of(&description(&[("new", &[])])), "VersionUnknown");
        assert_eq!(type_of(&description(&[("new", &["AWSPREVIOUS"])])), "VersionNotPending");
    }

    #[test]
    fn only_rotation_enabled_false_is_rejected() {
        let mut description = description(&[("new", &["AWSPENDING"])]);
        description.rotation_enabled = None;
        assert!(check(&description).is_ok());
        description.rotation_enabled = Some(false);
        assert_eq!(check(&description).unwrap_err().error_type(), "RotationNotEnabled");
    }
}
