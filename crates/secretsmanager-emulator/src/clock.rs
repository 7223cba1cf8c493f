//! The clock of the service, which can run faster than the system clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The number of seconds in a day.
pub(crate) const DAY: f64 = 86400.0;
/// The number of seconds in an hour.
pub(crate) const HOUR: f64 = 3600.0;

/// A clock that starts at the system time. It follows the system clock, so it also advances while
/// the machine is suspended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started: SystemTime,
    scale: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Self::scaled(1.0)
    }
}

impl Clock {
    /// Creates a clock that runs `scale` times as fast as the system clock.
    pub(crate) fn scaled(scale: f64) -> Self {
        Self { started: SystemTime::now(), scale }
    }

    /// Returns the seconds since 1970 to the millisecond, as in the service's JSON.
    pub(crate) fn now(&self) -> f64 {
        let started_at = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let elapsed = self.started.elapsed().unwrap_or_default().as_secs_f64();
        ((started_at + elapsed * self.scale) * 1000.0).floor() / 1000.0
    }

    /// Returns the real time, at most a day, that this clock takes to advance by `seconds`.
    pub(crate) fn real(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64((seconds / self.scale).clamp(0.0, DAY))
    }
}
