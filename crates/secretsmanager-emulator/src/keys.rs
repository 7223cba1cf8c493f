//! KMS keys. The service stores only which keys are disabled, because that decides which values it
//! can read and write.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::ServiceError;

/// The AWS managed key, which encrypts secrets that do not name a key.
pub(crate) const DEFAULT_KEY: &str = "alias/aws/secretsmanager";

/// Returns a key that a request names, or `None` for the default key. An empty id is the default
/// key, too.
pub(crate) fn non_default(key: Option<&str>) -> Option<&str> {
    key.filter(|key| !key.is_empty() && *key != DEFAULT_KEY)
}

/// The disabled keys. Every other key exists and is enabled.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Keys {
    pub(crate) disabled: BTreeSet<String>,
}

/// Returns the part of a key's ARN after `key/`, the alias in an alias ARN, or else `key` itself.
pub(crate) fn id_of(key: &str) -> &str {
    match key.split(':').next_back() {
        Some(resource) if key.starts_with("arn:") => {
            resource.strip_prefix("key/").unwrap_or(resource)
        }
        _ => key,
    }
}

impl Keys {
    /// Returns `true` if a key can encrypt and decrypt. `None` is the default key.
    pub(crate) fn are_usable(&self, key: Option<&str>) -> bool {
        key.is_none_or(|key| !self.disabled.contains(id_of(key)))
    }

    pub(crate) fn ensure_can_encrypt(&self, key: Option<&str>) -> Result<(), ServiceError> {
        if self.are_usable(key) {
            return Ok(());
        }
        Err(ServiceError::new(
            "EncryptionFailure",
            "Secrets Manager can't encrypt the protected secret text using the provided KMS key. \
             Check that the KMS key is available, enabled, and not in an invalid state.",
        ))
    }

    pub(crate) fn ensure_can_decrypt(&self, key: Option<&str>) -> Result<(), ServiceError> {
        if self.are_usable(key) {
            return Ok(());
        }
        Err(ServiceError::new(
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_arn_and_id_name_the_same_key() {
        assert_eq!(id_of("arn:aws:kms:eu-west-1:123456789012:key/1234"), "1234");
        assert_eq!(id_of("arn:aws:kms:eu-west-1:123456789012:alias/mine"), "alias/mine");
        assert_eq!(id_of("1234"), "1234");
        let keys = Keys { disabled: BTreeSet::from(["1234".to_owned()]) };
        assert!(!keys.are_usable(Some("arn:aws:kms:eu-west-1:123456789012:key/1234")));
        assert!(keys.are_usable(None) && keys.are_usable(Some("other")));
    }
}
