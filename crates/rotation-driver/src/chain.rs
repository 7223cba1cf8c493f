//! The number of calls that waited for an earlier call.

use std::time::{Duration, Instant};

/// Returns the length of the longest chain of intervals that do not overlap. If every call takes
/// the same time, this is the number of sequential calls.
pub fn longest_chain(intervals: &[(Instant, Instant)]) -> usize {
    // Responses that are sent at the same time have slightly different end times.
    const SLACK: Duration = Duration::from_millis(10);
    let mut by_end: Vec<_> = intervals.to_vec();
    by_end.sort_by_key(|(_, until)| *until);
    let mut last: Option<Instant> = None;
    let mut count = 0;
    for (from, until) in by_end {
        if last.is_none_or(|last| from + SLACK >= last)
            && last.is_none_or(|last| from > last - SLACK)
        {
            count += 1;
            last = Some(until);
        }
    }
    count
}

/// Returns the number of concurrent intervals for each link of the chain in [`longest_chain`].
pub fn waves(intervals: &[(Instant, Instant)]) -> Vec<usize> {
    let mut by_start: Vec<_> = intervals.to_vec();
    by_start.sort_by_key(|(from, _)| *from);
    let mut waves = Vec::new();
    let mut ends: Option<Instant> = None;
    for (from, until) in by_start {
        match (ends, waves.last_mut()) {
            (Some(end), Some(wave)) if from < end => *wave += 1,
            _ => {
                waves.push(1);
                ends = Some(until);
            }
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_calls_count_once() {
        let zero = Instant::now();
        let at =
            |from, until| (zero + Duration::from_millis(from), zero + Duration::from_millis(until));
        assert_eq!(longest_chain(&[]), 0);
        assert_eq!(longest_chain(&[at(0, 50), at(1, 51), at(2, 52)]), 1);
        assert_eq!(longest_chain(&[at(0, 50), at(1, 51), at(53, 103)]), 2);
        assert_eq!(longest_chain(&[at(0, 50), at(51, 101), at(102, 152)]), 3);
        assert_eq!(waves(&[at(0, 50), at(1, 51), at(53, 103), at(54, 104), at(55, 105)]), [2, 3]);
        assert_eq!(waves(&[]), [0; 0]);
    }
}
