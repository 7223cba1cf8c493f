//! The sample of fault points that `make test` tries.

use std::collections::BTreeSet;

use super::Then;

/// The number of fault points of one rotation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted {
    /// The number of points up to the end of `setSecret`, whose last change is the password.
    pub(super) until_set_secret: usize,
    /// The number of points up to the end of the rotation.
    pub(super) all: usize,
}

/// Returns `true` if the run tries every point. `make reliability` sets `FAULT_POINTS=all`.
pub(crate) fn is_exhaustive() -> bool {
    std::env::var("FAULT_POINTS").is_ok_and(|points| points == "all")
}

/// Returns the number of points that `make test` tries for each kind of rotation.
pub(super) fn size(then: Then) -> usize {
    match then {
        // This recovery takes as long as several rotations.
        Then::OutOfOrder => 3,
        _ => 4,
    }
}

/// Chooses points: the first one, the last one, one among the last three of `setSecret`, and some
/// spread between them.
///
/// `shift` moves the points between the first one and the last one. Combinations with different
/// shifts try different points. Every run tries the same points.
pub(super) fn points(counted: Counted, size: usize, shift: usize) -> Vec<usize> {
    let Counted { until_set_secret, all } = counted;
    let last = all.saturating_sub(1);
    let mut points = BTreeSet::from([0, last]);
    if size > 2 {
        points.insert(until_set_secret.saturating_sub(1 + shift % 3).min(last));
    }
    // The shift decides where the further points begin. The distances between them are equal.
    let further = size.min(all).saturating_sub(points.len());
    for number in 0..further {
        let start = shift / 3 + number * (all / further).max(1);
        let free =
            (start..start + all).map(|point| point % all).find(|point| !points.contains(point));
        points.extend(free);
    }
    points.into_iter().collect()
}

/// Returns a number that depends on the text alone (FNV-1a).
pub(super) fn shift(text: &str) -> usize {
    let hash = text
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // The high bits of the hash depend on every byte.
    usize::from((hash >> 16) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_has_the_first_and_last_point_and_no_duplicate() {
        for all in [1, 2, 3, 8, 14, 104] {
            for until_set_secret in [0, all / 2, all] {
                for size in 2..8 {
                    for shift in [0, 1, 2, 7, 50, 1000] {
                        let counted = Counted { until_set_secret, all };
                        let points = points(counted, size, shift);
                        let case = format!("{counted:?}, {size}, {shift}: {points:?}");
                        assert!(points.is_sorted_by(|one, next| one < next), "{case}");
                        assert_eq!(points.first(), Some(&0), "{case}");
                        assert_eq!(points.last(), Some(&(all - 1)), "{case}");
                        assert_eq!(points.len(), size.min(all), "{case}");
                    }
                }
            }
        }
    }

    #[test]
    fn sample_has_a_point_near_the_password_change() {
        let mut near = BTreeSet::new();
        for shift in 0..9 {
            near.extend(points(Counted { until_set_secret: 40, all: 80 }, 4, shift));
        }
        assert!(near.is_superset(&BTreeSet::from([37, 38, 39])), "{near:?}");
    }

    #[test]
    fn samples_with_different_shifts_try_every_point() {
        let mut tried = BTreeSet::new();
        for shift in 0..120 {
            tried.extend(points(Counted { until_set_secret: 20, all: 40 }, 4, shift));
        }
        assert_eq!(tried, (0..40).collect());
    }

    #[test]
    fn shift_depends_on_the_whole_text() {
        assert_eq!(shift("oracle, alternate user"), shift("oracle, alternate user"));
        for other in ["oracle, alternate users", "mysql, alternate user", "oracle, Alternate user"]
        {
            assert_ne!(shift("oracle, alternate user"), shift(other));
        }
    }
}
