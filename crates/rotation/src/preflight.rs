//! `preflight`: looks at everything that a rotation will need, from where the function runs, and
//! changes nothing.
//!
//! A person invokes it (`aws lambda invoke`, `events/preflight.json`), best before rotation is
//! turned on.

use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::operator::secret_file;
use crate::record::Done;
use crate::rotator::Rotator;
use crate::staging::CURRENT;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What: a phrase that says how it should be.
    pub check: String,
    /// How it is.
    #[serde(flatten)]
    pub found: Found,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "found", rename_all = "snake_case")]
pub enum Found {
    /// It is as it should be.
    Good,
    /// A rotation would fail.
    #[serde(rename_all = "camelCase")]
    Bad {
        /// The identifier that the step's error would have.
        error_type: String,
        /// What is wrong.
        message: String,
        /// The next thing to do.
        remedy: String,
    },
    /// It was not looked at, or a person should know of it.
    Open {
        /// Why, or what.
        message: String,
    },
}

/// All that was looked at so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<Check>);

impl Checks {
    /// It is as it should be.
    pub fn good(&mut self, check: impl Into<String>) {
        self.0.push(Check { check: check.into(), found: Found::Good });
    }

    /// A rotation would fail of it.
    pub fn bad(&mut self, check: impl Into<String>, error: &Error) {
        let mask = |text: String| crate::redact::mask_line(&text).into_owned();
        let found = Found::Bad {
            error_type: error.error_type().to_owned(),
            message: mask(error.to_string()),
            remedy: mask(error.remedy()),
        };
        self.0.push(Check { check: check.into(), found });
    }

    /// It was not looked at, or a person should know of it.
    pub fn open(&mut self, check: impl Into<String>, message: impl Into<String>) {
        self.0.push(Check { check: check.into(), found: Found::Open { message: message.into() } });
    }

    /// Takes down how something went, and gives what came of it.
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

    fn count_bad(&self) -> usize {
        self.0.iter().filter(|check| matches!(check.found, Found::Bad { .. })).count()
    }
}

/// Looks at Secrets Manager, and lets the rotator look at the rest.
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
        checks.of("Secrets Manager answers, and DescribeSecret is allowed", description);
    if let Some(description) = described {
        if description.rotation_enabled != Some(true) && secret_file().is_none() {
            checks.open(
                "rotation is turned on",
                "not yet: rotate-secret with --rotation-lambda-arn turns it on",
            );
        }
        let is_free = match description.unfinished() {
            Some(version) => Err(Error::RotationUnfinished { version: version.to_owned() }),
            None => Ok(()),
        };
        checks.of("no rotation is under way", is_free);
    }
    let current = current.and_then(|value| value.ok_or(Error::NoCurrentVersion));
    let current = checks.of("the secret's AWSCURRENT value can be read and decrypted", current);
    let random = match random {
        Some(random) => {
            checks.of("GetRandomPassword is allowed and takes the password settings", random)
        }
        None => None,
    };
    if secret_file().is_none() {
        checks.open(
            "PutSecretValue and UpdateSecretVersionStage are allowed",
            "not tried, for they would change something: see that the function's role has both",
        );
    }
    if let Some(current) = &current
        && checks.of("the secret's value is complete", rotator.validate(current)).is_some()
    {
        Box::pin(rotator.preflight(cx, current, random, &mut checks)).await;
    }
    let (all, bad) = (checks.0.len(), checks.count_bad());
    let did = match bad {
        0 => format!("Looked at {all} things and changed nothing: a rotation can begin."),
        _ => {
            format!("Looked at {all} things and changed nothing: {bad} would make a rotation fail.")
        }
    };
    Ok(Done { checks: checks.0, ..Done::now(did) })
}
