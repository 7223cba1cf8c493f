//! What is known of a rotation while it runs: shown, kept in the journal, and reported as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use crate::function::FunctionError;
use crate::journal::Journal;
use crate::progress::Progress;
use crate::trigger::{Observer, StepReport};

/// Errors of `setSecret` that come before anything is changed in the database: with any of them, the
/// pending password has reached no server.
const BEFORE_ANY_CHANGE: [&str; 22] = [
    "AccountExpired",
    "AccountLocked",
    "ClientRejected",
    "ConnectTimeout",
    "ConnectionRefused",
    "CredentialsRefused",
    "DatabaseAccessDenied",
    "DatabaseNotFound",
    "HostMismatch",
    "HostNameNotFound",
    "InvalidSetting",
    "LoginNotPermitted",
    "MasterArnMissing",
    "MasterHostMismatch",
    "MasterSecretMalformed",
    "ReadablePasswordRefused",
    "SecretMalformed",
    "TlsCertificateExpired",
    "TlsNotOffered",
    "TlsUntrustedAuthority",
    "TlsWrongName",
    "UserMismatch",
];

/// Watches a rotation.
pub(super) struct Watch<'a> {
    progress: Progress,
    journal: &'a Journal,
    /// The steps, for `--json`.
    pub(super) steps: Vec<Value>,
    /// Whether the database may have had the pending password before this step.
    reached_before: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(journal: &'a Journal) -> Self {
        Self { progress: Progress::default(), journal, steps: Vec::new(), reached_before: journal.reached() }
    }
}

impl Observer for Watch<'_> {
    fn begins(&mut self, step: &'static str, attempt: u32) {
        // On disk before the function can change anything. If it cannot be written, nothing is lost:
        // the journal then says that the database was reached.
        if step == "setSecret" {
            self.reached_before = self.journal.reached();
            let _ = self.journal.set_reached(true);
        }
        self.progress.begins(step, attempt);
    }

    fn ended(&mut self, report: &StepReport) {
        self.progress.ended(report);
        if report.step == "setSecret" {
            let unchanged = matches!(&report.result, Err(error) if is_before_any_change(error));
            let _ = self.journal.set_reached(self.reached_before || !unchanged);
        }
        let mut step = json!({
            "step": report.step,
            "attempt": report.attempt,
            "milliseconds": report.took.as_millis(),
            "status": if report.result.is_ok() { "passed" } else { "failed" },
        });
        match &report.result {
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
        self.steps.push(step);
    }

    fn repeats(&mut self, after: Duration) {
        self.progress.repeats(after);
    }
}

fn is_before_any_change(error: &FunctionError) -> bool {
    BEFORE_ANY_CHANGE.contains(&error.error_type.as_str())
}
