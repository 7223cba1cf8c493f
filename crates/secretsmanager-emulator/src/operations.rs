//! The operations of Secrets Manager, from request to response JSON (see the [API reference][doc]).
//!
//! [doc]: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html

pub(crate) mod cross_account;
pub(crate) mod lists;
pub(crate) mod policies;
pub(crate) mod replicas;
pub(crate) mod rotation;
pub(crate) mod secrets;
pub(crate) mod tags;
pub(crate) mod values;
pub(crate) mod versions;

use serde_json::{Value, json};

use crate::error::ServiceError;
use crate::secret::Secret;

/// The response of an operation, and the rotation to start after it.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) answer: Value,
    pub(crate) start: Option<StartRotation>,
    /// The error to return instead of the response. A rotation can still start.
    pub(crate) refused: Option<ServiceError>,
}

impl From<Value> for Done {
    fn from(answer: Value) -> Self {
        Self { answer, start: None, refused: None }
    }
}

/// A rotation that was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartRotation {
    /// The region in which the secret is stored.
    pub region: String,
    /// The ARN of the secret to rotate.
    pub secret: String,
    /// The ARN of the rotation function to invoke.
    pub function: String,
    /// The id of the pending version, which is the rotation's token.
    pub token: String,
    /// `true` to run only `testSecret`, on a version that is deleted afterwards.
    pub test_only: bool,
}

fn named(secret: &Secret) -> Value {
    json!({"ARN": secret.arn, "Name": secret.name})
}

/// Sets a field of the response if there is a value.
fn set<T: Into<Value>>(answer: &mut Value, name: &str, value: Option<T>) {
    if let Some(value) = value {
        answer[name] = value.into();
    }
}
