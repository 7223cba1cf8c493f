//! The dates on which Lambda deprecates its Python runtimes.

use chrono::{DateTime, NaiveDate, Utc};

/// The deprecation date of each runtime, from the [table of AWS][table]. A function with a
/// deprecated runtime still runs, but gets no security updates.
///
/// [table]: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
const DEPRECATED: &[(&str, (i32, u32, u32))] = &[
    ("python2.7", (2021, 7, 15)),
    ("python3.6", (2022, 7, 18)),
    ("python3.7", (2023, 12, 4)),
    ("python3.8", (2024, 10, 14)),
    ("python3.9", (2025, 12, 15)),
    ("python3.10", (2026, 10, 31)),
    ("python3.11", (2027, 6, 30)),
    ("python3.12", (2028, 10, 31)),
    ("python3.13", (2029, 6, 30)),
    ("python3.14", (2029, 6, 30)),
];

/// Returns the date on which a Python runtime was deprecated, if that date has come.
pub(super) fn deprecated_since(runtime: &str, now: DateTime<Utc>) -> Option<NaiveDate> {
    let (_, (year, month, day)) = DEPRECATED.iter().find(|(name, _)| *name == runtime)?;
    let date = NaiveDate::from_ymd_opt(*year, *month, *day)?;
    (date <= now.date_naive()).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runtime_is_deprecated_from_its_date_on() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        assert_eq!(deprecated_since("python3.10", at("2026-10-30T23:59:59Z")), None);
        let since = deprecated_since("python3.10", at("2026-10-31T00:00:00Z"));
        assert_eq!(since.unwrap().to_string(), "2026-10-31");
        assert_eq!(deprecated_since("provided.al2023", at("2099-01-01T00:00:00Z")), None);
        for (runtime, _) in DEPRECATED {
            assert!(deprecated_since(runtime, at("2099-01-01T00:00:00Z")).is_some(), "{runtime}");
        }
    }
}
