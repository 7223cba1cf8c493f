//! As much of KMS as shows what becomes of secrets whose key is disabled: `aws kms disable-key`,
//! `enable-key`, `describe-key`. Every key that is named is there.

use serde_json::{Value, json};

use super::error::ServiceError;
use super::keys::{DEFAULT_KEY, id_of};
use super::store::Store;

/// Performs an operation of KMS.
pub(super) fn perform(
    operation: &str,
    store: &mut Store,
    region: &str,
    body: &Value,
) -> Result<Value, ServiceError> {
    let key = body["KeyId"].as_str().unwrap_or_default();
    if key.is_empty() {
        return Err(ServiceError::validation(
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
        ));
    }
    let id = id_of(key);
    let mut keys = store.keys().clone();
    match operation {
        "DisableKey" if id == DEFAULT_KEY => {
            return Err(ServiceError::new(
                "AccessDeniedException",
                "AWS's own key of Secrets Manager can't be disabled. Give the secret one of yours: update-secret --kms-key-id.",
            ));
        }
        "DisableKey" => drop(keys.disabled.insert(id.to_owned())),
        "EnableKey" => drop(keys.disabled.remove(id)),
        "DescribeKey" => {
            let enabled = keys.are_usable(Some(id));
            return Ok(json!({"KeyMetadata": {
                "KeyId": id,
                "Arn": format!("arn:aws:kms:{region}:{}:key/{id}", store.account()),
                "Enabled": enabled,
                "KeyState": if enabled { "Enabled" } else { "Disabled" },
                "AWSAccountId": store.account(),
            }}));
        }
        other => {
            return Err(ServiceError::new(
                "UnknownOperationException",
                format!(
                    "Of KMS there are DisableKey, EnableKey and DescribeKey here, not {other}."
                ),
            ));
        }
    }
    store.set_keys(keys)?;
    Ok(json!({}))
}
