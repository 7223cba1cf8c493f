//! The time that is left, and what is being done with it.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::error::{Error, Result};

/// Kept back for the answer: a function that Lambda kills cannot say what it was waiting for.
const MARGIN: Duration = Duration::from_millis(800);

/// The template's time-out, where nobody tells a deadline.
const USUAL: Duration = Duration::from_secs(30);

/// When this invocation must be over, and what it is doing.
#[derive(Debug)]
pub(crate) struct Deadline {
    at: Instant,
    doing: Mutex<String>,
}

impl Deadline {
    /// Lambda gives a wall-clock deadline; the margin is at most a fifth of what is left.
    pub(crate) fn at(deadline: SystemTime) -> Self {
        let now = SystemTime::now();
        // `cargo lambda watch` tells a time near 1970: that is no deadline, where Lambda's would be
        // seconds away.
        let is_none =
            now.duration_since(deadline).is_ok_and(|ago| ago > Duration::from_secs(86400));
        let left = if is_none { USUAL } else { deadline.duration_since(now).unwrap_or_default() };
        Self {
            at: Instant::now() + left.saturating_sub(MARGIN.min(left / 5)),
            doing: Mutex::default(),
        }
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    pub(crate) fn doing(&self, what: &str) {
        *self.doing.lock().unwrap_or_else(PoisonError::into_inner) = what.to_owned();
    }

    /// Runs `work`, and answers with what was being done when the time is up before it ends.
    pub(crate) async fn keep<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        match tokio::time::timeout_at(self.at, work).await {
            Ok(result) => result,
            Err(_) => {
                let doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner).clone();
                Err(Error::DeadlineExceeded { doing })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_time_long_gone_is_no_deadline_and_one_just_over_is() {
        let told = |deadline: SystemTime| Deadline::at(deadline).remaining();
        assert!(
            told(SystemTime::UNIX_EPOCH + Duration::from_millis(600_000)) > Duration::from_secs(25)
        );
        assert!(told(SystemTime::now() - Duration::from_secs(2)).is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn says_what_it_was_doing_when_the_time_ran_out() {
        let deadline = Deadline::at(SystemTime::now() + Duration::from_secs(5));
        deadline.doing("logging in to db:5432 as app");
        let error = deadline.keep(std::future::pending::<Result<()>>()).await.unwrap_err();
        assert_eq!(error.error_type(), "DeadlineExceeded");
        assert!(error.to_string().contains("logging in to db:5432 as app"));
    }
}
