//! Checks of preflight before a rotation that must fail: preflight must find the cause, or report
//! that it cannot check it.

use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use rotation_local::{Function, FunctionError};
use serde_json::Value;

use super::Fixture;
use crate::server::Server;

/// Errors that preflight cannot find without changing something, each with a part of the skipped
/// check that says so.
const OPEN: [(&str, &str); 5] = [
    ("DatabaseBusy", "may change its own password"),
    ("NeedsDecision", "a pooler or proxy was found"),
    ("NeedsDecision", "not tried, for it would change something"),
    ("PasswordRejected", "password policy accepts such passwords"),
    ("PrivilegeMissing", "not tried, for it would change something"),
];

/// The checks of preflight, or the error with which it ended.
pub(super) type Foretold = Result<Vec<Value>, FunctionError>;

/// The logins of preflights, which do not count as logins of rotations.
#[derive(Debug, Default)]
pub(super) struct OfPreflight {
    pub(super) failed_logins: AtomicUsize,
    pub(super) logins: AtomicUsize,
}

impl<T: Server> Fixture<T> {
    /// Runs preflight. Its logins do not count as logins of the rotation that follows.
    pub(super) async fn foretell(&self, function: &Function) -> Result<Foretold> {
        let count = || anyhow::Ok((self.failed_logins()?, self.logins()?));
        let before = count()?;
        let answer = self.run_preflight(function).await;
        let after = count()?;
        self.of_preflight.failed_logins.fetch_add(after.0 - before.0, Ordering::SeqCst);
        self.of_preflight.logins.fetch_add(after.1 - before.1, Ordering::SeqCst);
        Ok(answer.map(|record| record["checks"].as_array().cloned().unwrap_or_default()))
    }
}

/// Checks that preflight has found the error with which a rotation has failed, or has reported that
/// it does not look for that error.
pub(super) fn must_foretell(foretold: &Foretold, error: &FunctionError) -> Result<()> {
    let error_type = &error.error_type;
    let checks = match foretold {
        Ok(checks) => checks,
        Err(found) => {
            ensure!(
                found.error_type == *error_type,
                "preflight ended with {found:?}, the rotation with {error_type}"
            );
            return Ok(());
        }
    };
    let is_found =
        |check: &&Value| check["found"] == "bad" && check["errorType"] == error_type.as_str();
    let open = OPEN.iter().filter(|(of, _)| of == error_type).map(|(_, part)| *part);
    let is_open = open.into_iter().any(|part| {
        checks.iter().any(|check| check["found"] == "open" && check.to_string().contains(part))
    });
    ensure!(
        is_open || checks.iter().any(|check| is_found(&check)),
        "preflight did not find {error_type} ({}): {checks:#?}",
        error.message
    );
    Ok(())
}
