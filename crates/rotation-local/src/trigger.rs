//! The trigger: drives a rotation as the service does.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::function::{Function, FunctionError};
use crate::service::{CURRENT, PENDING, Service};

/// The four steps, in order.
pub(crate) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// Errors that no repetition cures: a person has to correct something first, and each attempt with
/// a rejected password counts towards a lockout.
const INCURABLE: [&str; 14] = [
    "CredentialsRefused",
    "HostMismatch",
    "InvalidSetting",
    "Local.EndpointFailed",
    "MasterArnMissing",
    "MasterCredentialsRefused",
    "MasterRegionMismatch",
    "MasterSecretMalformed",
    "PasswordUnusable",
    "ReadablePasswordRefused",
    "SecretMalformed",
    "TlsNotOffered",
    "UserMismatch",
    "UserNameTooLong",
];

/// How often and how fast the whole rotation is repeated. The service's own numbers are not
/// documented.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Attempts in all.
    pub most: u32,
    /// The pause before the second attempt; it doubles after each.
    pub pause: Duration,
}

impl Default for Attempt {
    fn default() -> Self {
        Self { most: 5, pause: Duration::from_millis(500) }
    }
}

/// A step that has been run.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// The step.
    pub step: &'static str,
    /// Which attempt of the whole rotation, from 1.
    pub attempt: u32,
    /// How long the invocation took.
    pub took: Duration,
    /// The function's answer or error.
    pub result: Result<Value, FunctionError>,
}

impl StepReport {
    /// Returns the report as the option `--json` of the commands shows it.
    pub(crate) fn to_json(&self) -> Value {
        let mut step = json!({
            "step": self.step,
            "attempt": self.attempt,
            "milliseconds": self.took.as_millis(),
            "status": if self.result.is_ok() { "passed" } else { "failed" },
        });
        match &self.result {
            Ok(record) => {
                for key in ["did", "notes"] {
                    step[key] = record[key].clone();
                }
            }
            Err(error) => {
                step["errorType"] = error.error_type.as_str().into();
                step["message"] = error.message.as_str().into();
            }
        }
        step
    }
}

/// A rotation that has ended.
#[derive(Debug)]
pub struct Rotation {
    /// The version rotated to.
    pub token: String,
    /// Every step that was run.
    pub steps: Vec<StepReport>,
    /// The last error, when it was given up.
    pub failed: Option<FunctionError>,
}

/// Is told of each step as it begins and ends.
pub trait Observer: Send {
    /// A step begins.
    fn begins(&mut self, _step: &'static str, _attempt: u32) {}
    /// A step has ended.
    fn ended(&mut self, _report: &StepReport) {}
    /// The whole rotation will be repeated after a pause.
    fn repeats(&mut self, _after: Duration) {}
}

impl Observer for () {}

/// Runs `testSecret` alone, as the service does when rotation is configured and not begun.
pub(crate) async fn test_secret(
    function: &Function,
    secret: &str,
    token: &str,
    observer: &mut dyn Observer,
) -> Option<FunctionError> {
    run_step(function, "testSecret", secret, token, 1, observer).await.result.err()
}

async fn run_step(
    function: &Function,
    step: &'static str,
    secret: &str,
    token: &str,
    attempt: u32,
    observer: &mut dyn Observer,
) -> StepReport {
    observer.begins(step, attempt);
    let event = json!({"Step": step, "SecretId": secret, "ClientRequestToken": token});
    let start = Instant::now();
    let result = function.invoke(&event).await;
    let report = StepReport { step, attempt, took: start.elapsed(), result };
    observer.ended(&report);
    report
}

/// Rotates a secret whose version `token` has been staged (by `RotateSecret`).
pub async fn rotate_secret(
    service: &Service,
    function: &Function,
    secret: &str,
    token: &str,
    attempts: Attempt,
    observer: &mut dyn Observer,
) -> Rotation {
    let mut rotation = Rotation { token: token.to_owned(), steps: Vec::new(), failed: None };
    let mut pause = attempts.pause;
    for attempt in 1..=attempts.most.max(1) {
        if attempt > 1 {
            observer.repeats(pause);
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        rotation.failed = None;
        for step in STEPS {
            // The function says itself what is wrong with a rotation that was never right.
            let is_first = rotation.steps.is_empty();
            if let Some(why) = service.ended(secret, token).filter(|_| !is_first) {
                rotation.failed = Some(FunctionError::new("Local.Ended", why));
                return rotation;
            }
            let report = run_step(function, step, secret, token, attempt, observer).await;
            let error = report.result.as_ref().err().cloned();
            rotation.steps.push(report);
            if error.is_some() {
                rotation.failed = error;
                break;
            }
        }
        if rotation.failed.is_none() {
            rotation.failed = unpromoted(service, secret, token);
        }
        match &rotation.failed {
            Some(error) if !INCURABLE.contains(&error.error_type.as_str()) => {}
            _ => break,
        }
    }
    rotation
}

/// A rotation has succeeded when `AWSCURRENT` is on the new version, and `AWSPENDING` there or
/// nowhere.
fn unpromoted(service: &Service, secret: &str, token: &str) -> Option<FunctionError> {
    service.with_store(|store| match store.anywhere(secret) {
        Some(secret) if !secret.is_labelled(CURRENT, token) => Some(FunctionError::new(
            "Local.NotPromoted",
            "finishSecret ended without moving AWSCURRENT",
        )),
        Some(secret) if secret.labelled(PENDING).is_some_and(|pending| pending.id != token) => {
            Some(FunctionError::new("Local.PendingMoved", "AWSPENDING is on another version"))
        }
        Some(_) => None,
        None => Some(FunctionError::new("Local.SecretGone", "the secret was deleted meanwhile")),
    })
}
