//! The checks of a preflight.

use serde::Serialize;

use crate::error::{Error, Result};

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The condition that the check expects, such as "no rotation is in progress".
    pub check: String,
    /// The result of the check.
    #[serde(flatten)]
    pub status: Status,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Status {
    /// The condition is met.
    Passed,
    /// The condition is not met, so a rotation would fail.
    #[serde(rename_all = "camelCase")]
    Failed {
        /// The identifier that the step's error would have.
        error_type: String,
        /// The error message without its remedy, in which secrets are redacted.
        message: String,
        /// The next action for the operator.
        remedy: String,
    },
    /// The check was skipped, or it found something that the operator should know.
    Skipped {
        /// The reason, or the information.
        message: String,
    },
}

/// The results of all checks so far.
#[derive(Debug, Default)]
pub struct Checks(pub(crate) Vec<Check>);

impl Checks {
    /// Records that a condition is met.
    pub fn passed(&mut self, check: impl Into<String>) {
        self.0.push(Check { check: check.into(), status: Status::Passed });
    }

    /// Records the error with which a rotation would fail.
    pub fn failed(&mut self, check: impl Into<String>, error: &Error) {
        let mask = |text: String| crate::redact::mask_line(&text).into_owned();
        let status = Status::Failed {
            error_type: error.error_type().to_owned(),
            message: mask(error.to_string()),
            remedy: mask(error.remedy()),
        };
        self.0.push(Check { check: check.into(), status });
    }

    /// Records a skipped check, or information for the operator.
    pub fn skipped(&mut self, check: impl Into<String>, message: impl Into<String>) {
        self.0.push(Check {
            check: check.into(),
            status: Status::Skipped { message: message.into() },
        });
    }

    /// Records the result of an operation. Returns its value if it succeeded.
    pub fn record<T>(&mut self, check: impl Into<String>, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.passed(check);
                Some(value)
            }
            Err(error) => {
                self.failed(check, &error);
                None
            }
        }
    }

    /// Returns the number of checks with a status.
    pub(crate) fn count(&self, has_status: fn(&Status) -> bool) -> usize {
        self.0.iter().filter(|check| has_status(&check.status)).count()
    }
}
