//! The speed of this machine. The time limits of the tests scale with it.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The environment variable in which `with-servers` passes its measurement to the tests.
pub const VARIABLE: &str = "ROTATION_TEST_SLOWNESS";

/// The time that [`work`] takes on the machine that the limits are written for: an idle machine
/// with two cores, which runs `make test` in less than 12 minutes.
const REFERENCE: Duration = Duration::from_millis(750);

/// Returns how many times slower this machine is than the reference machine; at least 1.
///
/// A machine that is busy with other work counts as a slow one. Without `with-servers`, each test
/// process measures the machine once.
pub fn slowness() -> f64 {
    static SLOWNESS: OnceLock<f64> = OnceLock::new();
    *SLOWNESS.get_or_init(|| {
        let measured = std::env::var(VARIABLE).ok().and_then(|text| text.parse().ok());
        measured.unwrap_or_else(measure)
    })
}

/// Multiplies a time that suits the reference machine by the slowness of this machine.
pub fn scaled(time: Duration) -> Duration {
    time.mul_f64(slowness())
}

/// Measures the machine by doing a fixed amount of work on every core at the same time.
pub fn measure() -> f64 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| black_box(work()));
        }
    });
    (start.elapsed().as_secs_f64() / REFERENCE.as_secs_f64()).max(1.0)
}

/// Computes, and reads and writes more memory than the innermost cache holds.
fn work() -> usize {
    const WORDS: usize = 1 << 18;
    let mut table = vec![0_usize; WORDS];
    let mut number = 1_usize;
    for _ in 0..12_000_000 {
        number =
            number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let cell = &mut table[(number >> 33) % WORDS];
        *cell ^= number;
        number ^= *cell >> 17;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaled_limit_is_never_shorter() {
        assert!(measure() >= 1.0);
        assert!(scaled(Duration::from_secs(1)) >= Duration::from_secs(1));
    }
}
