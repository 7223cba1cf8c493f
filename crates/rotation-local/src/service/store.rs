//! Secrets, versions and staging labels, as [the service keeps them][doc].
//!
//! [doc]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::error::ServiceError;

pub(crate) const CURRENT: &str = "AWSCURRENT";
pub(crate) const PREVIOUS: &str = "AWSPREVIOUS";
pub(crate) const PENDING: &str = "AWSPENDING";

const ACCOUNT: &str = "123456789012";

/// All secrets of the one account, by name.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Store {
    pub(crate) secrets: BTreeMap<String, Secret>,
}

/// One secret.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) description: Option<String>,
    pub(crate) kms_key_id: Option<String>,
    pub(crate) created: f64,
    pub(crate) changed: f64,
    pub(crate) rotated: Option<f64>,
    /// Absent until rotation is configured for the first time.
    pub(crate) rotation_enabled: Option<bool>,
    pub(crate) rotation_lambda_arn: Option<String>,
    pub(crate) automatically_after_days: Option<u64>,
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) versions: BTreeMap<String, Version>,
}

/// One version. A version that `RotateSecret` has made has no value until the function puts one.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) value: Option<String>,
    pub(crate) created: f64,
    pub(crate) labels: BTreeSet<String>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("arn", &self.arn).field("versions", &self.versions).finish()
    }
}

impl std::fmt::Debug for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Version")
            .field("labels", &self.labels)
            .field("has_value", &self.value.is_some())
            .finish()
    }
}

type Result<T> = std::result::Result<T, ServiceError>;

/// Seconds since 1970, as the service's JSON has them.
pub(crate) fn now() -> f64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (now.as_secs_f64() * 1000.0).floor() / 1000.0
}

impl Store {
    /// Makes a secret; its first version is `AWSCURRENT`.
    pub(crate) fn create(
        &mut self,
        region: &str,
        name: &str,
        value: Option<String>,
        token: Option<String>,
    ) -> Result<(&mut Secret, Option<String>)> {
        if self.secrets.contains_key(name) {
            return Err(ServiceError::exists(format!(
                "The operation failed because the secret {name} already exists."
            )));
        }
        // The service adds a dash and six random characters.
        let suffix: String = Uuid::new_v4().simple().to_string().chars().take(6).collect();
        let arn = format!("arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-{suffix}");
        self.insert(name, arn, value, token)
    }

    /// The same under an ARN that is known already.
    pub(crate) fn insert(
        &mut self,
        name: &str,
        arn: String,
        value: Option<String>,
        token: Option<String>,
    ) -> Result<(&mut Secret, Option<String>)> {
        let now = now();
        let secret = self.secrets.entry(name.to_owned()).or_insert(Secret {
            name: name.to_owned(),
            arn,
            description: None,
            kms_key_id: None,
            created: now,
            changed: now,
            rotated: None,
            rotation_enabled: None,
            rotation_lambda_arn: None,
            automatically_after_days: None,
            tags: BTreeMap::new(),
            versions: BTreeMap::new(),
        });
        let version = match value {
            Some(value) => Some(secret.put(token, value, None)?),
            None => None,
        };
        Ok((secret, version))
    }

    /// Finds a secret by name, ARN, or ARN without its random suffix.
    pub(crate) fn find(&self, id: &str) -> Result<&Secret> {
        let found = self.secrets.get(id).or_else(|| {
            self.secrets.values().find(|secret| {
                secret.arn == id
                    || (id.starts_with("arn:")
                        && secret
                            .arn
                            .strip_prefix(id)
                            .is_some_and(|rest| rest.len() == 7 && rest.starts_with('-')))
            })
        });
        found.ok_or_else(ServiceError::not_found)
    }

    pub(crate) fn find_mut(&mut self, id: &str) -> Result<&mut Secret> {
        let name = self.find(id)?.name.clone();
        self.secrets.get_mut(&name).ok_or_else(ServiceError::not_found)
    }
}

impl Secret {
    /// The version that holds a label.
    pub(crate) fn labelled(&self, label: &str) -> Option<&str> {
        let found = self.versions.iter().find(|(_, version)| version.labels.contains(label));
        found.map(|(id, _)| id.as_str())
    }

    /// `PutSecretValue`: without labels it moves `AWSCURRENT`; a known token with the same value is no change.
    pub(crate) fn put(
        &mut self,
        token: Option<String>,
        value: String,
        labels: Option<BTreeSet<String>>,
    ) -> Result<String> {
        let id = token.unwrap_or_else(|| Uuid::new_v4().to_string());
        let mut labels = labels.unwrap_or_else(|| BTreeSet::from([CURRENT.to_owned()]));
        if self.versions.values().all(|version| version.value.is_none()) && self.labelled(CURRENT).is_none() {
            // The first value of a secret is its current one, whatever was asked for.
            labels.insert(CURRENT.to_owned());
        }
        match self.versions.get_mut(&id) {
            Some(version) => match &version.value {
                Some(stored) if *stored == value => return Ok(id),
                Some(_) => {
                    return Err(ServiceError::exists(
                        "You can't modify an existing version, you can only create a new version.",
                    ));
                }
                None => version.value = Some(value),
            },
            None => {
                let version = Version { value: Some(value), created: now(), labels: BTreeSet::new() };
                self.versions.insert(id.clone(), version);
            }
        }
        for label in labels {
            self.give(&label, &id);
        }
        self.changed = now();
        Ok(id)
    }

    /// `RotateSecret`: a new version with `AWSPENDING` and no value.
    pub(crate) fn stage_pending(&mut self, token: &str) -> Result<()> {
        let pending = self.labelled(PENDING);
        if pending.is_some_and(|id| id != token && self.labelled(CURRENT) != Some(id)) {
            return Err(ServiceError::request(
                "A previous rotation isn't complete. That rotation will be reattempted.",
            ));
        }
        if self.versions.get(token).is_some_and(|version| version.labels.contains(CURRENT)) {
            return Ok(());
        }
        let empty = Version { value: None, created: now(), labels: BTreeSet::new() };
        self.versions.entry(token.to_owned()).or_insert(empty);
        self.give(PENDING, token);
        Ok(())
    }

    /// `UpdateSecretVersionStage`.
    pub(crate) fn move_label(&mut self, label: &str, from: Option<&str>, to: Option<&str>) -> Result<()> {
        for id in [from, to].into_iter().flatten() {
            if !self.versions.contains_key(id) {
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
        let holder = self.labelled(label).map(str::to_owned);
        match (&holder, from) {
            (Some(holder), Some(from)) if holder != from => {
                return Err(ServiceError::parameter(format!(
                    "The parameter RemoveFromVersionId can't be {from}: the label {label} is attached to {holder}."
                )));
            }
            (Some(holder), None) if to.is_some_and(|to| to != holder) => {
                return Err(ServiceError::parameter(format!(
                    "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached \
                     to version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
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
            Some(to) => self.give(label, to),
            None if label == CURRENT => {
                return Err(ServiceError::parameter("You can't remove AWSCURRENT, you can only move it."));
            }
            None => self.versions.values_mut().for_each(|version| {
                version.labels.remove(label);
            }),
        }
        self.changed = now();
        Ok(())
    }

    /// Attaches a label, which is on one version at a time. `AWSPREVIOUS` follows `AWSCURRENT`.
    fn give(&mut self, label: &str, id: &str) {
        let holder = self.labelled(label).map(str::to_owned);
        if holder.as_deref() == Some(id) {
            return;
        }
        for version in self.versions.values_mut() {
            version.labels.remove(label);
        }
        if let Some(version) = self.versions.get_mut(id) {
            version.labels.insert(label.to_owned());
        }
        if let (CURRENT, Some(holder)) = (label, holder) {
            self.give(PREVIOUS, &holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        let mut store = Store::default();
        store.create("eu-west-1", "s", Some("one".into()), Some("v1".into())).unwrap();
        store.find("s").unwrap().clone()
    }

    fn labels(secret: &Secret, id: &str) -> Vec<String> {
        secret.versions[id].labels.iter().cloned().collect()
    }

    #[test]
    fn a_rotation_stages_a_version_without_value_and_refuses_a_second_one() {
        let mut secret = secret();
        secret.stage_pending("v2").unwrap();
        assert_eq!(labels(&secret, "v2"), ["AWSPENDING"]);
        assert!(secret.versions["v2"].value.is_none());
        assert_eq!(secret.stage_pending("v3").unwrap_err().code, "InvalidRequestException");
        secret.stage_pending("v2").unwrap();
    }

    #[test]
    fn promotion_moves_previous_along_and_must_name_the_holder() {
        let mut secret = secret();
        secret.stage_pending("v2").unwrap();
        secret.put(Some("v2".into()), "two".into(), Some(BTreeSet::from([PENDING.into()]))).unwrap();
        assert_eq!(
            secret.move_label(CURRENT, None, Some("v2")).unwrap_err().code,
            "InvalidParameterException"
        );
        assert_eq!(
            secret.move_label(CURRENT, Some("v2"), Some("v2")).unwrap_err().code,
            "InvalidParameterException"
        );
        secret.move_label(CURRENT, Some("v1"), Some("v2")).unwrap();
        assert_eq!(labels(&secret, "v2"), ["AWSCURRENT", "AWSPENDING"]);
        assert_eq!(labels(&secret, "v1"), ["AWSPREVIOUS"]);
        secret.stage_pending("v3").unwrap();
        assert_eq!(labels(&secret, "v2"), ["AWSCURRENT"]);
    }

    #[test]
    fn a_known_token_is_no_change_with_the_same_value_and_refused_with_another() {
        let mut secret = secret();
        assert_eq!(secret.put(Some("v1".into()), "one".into(), None).unwrap(), "v1");
        let error = secret.put(Some("v1".into()), "two".into(), None).unwrap_err();
        assert_eq!(error.code, "ResourceExistsException");
    }

    #[test]
    fn a_value_without_labels_becomes_current() {
        let mut secret = secret();
        secret.put(Some("v2".into()), "two".into(), None).unwrap();
        assert_eq!((secret.labelled(CURRENT), secret.labelled(PREVIOUS)), (Some("v2"), Some("v1")));
    }

    #[test]
    fn an_arn_is_found_with_and_without_its_suffix() {
        let mut store = Store::default();
        let arn = store.create("eu-west-1", "a/b", Some("x".into()), None).unwrap().0.arn.clone();
        for id in ["a/b", &arn, &arn[..arn.len() - 7]] {
            assert_eq!(store.find(id).unwrap().name, "a/b");
        }
        assert!(store.find("a").is_err());
    }

    #[test]
    fn debug_output_shows_no_value() {
        assert!(!format!("{:?}", secret()).contains("one"));
    }
}
