//! The `preflight` step: it checks everything that a rotation needs from inside the function's
//! network, and changes nothing.
//!
//! An operator starts it with `aws lambda invoke` and `events/preflight.json`, preferably before
//! rotation is turned on.

use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::operator::secret_file;
use crate::record::Done;
use crate::rotator::Rotator;
use crate::staging::CURRENT;

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The condition that the check expects, such as "no rotation is in progress".
    pub check: String,
    /// The result.
    #[serde(flatten)]
    pub found: Found,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// The condition is met.
    Good,
    /// The condition is not met, so a rotation would fail.
    #[serde(rename_all = "camelCase")]
    Bad {
        /// The identifier that the step's error would have.
        error_type: String,
        /// The error message.
        message: String,
        /// The next action for the operator.
        remedy: String,
    },
    /// The check was skipped, or it found something that the operator should know.
    Open {
        /// The reason, or the information.
        message: String,
    },
}

/// The results of all checks so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<Check>);

impl Checks {
    /// Records that a condition is met.
    pub fn good(&mut self, check: impl Into<String>) {
        self.0.push(Check { check: check.into(), found: Found::Good });
    }

    /// Records the error with which a rotation would fail.
    pub fn bad(&mut self, check: impl Into<String>, error: &Error) {
        let mask = |text: String| crate::redact::mask_line(&text).into_owned();
        let found = Found::Bad {
            error_type: error.error_type().to_owned(),
            message: mask(error.to_string()),
            remedy: mask(error.remedy()),
        };
        self.0.push(Check { check: check.into(), found });
    }

    /// Records a skipped check, or information for the operator.
    pub fn open(&mut self, check: impl Into<String>, message: impl Into<String>) {
        self.0.push(Check { check: check.into(), found: Found::Open { message: message.into() } });
    }

    /// Records the result of an operation. Returns its value if it succeeded.
    pub fn of<T>(&mut self, check: impl Into<String>, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.good(check);
                Some(value)
            }
            Err(error) => {
                self.bad(check, &error);
                None
            }
        }
    }

    fn count_failed(&self) -> usize {
        self.0.iter().filter(|check| matches!(check.found, Found::Bad { .. })).count()
    }
}

/// Checks the calls to Secrets Manager, then calls [`Rotator::preflight`] for everything else.
pub(crate) async fn look<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let mut checks = Checks::default();
    let (manager, id) = (cx.manager, cx.secret_id());
    let random = async {
        match rotator.password() {
            Some(settings) => Some(manager.random_password(settings).await),
            None => None,
        }
    };
    let (description, current, random) =
        tokio::join!(manager.describe(id), manager.value(id, CURRENT), random);
    let described =
        checks.of("Secrets Manager is reachable, and DescribeSecret is allowed", description);
    if let Some(description) = described {
        if description.rotation_enabled != Some(true) && secret_file().is_none() {
            checks.open(
                "rotation is turned on",
                "rotation is off; turn it on with rotate-secret --rotation-lambda-arn",
            );
        }
        let is_free = match description.unfinished() {
            Some(version) => Err(Error::RotationUnfinished { version: version.to_owned() }),
            None => Ok(()),
        };
        checks.of("no rotation is in progress", is_free);
    }
    let current = current.and_then(|value| value.ok_or(Error::NoCurrentVersion));
    let current = checks.of("the secret's AWSCURRENT value can be read and decrypted", current);
    let random = match random {
        Some(random) => {
            checks.of("GetRandomPassword is allowed and accepts the password settings", random)
        }
        None => None,
    };
    if secret_file().is_none() {
        checks.open(
            "PutSecretValue and UpdateSecretVersionStage are allowed",
            "not checked, because these calls change the secret; check that the function's role \
             allows both",
        );
    }
    if let Some(current) = &current
        && checks.of("the secret's value is complete", rotator.validate(current)).is_some()
    {
        Box::pin(rotator.preflight(cx, current, random, &mut checks)).await;
    }
    let (all, bad) = (checks.0.len(), checks.count_failed());
    let did = match bad {
        0 => format!("Ran {all} checks and changed nothing. The secret can be rotated."),
        _ => {
            format!("Ran {all} checks and changed nothing. {bad} failed: a rotation would fail.")
        }
    };
    Ok(Done { checks: checks.0, ..Done::now(did) })
}
