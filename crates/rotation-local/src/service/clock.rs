//! The time of the service, which may run faster than the wall's.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds in a day.
pub(crate) const DAY: f64 = 86400.0;
/// Seconds in an hour.
pub(crate) const HOUR: f64 = 3600.0;

/// A clock that starts at the wall's time, and stands still no more than that does.
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
    /// A clock on which so many seconds go by in a second.
    pub(crate) fn scaled(scale: f64) -> Self {
        Self { started: SystemTime::now(), scale }
    }

    /// Seconds since 1970, to the millisecond, as the service's JSON has them.
    pub(crate) fn now(&self) -> f64 {
        let started_at = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let elapsed = self.started.elapsed().unwrap_or_default().as_secs_f64();
        ((started_at + elapsed * self.scale) * 1000.0).floor() / 1000.0
    }

    /// How long a time of this clock takes.
    pub(crate) fn real(&self, seconds: f64) -> Duration {
        Duration::from_secs_f64((seconds / self.scale).clamp(0.0, DAY))
    }
}
