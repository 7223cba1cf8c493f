//! KMS keys: only whether one is disabled, which decides what can still be read.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::error::ServiceError;

/// The key of an account that nobody has chosen.
pub(crate) const DEFAULT_KEY: &str = "alias/aws/secretsmanager";

/// The keys that are disabled; every other one is there.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Keys {
    pub(crate) disabled: BTreeSet<String>,
}

/// What stands behind `key/` in an ARN, an alias, or the id itself.
pub(crate) fn id_of(key: &str) -> &str {
    match key.split(':').next_back() {
        Some(resource) if key.starts_with("arn:") => {
            resource.strip_prefix("key/").unwrap_or(resource)
        }
        _ => key,
    }
}

impl Keys {
    /// Returns `true` if a value is, or can be, encrypted with a key. `None` is the default key.
    pub(crate) fn are_usable(&self, key: Option<&str>) -> bool {
        key.is_none_or(|key| !self.disabled.contains(id_of(key)))
    }

    pub(crate) fn must_encrypt(&self, key: Option<&str>) -> Result<(), ServiceError> {
        if self.are_usable(key) {
            return Ok(());
        }
        Err(ServiceError::new(
            "EncryptionFailure",
            "Secrets Manager can't encrypt the protected secret text using the provided KMS key. Check that the KMS key is \
             available, enabled, and not in an invalid state.",
        ))
    }

    pub(crate) fn must_decrypt(&self, key: Option<&str>) -> Result<(), ServiceError> {
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
    fn a_key_is_one_by_its_arn_and_by_its_id() {
        assert_eq!(id_of("arn:aws:kms:eu-west-1:123456789012:key/1234"), "1234");
        assert_eq!(id_of("arn:aws:kms:eu-west-1:123456789012:alias/mine"), "alias/mine");
        assert_eq!(id_of("1234"), "1234");
        let keys = Keys { disabled: BTreeSet::from(["1234".to_owned()]) };
        assert!(!keys.are_usable(Some("arn:aws:kms:eu-west-1:123456789012:key/1234")));
        assert!(keys.are_usable(None) && keys.are_usable(Some("other")));
    }
}
