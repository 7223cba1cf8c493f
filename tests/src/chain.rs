//! How many calls waited for one another.

use std::time::{Duration, Instant};

/// The longest chain of intervals that did not overlap: with a constant delay added to each call, that many of them
/// waited for an earlier one.
pub fn longest_chain(intervals: &[(Instant, Instant)]) -> usize {
    // Answers that leave together are noted one after the other.
    const SLACK: Duration = Duration::from_millis(10);
    let mut by_end: Vec<_> = intervals.to_vec();
    by_end.sort_by_key(|(_, until)| *until);
    let mut last: Option<Instant> = None;
    let mut count = 0;
    for (from, until) in by_end {
        if last.is_none_or(|last| from + SLACK >= last) && last.is_none_or(|last| from > last - SLACK) {
            count += 1;
            last = Some(until);
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_overlap_count_once() {
        let zero = Instant::now();
        let at = |from, until| (zero + Duration::from_millis(from), zero + Duration::from_millis(until));
        assert_eq!(longest_chain(&[]), 0);
        assert_eq!(longest_chain(&[at(0, 50), at(1, 51), at(2, 52)]), 1);
        assert_eq!(longest_chain(&[at(0, 50), at(1, 51), at(53, 103)]), 2);
        assert_eq!(longest_chain(&[at(0, 50), at(51, 101), at(102, 152)]), 3);
    }
}
