//! Staging labels, which mark the current, the previous and the pending version.
//!
//! A label is attached to one version at a time. A version without labels is deprecated.

use super::{CURRENT, PENDING, PREVIOUS, Secret, SecretValue, Version};
use crate::clock::DAY;
use crate::error::ServiceError;

/// The maximum number of labels on a version.
const MAX_LABELS: usize = 20;
/// The number of deprecated versions that are kept. Versions of the last day are always kept.
const MAX_DEPRECATED: usize = 100;

type Result<T> = std::result::Result<T, ServiceError>;

impl Secret {
    /// Stores a value (`PutSecretValue`). Without labels it moves `AWSCURRENT` to the new version.
    /// If a version with the same id and value exists, nothing changes.
    pub(crate) fn put(
        &mut self,
        id: String,
        value: SecretValue,
        labels: Option<Vec<String>>,
        now: f64,
    ) -> Result<String> {
        let mut labels = labels.unwrap_or_else(|| vec![CURRENT.to_owned()]);
        if self.versions.iter().all(|version| version.value.is_none())
            && self.labelled(CURRENT).is_none()
        {
            // The first value of a secret becomes current, whatever labels the request has.
            labels.push(CURRENT.to_owned());
        }
        let key = self.kms_key_id.clone();
        match self.versions.iter_mut().find(|version| version.id == id) {
            Some(version) => match &version.value {
                Some(stored) if *stored == value => return Ok(id),
                Some(_) => {
                    return Err(ServiceError::exists(
                        "You can't modify an existing version, you can only create a new version.",
                    ));
                }
                None => (version.value, version.key) = (Some(value), key),
            },
            None => self.versions.push(Version {
                id: id.clone(),
                value: Some(value),
                key,
                created: now,
                accessed: None,
                labels: Vec::new(),
                is_test_copy: false,
            }),
        }
        for label in labels {
            self.give(&label, &id);
        }
        self.validate_label_count(&id)?;
        self.changed = now;
        self.prune_deprecated(now);
        Ok(id)
    }

    /// Stages the version of a rotation (`RotateSecret`): creates a version with `AWSPENDING` and
    /// no value, or keeps the one of an unfinished rotation with the same token.
    pub(crate) fn stage_pending(&mut self, token: &str, now: f64) -> Result<()> {
        let in_the_way = |pending: &Version| pending.id != token && !pending.has(CURRENT);
        if self.labelled(PENDING).is_some_and(in_the_way) {
            return Err(ServiceError::request(
                "A previous rotation isn't complete. That rotation will be reattempted.",
            ));
        }
        match self.version(token) {
            // The rotation with this token has finished, or is still running.
            Some(version) if version.has(CURRENT) || version.has(PENDING) => return Ok(()),
            Some(version) if version.value.is_some() => {
                return Err(ServiceError::parameter(format!(
                    "ClientRequestToken: the secret already has a version {token}, which is not \
                     the pending version of a rotation."
                )));
            }
            Some(_) => {}
            None => self.versions.push(Version {
                id: token.to_owned(),
                value: None,
                key: None,
                created: now,
                accessed: None,
                labels: Vec::new(),
                is_test_copy: false,
            }),
        }
        self.give(PENDING, token);
        Ok(())
    }

    /// Moves, attaches or removes a label (`UpdateSecretVersionStage`).
    pub(crate) fn move_label(
        &mut self,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
        now: f64,
    ) -> Result<()> {
        for id in [from, to].into_iter().flatten() {
            if self.version(id).is_none() {
                return Err(ServiceError::new(
                    "ResourceNotFoundException",
                    format!("Secrets Manager can't find the specified secret version: {id}."),
                ));
            }
        }
        if from.is_none() && to.is_none() {
            return Err(ServiceError::parameter(
                "RemoveFromVersionId and MoveToVersionId can't both be empty.",
            ));
        }
        let holder = self.labelled(label).map(|version| version.id.clone());
        match (&holder, from) {
            (Some(holder), Some(from)) if holder != from => {
                return Err(ServiceError::parameter(format!(
                    "The parameter RemoveFromVersionId can't be {from}: the label {label} is \
                     attached to {holder}."
                )));
            }
            (Some(holder), None) if to.is_some_and(|to| to != holder) => {
                return Err(ServiceError::parameter(format!(
                    "The parameter RemoveFromVersionId can't be empty. Staging label {label} is \
                     currently attached to version {holder}, so you must explicitly reference that \
                     version in RemoveFromVersionId."
                )));
            }
            (None, Some(from)) => {
                return Err(ServiceError::parameter(format!(
                    "The label {label} is not attached to version {from}."
                )));
            }
            _ => {}
        }
        match to {
            Some(to) => {
                self.give(label, to);
                self.validate_label_count(to)?;
            }
            None if label == CURRENT => {
                return Err(ServiceError::parameter(
                    "You can't remove AWSCURRENT, you can only move it.",
                ));
            }
            None => self.take(label),
        }
        self.changed = now;
        Ok(())
    }

    /// Moves a label to a version. If the label is `AWSCURRENT`, the version that had it gets
    /// `AWSPREVIOUS`, and loses an `AWSPENDING` that a finished rotation has left on it.
    fn give(&mut self, label: &str, id: &str) {
        if self.is_labelled(label, id) {
            return;
        }
        let holder = self.labelled(label).map(|version| (version.id.clone(), version.has(PENDING)));
        self.take(label);
        if let Some(version) = self.versions.iter_mut().find(|version| version.id == id) {
            version.labels.push(label.to_owned());
        }
        if let (CURRENT, Some((holder, was_pending))) = (label, holder) {
            if was_pending {
                self.take(PENDING);
            }
            self.give(PREVIOUS, &holder);
        }
    }

    fn take(&mut self, label: &str) {
        for version in &mut self.versions {
            version.labels.retain(|one| one != label);
        }
    }

    fn validate_label_count(&self, id: &str) -> Result<()> {
        if self.version(id).is_none_or(|version| version.labels.len() <= MAX_LABELS) {
            return Ok(());
        }
        Err(ServiceError::new(
            "LimitExceededException",
            format!("A version can have at most {MAX_LABELS} staging labels."),
        ))
    }

    fn prune_deprecated(&mut self, now: f64) {
        let deprecated = self.versions.iter().filter(|version| version.is_deprecated()).count();
        let mut surplus = deprecated.saturating_sub(MAX_DEPRECATED);
        self.versions.retain(|version| {
            let goes = surplus > 0 && version.is_deprecated() && now - version.created > DAY;
            surplus -= usize::from(goes);
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> SecretValue {
        SecretValue::Text(text.to_owned())
    }

    fn put(secret: &mut Secret, id: &str, value: &str, labels: Option<&[&str]>) -> Result<String> {
        let labels = labels.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect());
        secret.put(id.to_owned(), text(value), labels, 1.0)
    }

    fn secret() -> Secret {
        let mut secret = Secret::new("eu-west-1", "s", "arn".into(), 0.0);
        put(&mut secret, "v1", "one", None).unwrap();
        secret
    }

    fn labels<'a>(secret: &'a Secret, id: &str) -> &'a [String] {
        &secret.version(id).unwrap().labels
    }

    #[test]
    fn second_rotation_is_rejected_while_one_is_pending() {
        let mut secret = secret();
        secret.stage_pending("v2", 1.0).unwrap();
        assert_eq!(labels(&secret, "v2"), ["AWSPENDING"]);
        assert!(secret.version("v2").unwrap().value.is_none());
        assert_eq!(secret.stage_pending("v3", 1.0).unwrap_err().code, "InvalidRequestException");
        secret.stage_pending("v2", 1.0).unwrap();
    }

    #[test]
    fn promotion_names_the_holder_and_moves_awsprevious() {
        let mut secret = secret();
        secret.stage_pending("v2", 1.0).unwrap();
        put(&mut secret, "v2", "two", Some(&[PENDING])).unwrap();
        for from in [None, Some("v2")] {
            let error = secret.move_label(CURRENT, from, Some("v2"), 1.0).unwrap_err();
            assert_eq!(error.code, "InvalidParameterException");
        }
        secret.move_label(CURRENT, Some("v1"), Some("v2"), 1.0).unwrap();
        assert_eq!(labels(&secret, "v2"), ["AWSPENDING", "AWSCURRENT"]);
        assert_eq!(labels(&secret, "v1"), ["AWSPREVIOUS"]);
        secret.stage_pending("v3", 1.0).unwrap();
        assert_eq!(labels(&secret, "v2"), ["AWSCURRENT"]);
    }

    /// Otherwise a value that the operator stores after a rotation would make the service reject
    /// the next rotation.
    #[test]
    fn next_value_removes_leftover_awspending() {
        let mut secret = secret();
        put(&mut secret, "v2", "two", Some(&[PENDING])).unwrap();
        secret.move_label(CURRENT, Some("v1"), Some("v2"), 1.0).unwrap();
        put(&mut secret, "v3", "three", None).unwrap();
        assert_eq!(labels(&secret, "v2"), ["AWSPREVIOUS"]);
        secret.stage_pending("v4", 1.0).unwrap();
    }

    #[test]
    fn known_token_with_other_value_is_rejected() {
        let mut secret = secret();
        assert_eq!(put(&mut secret, "v1", "one", None).unwrap(), "v1");
        let error = put(&mut secret, "v1", "two", None).unwrap_err();
        assert_eq!(error.code, "ResourceExistsException");
    }

    #[test]
    fn value_without_labels_becomes_current() {
        let mut secret = secret();
        put(&mut secret, "v2", "two", None).unwrap();
        assert!(secret.is_labelled(CURRENT, "v2") && secret.is_labelled(PREVIOUS, "v1"));
    }

    #[test]
    fn version_has_at_most_twenty_labels() {
        let mut secret = secret();
        for number in 0..19 {
            secret.move_label(&format!("label-{number}"), None, Some("v1"), 1.0).unwrap();
        }
        let error = secret.move_label("one more", None, Some("v1"), 1.0).unwrap_err();
        assert_eq!(error.code, "LimitExceededException");
    }

    #[test]
    fn deprecated_versions_older_than_a_day_are_pruned() {
        let mut secret = secret();
        for number in 0..150 {
            secret.put(format!("w{number}"), text("x"), None, f64::from(number)).unwrap();
        }
        assert_eq!(secret.versions.len(), 151);
        secret.put("last".into(), text("x"), None, DAY + 200.0).unwrap();
        assert_eq!(secret.versions.len(), MAX_DEPRECATED + 2);
    }
}
