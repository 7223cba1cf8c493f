//! The observer of a rotation. It shows the progress, keeps the recovery file up to date, and
//! collects the steps for the JSON report.

use std::time::Duration;

use rotation_driver::{FunctionError, Observer, StepReport};
use serde_json::Value;

use crate::journal::RecoveryFile;
use crate::progress::Progress;

/// The errors of `setSecret` that occur only before it changes anything in the database. After such
/// an error, the pending password has reached no server. An error that can also occur after a
/// change must not be here: the only copy of a password could be discarded.
const ERRORS_BEFORE_CHANGE: [&str; 25] = [
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
    "RedirectedAgain",
    "ReleaseUnsupported",
    "SecretMalformed",
    "TlsCertificateExpired",
    "TlsNotOffered",
    "TlsUntrustedAuthority",
    "TlsWrongName",
    "UserMismatch",
];

/// The observer of a rotation.
pub(super) struct Watch<'a> {
    progress: Progress,
    journal: &'a RecoveryFile,
    /// The finished steps for `--json`.
    pub(super) steps: Vec<Value>,
    /// `true` if an earlier attempt may have set the pending password in the database. The recovery
    /// file assumes this from the beginning and records the opposite only when it is certain, so
    /// that a failed write loses nothing.
    reached_before: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(journal: &'a RecoveryFile, reached_before: bool) -> Self {
        Self { progress: Progress::default(), journal, steps: Vec::new(), reached_before }
    }
}

impl Observer for Watch<'_> {
    fn begins(&mut self, step: &'static str, attempt: u32) {
        // On a retry, the result of the previous attempt does not apply to this attempt.
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
    ERRORS_BEFORE_CHANGE.contains(&error.error_type.as_str())
}
