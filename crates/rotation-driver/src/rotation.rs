//! The rotation driver, which invokes a function for the steps of a rotation as Secrets Manager
//! does.

use std::time::{Duration, Instant};

use secretsmanager_emulator::{CURRENT, PENDING, Service};
use serde_json::{Value, json};

use crate::function::{Function, FunctionError};

/// The four steps of a rotation in order.
pub const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// The errors that a retry cannot fix. The operator has to correct something first, and each
/// attempt with a rejected password counts towards a lockout. Unlike Secrets Manager, this driver
/// does not retry them.
const NOT_RETRIED: [&str; 16] = [
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
    "ReleaseUnsupported",
    "ReplicationFailed",
    "SecretMalformed",
    "TlsNotOffered",
    "UserMismatch",
    "UserNameTooLong",
];

/// The retry policy of a rotation. AWS does not document the values of Secrets Manager.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// The maximum number of attempts, including the first.
    pub most: u32,
    /// The pause before the second attempt. It doubles after each attempt.
    pub pause: Duration,
}

impl Default for Attempt {
    fn default() -> Self {
        Self { most: 5, pause: Duration::from_millis(500) }
    }
}

/// The report of a step that has run.
#[derive(Debug, Clone)]
pub struct StepReport {
    /// The name of the step.
    pub step: &'static str,
    /// The number of the attempt, counted from 1.
    pub attempt: u32,
    /// The duration of the invocation.
    pub took: Duration,
    /// The function's response or error.
    pub result: Result<Value, FunctionError>,
}

impl StepReport {
    /// Returns the report as JSON.
    pub fn to_json(&self) -> Value {
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

/// The result of a rotation that has ended.
#[derive(Debug)]
pub struct Rotation {
    /// The id of the pending version, which is the rotation's token.
    pub token: String,
    /// The steps that have run.
    pub steps: Vec<StepReport>,
    /// The last error, if the rotation failed.
    pub failed: Option<FunctionError>,
}

/// An observer that is notified when steps start and end.
pub trait Observer: Send {
    /// Called when a step starts.
    fn begins(&mut self, _step: &'static str, _attempt: u32) {}
    /// Called when a step has ended.
    fn ended(&mut self, _report: &StepReport) {}
    /// Called before the pause that precedes a retry of the whole rotation.
    fn repeats(&mut self, _after: Duration) {}
}

impl Observer for () {}

/// Runs only `testSecret`, as Secrets Manager does when rotation is configured but not started.
/// Returns the error if the step failed.
pub async fn test_secret(
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

/// Runs the four steps for the version `token`, which `RotateSecret` has staged. After an error
/// that a retry may fix, it runs all steps again. Returns every step that ran, and the last error.
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
            // Before the first step this is not checked, because the function itself reports an
            // error if the version is not staged correctly.
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
            rotation.failed = check_promoted(service, secret, token);
        }
        match &rotation.failed {
            Some(error) if !NOT_RETRIED.contains(&error.error_type.as_str()) => {}
            _ => break,
        }
    }
    rotation
}

/// Returns an error if the rotation is not complete. It is complete if the new version has
/// `AWSCURRENT`, and no other version has `AWSPENDING`.
fn check_promoted(service: &Service, secret: &str, token: &str) -> Option<FunctionError> {
    service.with_store(|store| match store.anywhere(secret) {
        Some(secret) if !secret.is_labelled(CURRENT, token) => Some(FunctionError::new(
            "Local.NotPromoted",
            "finishSecret ended without moving AWSCURRENT",
        )),
        Some(secret) if secret.labelled(PENDING).is_some_and(|pending| pending.id != token) => {
            Some(FunctionError::new("Local.PendingMoved", "AWSPENDING is on another version"))
        }
        Some(_) => None,
        None => Some(FunctionError::new(
            "Local.SecretGone",
            "the secret was deleted during the rotation",
        )),
    })
}
