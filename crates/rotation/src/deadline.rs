//! The deadline of an invocation, and the current activity for its error message.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::error::{Error, Result};

/// The time that is reserved for the response. A function that Lambda stops cannot report what it
/// was waiting for.
const MARGIN: Duration = Duration::from_millis(800);

/// The timeout in this project's template, for invocations without a deadline.
const USUAL: Duration = Duration::from_secs(30);

/// The time at which this invocation must be complete, and its current activity.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    activity: Mutex<String>,
}

impl Deadline {
    /// Creates a deadline from Lambda's deadline, which is a wall-clock time. The margin is at most
    /// a fifth of the remaining time.
    pub(crate) fn at(deadline: SystemTime) -> Self {
        let now = SystemTime::now();
        // `cargo lambda watch` sends a time near 1970, which is not a deadline. Lambda's deadlines
        // are at most minutes away.
        let is_none =
            now.duration_since(deadline).is_ok_and(|ago| ago > Duration::from_secs(86400));
        let left = if is_none { USUAL } else { deadline.duration_since(now).unwrap_or_default() };
        Self {
            at: Instant::now() + left.saturating_sub(MARGIN.min(left / 5)),
            activity: Mutex::default(),
        }
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    pub(crate) fn set_activity(&self, what: &str) {
        *self.activity.lock().unwrap_or_else(PoisonError::into_inner) = what.to_owned();
    }

    /// Runs `work`. If the deadline passes first, returns an error with the current activity.
    pub(crate) async fn keep<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout_at(self.at, work).await {
            Ok(result) => result,
            Err(_) => {
                let activity = self.activity.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Err(Error::DeadlineExceeded { activity })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn deadline_near_1970_is_ignored_and_recent_one_is_not() {
        let remaining = |deadline: SystemTime| Deadline::at(deadline).remaining();
        assert!(
            remaining(SystemTime::UNIX_EPOCH + Duration::from_millis(600_000))
                > Duration::from_secs(25)
        );
        assert!(remaining(SystemTime::now() - Duration::from_secs(2)).is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn exceeded_deadline_reports_the_current_activity() {
        let deadline = Deadline::at(SystemTime::now() + Duration::from_secs(5));
        deadline.set_activity("logging in to db:5432 as app");
        let error = deadline.keep(std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(error.error_type(), "DeadlineExceeded");
        assert!(error.to_string().contains("logging in to db:5432 as app"));
    }
}
