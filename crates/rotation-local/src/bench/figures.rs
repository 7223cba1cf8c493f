//! The measurements of one function.

use std::time::Duration;

use serde_json::{Value, json};

/// The samples of one quantity.
#[derive(Debug, Default)]
pub(super) struct Samples(Vec<f64>);

impl Samples {
    /// Adds a time, which is stored in milliseconds.
    pub(super) fn time(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    /// Adds a number of bytes, which is stored in megabytes (10⁶ bytes).
    pub(super) fn bytes(&mut self, bytes: u64) {
        self.0.push(bytes as f64 / 1e6);
    }

    /// Returns the minimum, the median and the 90th percentile.
    pub(super) fn summary(&self) -> [f64; 3] {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let index = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
            sorted.get(index).copied().unwrap_or(f64::NAN)
        };
        [at(0.0), at(0.5), at(0.9)]
    }

    /// Returns the median of the samples, or NaN without samples.
    pub(super) fn median(&self) -> f64 {
        self.summary()[1]
    }

    pub(super) fn json(&self) -> Value {
        let [min, median, p90] = self.summary();
        json!({"min": min, "median": median, "p90": p90})
    }
}

/// The measurements of one function.
#[derive(Debug, Default)]
pub(super) struct Measurements {
    /// The time from the start of the process to its first request for an event.
    pub(super) init: Samples,
    /// The time of each step as the first event of a process, without the start.
    pub(super) cold_steps: [Samples; 4],
    /// The time of each step in a process that has rotated before.
    pub(super) warm_steps: [Samples; 4],
    /// The time of a rotation from the start of the process.
    pub(super) cold: Samples,
    /// The time of a rotation in a process that has rotated before.
    pub(super) warm: Samples,
    /// The CPU time of a cold rotation with the start of the process.
    pub(super) cold_cpu: Samples,
    /// The CPU time of a warm rotation.
    pub(super) warm_cpu: Samples,
    /// The peak resident memory of a cold rotation.
    pub(super) peak: Samples,
    /// The size of each group of concurrent Secrets Manager calls, in order.
    pub(super) waves: Vec<usize>,
    /// The number of database sessions in a rotation.
    pub(super) sessions: usize,
    /// The number of logins that the server rejected in a rotation.
    pub(super) refused: usize,
    /// The size of the program in bytes. `None` if the function is a command line.
    pub(super) binary: Option<u64>,
}

impl Measurements {
    /// Returns the number of Secrets Manager calls in a rotation.
    pub(super) fn calls(&self) -> usize {
        self.waves.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summarized_by_rank() {
        let mut series = Samples::default();
        for milliseconds in [9, 1, 3, 2, 8, 4, 6, 5, 7, 10, 11] {
            series.time(Duration::from_millis(milliseconds));
        }
        assert_eq!(series.summary(), [1.0, 6.0, 10.0]);
        assert!(Samples::default().median().is_nan());
    }
}
