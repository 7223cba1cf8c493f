//! What is known of a rotation while it runs: shown, kept in the journal, and reported as JSON.

use std::time::Duration;

use serde_json::Value;

use crate::function::FunctionError;
use crate::journal::Journal;
use crate::progress::Progress;
use crate::trigger::{Observer, StepReport};

/// Errors of `setSecret` that come before anything is changed in the database: with any of them,
/// the pending password has reached no server.
const BEFORE_ANY_CHANGE: [&str; 23] = [
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
    "MasterRegionMismatch",
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
    /// `true` if an attempt before may have given the database the pending password. The journal
    /// says so from the beginning, and the opposite only when it is certain: a write that fails
    /// loses nothing.
    reached_before: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(journal: &'a Journal, reached_before: bool) -> Self {
        Self { progress: Progress::default(), journal, steps: Vec::new(), reached_before }
    }
}

impl Observer for Watch<'_> {
    fn begins(&mut self, step: &'static str, attempt: u32) {
        // A retry: what the attempt before has shown does not hold for this one.
        if step == "setSecret" && !self.journal.reached() {
            let _ = self.journal.set_reached(true);
        }
        self.progress.begins(step, attempt);
    }

    fn ended(&mut self, report: &StepReport) {
        self.progress.ended(report);
        match (report.step, &report.result) {
            ("createSecret", Err(_)) if !self.reached_before => {
                drop(self.journal.set_reached(false))
            }
            ("setSecret", Err(error)) if is_before_any_change(error) && !self.reached_before => {
                let _ = self.journal.set_reached(false);
            }
            ("setSecret", _) => self.reached_before = true,
            _ => {}
        }
        self.steps.push(report.to_json());
    }

    fn repeats(&mut self, after: Duration) {
        self.progress.repeats(after);
    }
}

fn is_before_any_change(error: &FunctionError) -> bool {
    BEFORE_ANY_CHANGE.contains(&error.error_type.as_str())
}
