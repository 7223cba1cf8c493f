//! The part of KMS that shows how secrets behave when their key is disabled: `aws kms disable-key`,
//! `enable-key` and `describe-key`. Every key that a request names exists.

use serde_json::{Value, json};

use crate::error::ServiceError;
use crate::keys::{DEFAULT_KEY, id_of};
use crate::store::Store;

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
            "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: \
             Member must not be null",
        ));
    }
    let id = id_of(key);
    let mut keys = store.keys().clone();
    match operation {
        "DisableKey" if id == DEFAULT_KEY => {
            return Err(ServiceError::new(
                "AccessDeniedException",
                "The AWS managed key of Secrets Manager can't be disabled. Set a customer managed \
                 key with aws secretsmanager update-secret --kms-key-id.",
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
                    "{other} is not supported here. The supported operations of KMS are \
                     DisableKey, EnableKey and DescribeKey."
                ),
            ));
        }
    }
    store.set_keys(keys)?;
    Ok(json!({}))
}
