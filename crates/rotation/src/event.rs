//! The event that Secrets Manager sends.
//!
//! Fields: [Lambda rotation function][doc], "Secrets Manager invokes the function with…".
//!
//! [doc]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html

use std::fmt;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::redact;
use crate::step::Step;

/// The id of a version of a secret (`ClientRequestToken`, usually a UUID).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionId(String);

impl VersionId {
    /// Wraps an id from Secrets Manager.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A token that proves that Secrets Manager invoked this function for a rotation. Events contain it
/// only if a role was assumed or if the rotation crosses accounts.
///
/// The function passes it to `PutSecretValue` and never logs it.
#[derive(Clone)]
pub struct RotationToken(Zeroizing<String>);

impl RotationToken {
    /// Wraps a token and registers it for redaction, because a service can quote the request.
    fn new(token: &str) -> Self {
        redact::remember(token);
        Self(Zeroizing::new(token.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RotationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RotationToken(****)")
    }
}

/// The input of one invocation.
#[derive(Debug, Clone)]
pub struct Event {
    /// The step that the function must run.
    pub step: Step,
    /// The ARN (or name) of the secret.
    pub secret_id: String,
    /// The version that is being rotated to, or `None` in preflight.
    pub version: Option<VersionId>,
    /// The rotation token, if the service sent one.
    pub rotation_token: Option<RotationToken>,
}

impl Event {
    /// Parses an event of Secrets Manager, or of an operator who runs preflight.
    ///
    /// # Errors
    /// Returns [`Error::MalformedEvent`] with all problems of the event.
    pub fn parse(event: &Value) -> Result<Self> {
        let Some(fields) = event.as_object() else {
            return Err(Error::MalformedEvent {
                faults: vec![format!("the event is {}, not a JSON object", kind(event))],
            });
        };
        let mut faults = Vec::new();
        let mut required = |name: &str| match fields.get(name) {
            Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
            Some(Value::String(_)) => {
                faults.push(format!("`{name}` is empty"));
                None
            }
            Some(other) => {
                faults.push(format!("`{name}` is {}, not a string", kind(other)));
                None
            }
            None => {
                faults.push(missing(name));
                None
            }
        };
        let step_name = required("Step");
        let secret_id = required("SecretId");
        let step = step_name.as_deref().and_then(Step::parse);
        // An operator who starts a preflight has no version.
        let version = match step {
            Some(Step::Preflight) => None,
            _ => required(VERSION).map(VersionId),
        };
        if let (None, Some(name)) = (step, step_name) {
            faults.push(format!(
                "`Step` is {name:?}, not one of createSecret, setSecret, testSecret, \
                 finishSecret, preflight"
            ));
        }
        let rotation_token = match fields.get("RotationToken") {
            None | Some(Value::Null) => None,
            Some(Value::String(token)) => Some(RotationToken::new(token)),
            Some(other) => {
                faults.push(format!("`RotationToken` is {}, not a string", kind(other)));
                None
            }
        };
        match (step, secret_id) {
            (Some(step), Some(secret_id)) if faults.is_empty() => {
                Ok(Self { step, secret_id, version, rotation_token })
            }
            _ => Err(Error::MalformedEvent { faults }),
        }
    }

    /// Returns the version that is being rotated to.
    ///
    /// # Errors
    /// Returns [`Error::MalformedEvent`] if the event has none, as in preflight.
    pub(crate) fn version(&self) -> Result<&VersionId> {
        let fault = || Error::MalformedEvent { faults: vec![missing(VERSION)] };
        self.version.as_ref().ok_or_else(fault)
    }
}

/// The key of the version in an event.
const VERSION: &str = "ClientRequestToken";

fn missing(name: &str) -> String {
    format!("`{name}` is missing")
}

/// Returns the JSON type of a value with its article, without the value itself.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn both_spellings_of_every_step_are_parsed() {
        for (camel, snake, step) in [
            ("createSecret", "create_secret", Step::Create),
            ("setSecret", "set_secret", Step::Set),
            ("testSecret", "test_secret", Step::Test),
            ("finishSecret", "finish_secret", Step::Finish),
        ] {
            for name in [camel, snake] {
                let event = json!({"Step": name, "SecretId": "s", "ClientRequestToken": "t"});
                assert_eq!(Event::parse(&event).unwrap().step, step);
            }
        }
    }

    #[test]
    fn all_event_problems_are_reported() {
        let event = json!({"Step": "rotate", "SecretId": 7, "RotationToken": []});
        let message = Event::parse(&event).unwrap_err().to_string();
        for part in [
            "\"rotate\"",
            "`SecretId` is a number",
            "`ClientRequestToken` is missing",
            "`RotationToken`",
        ] {
            assert!(message.contains(part), "{part} not in {message}");
        }
    }

    #[test]
    fn the_rotation_token_is_not_in_the_debug_output() {
        let event = json!({"Step": "setSecret", "SecretId": "s", "ClientRequestToken": "t",
            "RotationToken": "hunter2-token"});
        assert!(!format!("{:?}", Event::parse(&event).unwrap()).contains("hunter2-token"));
    }

    #[test]
    fn only_preflight_has_no_version() {
        let event = |step| Event::parse(&json!({"Step": step, "SecretId": "s"}));
        let preflight = event("preflight").unwrap();
        assert_eq!(preflight.version, None);
        let error = preflight.version().unwrap_err().to_string();
        assert!(error.contains("`ClientRequestToken` is missing"), "{error}");
        assert!(event("setSecret").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_without_panic(step in ".*", id in ".*", token in ".*") {
            let _ = Event::parse(
                &json!({"Step": step, "SecretId": id, "ClientRequestToken": token}),
            );
        }
    }
}
