//! What was measured of one function.

use std::time::Duration;

use serde_json::{Value, json};

/// Measured many times.
#[derive(Debug, Default)]
pub(super) struct Series(Vec<f64>);

impl Series {
    /// Adds a time, in milliseconds from now on.
    pub(super) fn time(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    /// Adds a number of bytes, in megabytes (10⁶) from now on.
    pub(super) fn bytes(&mut self, bytes: u64) {
        self.0.push(bytes as f64 / 1e6);
    }

    /// Least, median and the 90th percentile.
    pub(super) fn summary(&self) -> [f64; 3] {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let index = (part * sorted.len().saturating_sub(1) as f64).round() as usize;
            sorted.get(index).copied().unwrap_or(f64::NAN)
        };
        [at(0.0), at(0.5), at(0.9)]
    }

    /// The median.
    pub(super) fn median(&self) -> f64 {
        self.summary()[1]
    }

    pub(super) fn json(&self) -> Value {
        let [min, median, p90] = self.summary();
        json!({"min": min, "median": median, "p90": p90})
    }
}

/// Of one function.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// From the start of the process to its first question for an event.
    pub(super) init: Series,
    /// Each step as the first event of a process, without the start.
    pub(super) cold_steps: [Series; 4],
    /// Each step of a process that has rotated before.
    pub(super) warm_steps: [Series; 4],
    /// A whole rotation, from the start of the process.
    pub(super) cold: Series,
    /// A whole rotation by a process that has rotated before.
    pub(super) warm: Series,
    /// CPU time of a cold rotation, with the start.
    pub(super) cold_cpu: Series,
    /// CPU time of a warm rotation.
    pub(super) warm_cpu: Series,
    /// The most resident memory in a cold rotation.
    pub(super) peak: Series,
    /// Calls of Secrets Manager, in groups that were under way at the same time.
    pub(super) waves: Vec<usize>,
    /// Sessions that the server has let in.
    pub(super) sessions: usize,
    /// Logins that the server has refused.
    pub(super) refused: usize,
    /// Size of the program, where it is one.
    pub(super) binary: Option<u64>,
}

impl Figures {
    /// Calls of Secrets Manager in a rotation.
    pub(super) fn calls(&self) -> usize {
        self.waves.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_summed_up_by_rank() {
        let mut series = Series::default();
        for milliseconds in [9, 1, 3, 2, 8, 4, 6, 5, 7, 10, 11] {
            series.time(Duration::from_millis(milliseconds));
        }
        assert_eq!(series.summary(), [1.0, 6.0, 10.0]);
        assert!(Series::default().median().is_nan());
    }
}
