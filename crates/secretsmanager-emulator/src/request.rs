//! A request whose members have been validated.

use serde_json::Value;

use crate::error::ServiceError;
use crate::keys;
use crate::model;
use crate::scope::Scope;
use crate::secret::SecretValue;

/// The maximum length of a value in bytes.
const MAX_VALUE_BYTES: usize = 65536;

/// A request whose members satisfy the limits of its operation.
pub(crate) struct Request<'a> {
    /// The account and the region that the request is sent to.
    pub(crate) scope: Scope<'a>,
    /// The time at which it arrived, in seconds since 1970.
    pub(crate) now: f64,
    pub(crate) body: &'a Value,
}

impl<'a> Request<'a> {
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.body.get(name).and_then(Value::as_str)
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        self.body.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.body.get(name).and_then(Value::as_i64)
    }

    pub(crate) fn list(&self, name: &str) -> Option<&'a [Value]> {
        self.body.get(name).and_then(Value::as_array).map(Vec::as_slice)
    }

    pub(crate) fn texts(&self, name: &str) -> Option<Vec<String>> {
        let texts = self.list(name)?.iter().filter_map(Value::as_str);
        Some(texts.map(str::to_owned).collect())
    }

    /// Returns `SecretId`, which is a name or an ARN. Validation has ensured that it is present.
    pub(crate) fn secret_id(&self) -> Result<&'a str, ServiceError> {
        let id = self.text("SecretId").unwrap_or_default();
        if !id.starts_with("arn:") {
            validate_name(id)?;
        }
        Ok(id)
    }

    /// Returns `ClientRequestToken`, or generates one.
    pub(crate) fn token(&self) -> String {
        self.text("ClientRequestToken")
            .map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned)
    }

    /// Returns `SecretString` or `SecretBinary`.
    pub(crate) fn value(&self) -> Result<Option<SecretValue>, ServiceError> {
        let binary = self.body.get("SecretBinary").and_then(model::blob);
        match (self.text("SecretString"), binary) {
            (Some(_), Some(_)) => Err(ServiceError::parameter(
                "You can't specify both a binary secret value and a string secret value in the \
                 same secret.",
            )),
            // Validation counts characters, each of which can have several bytes.
            (Some(text), None) if text.len() > MAX_VALUE_BYTES => {
                Err(ServiceError::validation(format!(
                    "1 validation error detected: Value at 'secretString' failed to satisfy \
                     constraint: Member must have length less than or equal to {MAX_VALUE_BYTES} \
                     (it is {} bytes)",
                    text.len()
                )))
            }
            (Some(text), None) => Ok(Some(SecretValue::Text(text.to_owned()))),
            (None, Some(bytes)) => Ok(Some(SecretValue::Binary(bytes))),
            (None, None) => Ok(None),
        }
    }

    /// Returns `KmsKeyId`, or `None` for the default key.
    pub(crate) fn key(&self) -> Option<&'a str> {
        keys::non_default(self.text("KmsKeyId"))
    }
}

/// Rejects characters that the name of a secret cannot have.
pub(crate) fn validate_name(name: &str) -> Result<(), ServiceError> {
    if name.chars().all(|c| c.is_ascii_alphanumeric() || "-/_+=.@!".contains(c)) {
        return Ok(());
    }
    Err(ServiceError::validation(
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the \
         following: -/_+=.@!",
    ))
}
