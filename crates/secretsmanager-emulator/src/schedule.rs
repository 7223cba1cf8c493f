//! Rotation rules: [schedule expressions][doc] and rotation windows, all in UTC.
//!
//! [doc]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html

use chrono::{DateTime, Timelike as _, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::{DAY, HOUR};
use crate::error::ServiceError;

/// The `RotationRules` of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rules {
    automatically_after_days: Option<u32>,
    duration_hours: Option<u32>,
    expression: Option<String>,
}

/// A rotation window, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// The beginning of the window.
    pub opens: f64,
    /// The end of the window, which the API returns as `NextRotationDate`.
    pub closes: f64,
}

enum Schedule {
    Days(u32),
    Hours(u32),
    Cron { cron: Box<Cron>, in_hours: bool },
}

impl Rules {
    /// Reads and validates the rules of a request.
    pub(crate) fn read(rules: &Value, now: f64) -> Result<Self, ServiceError> {
        let number = |name: &str| {
            rules.get(name).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok())
        };
        let text = |name: &str| rules.get(name).and_then(Value::as_str).map(str::to_owned);
        let duration = text("Duration");
        let rules = Self {
            automatically_after_days: number("AutomaticallyAfterDays"),
            duration_hours: duration.and_then(|text| text.trim_end_matches('h').parse().ok()),
            expression: text("ScheduleExpression"),
        };
        match (&rules.automatically_after_days, &rules.expression) {
            (Some(_), Some(_)) => {
                return Err(ServiceError::parameter(
                    "You can't specify both AutomaticallyAfterDays and ScheduleExpression in \
                     RotationRules.",
                ));
            }
            (None, None) => {
                return Err(ServiceError::parameter(
                    "RotationRules must have AutomaticallyAfterDays or ScheduleExpression.",
                ));
            }
            _ => {}
        }
        rules.validate_windows(now)?;
        Ok(rules)
    }

    /// Rejects rules if any window would extend into the next window or the next day. It checks
    /// more than the first window, so that the result does not depend on the hour at which the
    /// rules are set.
    fn validate_windows(&self, now: f64) -> Result<(), ServiceError> {
        let duration = f64::from(self.duration_hours.unwrap_or(1)) * HOUR;
        let schedule = self.schedule()?;
        if let Schedule::Cron { cron, .. } = &schedule {
            self.validate_frequency(cron)?;
        }
        if self.duration_hours == Some(0) {
            return Err(ServiceError::parameter("Duration must be at least 1h."));
        }
        let mut window = self.window(&schedule, now, now)?;
        for _ in 0..MAX_WINDOWS {
            let following = self.window(&schedule, window.opens, window.opens)?;
            if self.duration_hours.is_some() {
                let reaches = |end: f64, what: &str| {
                    Err(ServiceError::parameter(format!(
                        "Duration: the rotation window must not extend into the next {what} (it is \
                         {end:.0} s too long)."
                    )))
                };
                let end = window.opens + duration;
                if end > end_of_day(window.opens) + 1.0 {
                    return reaches(end - end_of_day(window.opens) - 1.0, "UTC day");
                }
                if end > following.opens {
                    return reaches(end - following.opens, "rotation window");
                }
            }
            window = following;
        }
        Ok(())
    }

    fn validate_frequency(&self, cron: &Cron) -> Result<(), ServiceError> {
        let mut before = next_of(cron, 0.0)?;
        for _ in 0..48 {
            let next = next_of(cron, before)?;
            if next - before < 4.0 * HOUR {
                return Err(ServiceError::parameter(format!(
                    "Invalid ScheduleExpression {}: a secret can be rotated every four hours at \
                     most.",
                    self.expression.as_deref().unwrap_or_default()
                )));
            }
            before = next;
        }
        Ok(())
    }

    /// Returns the rules as `DescribeSecret` returns them.
    pub(crate) fn as_json(&self) -> Value {
        let mut shown = json!({});
        if let Some(days) = self.automatically_after_days {
            shown["AutomaticallyAfterDays"] = days.into();
        }
        if let Some(hours) = self.duration_hours {
            shown["Duration"] = format!("{hours}h").into();
        }
        if let Some(expression) = &self.expression {
            shown["ScheduleExpression"] = expression.as_str().into();
            match self.schedule() {
                Ok(Schedule::Days(days)) => shown["AutomaticallyAfterDays"] = days.into(),
                // AWS shows a rate in hours as whole days, and part of a day as a day.
                Ok(Schedule::Hours(hours)) => {
                    shown["AutomaticallyAfterDays"] = hours.div_ceil(24).into();
                }
                _ => {}
            }
        }
        shown
    }

    /// Returns the first window after the last rotation (`last`) that has not opened yet.
    pub(crate) fn next(&self, last: f64, now: f64) -> Result<Window, ServiceError> {
        self.window(&self.schedule()?, last, now)
    }

    fn window(&self, schedule: &Schedule, last: f64, now: f64) -> Result<Window, ServiceError> {
        let opens = match schedule {
            Schedule::Days(days) => {
                let day = f64::from(*days) * DAY;
                let first = (last / DAY).floor() * DAY + day;
                if first > now { first } else { (now / DAY).floor() * DAY + DAY }
            }
            Schedule::Hours(hours) => {
                // The first window opens at midnight of the day of the last rotation, and the
                // others follow every `hours` hours.
                let step = f64::from(*hours) * HOUR;
                let midnight = (last / DAY).floor() * DAY;
                let after = last.max(now);
                midnight + ((after - midnight) / step).floor() * step + step
            }
            Schedule::Cron { cron, .. } => next_of(cron, now)?,
        };
        let in_hours =
            matches!(schedule, Schedule::Hours(_) | Schedule::Cron { in_hours: true, .. });
        let closes = match self.duration_hours {
            Some(hours) => opens + f64::from(hours) * HOUR,
            None if in_hours => opens + HOUR,
            None => end_of_day(opens),
        };
        Ok(Window { opens, closes: closes.min(end_of_day(opens) + 1.0) })
    }

    fn schedule(&self) -> Result<Schedule, ServiceError> {
        if let Some(days) = self.automatically_after_days {
            return Ok(Schedule::Days(days));
        }
        let expression = self.expression.as_deref().unwrap_or_default();
        let inside = |name: &str| expression.strip_prefix(name)?.strip_suffix(')');
        if let Some(rate) = inside("rate(") {
            return rate_of(rate);
        }
        match inside("cron(") {
            Some(fields) => cron_of(fields),
            None => Err(ServiceError::parameter(format!(
                "Invalid ScheduleExpression {expression}: it must be rate(… days), rate(… hours) \
                 or cron(…)."
            ))),
        }
    }
}

/// The number of windows that are checked before rules are accepted. It covers a leap year of daily
/// windows, and two months of windows that open every four hours.
const MAX_WINDOWS: usize = 400;

/// Returns the last second of the day of a time.
fn end_of_day(time: f64) -> f64 {
    (time / DAY).floor() * DAY + DAY - 1.0
}

fn rate_of(rate: &str) -> Result<Schedule, ServiceError> {
    let invalid = |why: &str| {
        ServiceError::parameter(format!("Invalid ScheduleExpression rate({rate}): {why}."))
    };
    let (number, unit) =
        rate.trim().split_once(' ').ok_or_else(|| invalid("it needs a number and a unit"))?;
    let number: u32 =
        number.parse().map_err(|_| invalid("the rate must begin with a whole number"))?;
    match unit.trim() {
        "day" | "days" if (1..=999).contains(&number) => Ok(Schedule::Days(number)),
        "hour" | "hours" if (4..=999).contains(&number) => Ok(Schedule::Hours(number)),
        "day" | "days" | "hour" | "hours" => {
            Err(invalid("a secret can be rotated every four hours at most"))
        }
        _ => Err(invalid("the unit must be hours or days")),
    }
}

/// Parses `Minutes Hours Day-of-month Month Day-of-week Year`. The minutes must be `0`, and the
/// year must be `*`.
fn cron_of(fields: &str) -> Result<Schedule, ServiceError> {
    let invalid = |why: &str| {
        ServiceError::parameter(format!("Invalid ScheduleExpression cron({fields}): {why}."))
    };
    let parts: Vec<&str> = fields.split_whitespace().collect();
    let [minutes, hours, day, month, weekday, year] = parts[..] else {
        return Err(invalid("it must have six fields"));
    };
    if minutes != "0" {
        return Err(invalid("the minutes must be 0"));
    }
    if year != "*" {
        return Err(invalid("the year must be *"));
    }
    if (day == "?") == (weekday == "?") {
        return Err(invalid("one of day-of-month and day-of-week must be ?"));
    }
    // In the parser's syntax, AWS's 0/8 is */8, and AWS's ? (no specific value) is *.
    let hours = match hours.strip_prefix("0/") {
        Some(step) => format!("*/{step}"),
        None => hours.to_owned(),
    };
    let any = |field: &str| if field == "?" { "*".to_owned() } else { field.to_owned() };
    let message = format!("0 {hours} {} {month} {}", any(day), any(weekday));
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .alternative_weekdays(true)
        .sloppy_ranges(true)
        .build();
    let cron = parser.parse(&message).map_err(|error| invalid(&error.to_string()))?;
    let in_hours = hours.contains(['*', '/', ',', '-']);
    Ok(Schedule::Cron { cron: Box::new(cron), in_hours })
}

fn next_of(cron: &Cron, after: f64) -> Result<f64, ServiceError> {
    let never = || ServiceError::parameter("The ScheduleExpression never matches a date.");
    #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970")]
    let after = DateTime::<Utc>::from_timestamp(after as i64, 0).ok_or_else(never)?;
    let next = cron.find_next_occurrence(&after, false).map_err(|_| never())?;
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let seconds = next.with_nanosecond(0).ok_or_else(never)?.timestamp() as f64;
    Ok(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sunday, 22 November 2026, 09:54:30 UTC.
    const NOW: f64 = 1_795_341_270.0;

    fn window(rules: Value) -> (String, String) {
        let window = Rules::read(&rules, NOW).unwrap().next(NOW, NOW).unwrap();
        let message =
            |seconds: f64| DateTime::<Utc>::from_timestamp(seconds as i64, 0).unwrap().to_string();
        (message(window.opens), message(window.closes))
    }

    #[test]
    fn windows_match_the_examples_of_aws() {
        for (rules, opens, closes) in [
            (
                json!({"AutomaticallyAfterDays": 30}),
                "2026-12-22 00:00:00 UTC",
                "2026-12-22 23:59:59 UTC",
            ),
            (
                json!({"ScheduleExpression": "rate(10 days)", "Duration": "3h"}),
                "2026-12-02 00:00:00 UTC",
                "2026-12-02 03:00:00 UTC",
            ),
            (
                json!({"ScheduleExpression": "rate(4 hours)"}),
                "2026-11-22 12:00:00 UTC",
                "2026-11-22 13:00:00 UTC",
            ),
            // These are the examples of AWS's page.
            (
                json!({"ScheduleExpression": "cron(0 8 * * ? *)"}),
                "2026-11-23 08:00:00 UTC",
                "2026-11-23 23:59:59 UTC",
            ),
            (
                json!({"ScheduleExpression": "cron(0 0/8 * * ? *)"}),
                "2026-11-22 16:00:00 UTC",
                "2026-11-22 17:00:00 UTC",
            ),
            (
                json!({"ScheduleExpression": "cron(0 8 1 * ? *)"}),
                "2026-12-01 08:00:00 UTC",
                "2026-12-01 23:59:59 UTC",
            ),
            (
                json!({"ScheduleExpression": "cron(0 8 ? 1/3 1#1 *)", "Duration": "2h"}),
                "2027-01-03 08:00:00 UTC",
                "2027-01-03 10:00:00 UTC",
            ),
            (
                json!({"ScheduleExpression": "cron(0 17 L * ? *)"}),
                "2026-11-30 17:00:00 UTC",
                "2026-11-30 23:59:59 UTC",
            ),
            (
                json!({"ScheduleExpression": "cron(0 8 ? * MON-FRI *)"}),
                "2026-11-23 08:00:00 UTC",
                "2026-11-23 23:59:59 UTC",
            ),
            (
                json!({"ScheduleExpression": "cron(0 8 ? * 1 *)"}),
                "2026-11-29 08:00:00 UTC",
                "2026-11-29 23:59:59 UTC",
            ),
        ] {
            assert_eq!(window(rules.clone()), (opens.to_owned(), closes.to_owned()), "{rules}");
        }
    }

    #[test]
    fn rate_is_shown_in_days() {
        for (expression, days) in [
            ("rate(10 days)", json!(10)),
            ("rate(4 hours)", json!(1)),
            ("rate(10 hours)", json!(1)),
            ("rate(24 hours)", json!(1)),
            ("rate(25 hours)", json!(2)),
            ("cron(0 8 * * ? *)", Value::Null),
        ] {
            let rules = Rules::read(&json!({"ScheduleExpression": expression}), NOW).unwrap();
            let shown = rules.as_json();
            assert_eq!(shown["AutomaticallyAfterDays"], days, "{expression}");
            assert_eq!(shown["ScheduleExpression"], expression);
        }
    }

    #[test]
    fn invalid_rotation_rules_are_rejected() {
        for rules in [
            json!({}),
            json!({"AutomaticallyAfterDays": 3, "ScheduleExpression": "rate(3 days)"}),
            json!({"ScheduleExpression": "rate(3 hours)"}),
            json!({"ScheduleExpression": "rate(3 weeks)"}),
            json!({"ScheduleExpression": "rate(days)"}),
            json!({"ScheduleExpression": "every day"}),
            json!({"ScheduleExpression": "cron(15 8 * * ? *)"}),
            json!({"ScheduleExpression": "cron(0 8 * * * *)"}),
            json!({"ScheduleExpression": "cron(0 8 * * ?)"}),
            json!({"ScheduleExpression": "cron(0 8 * * ? 2027)"}),
            json!({"ScheduleExpression": "cron(0 25 * * ? *)"}),
            json!({"ScheduleExpression": "cron(0 0/2 * * ? *)"}),
            json!({"ScheduleExpression": "rate(4 hours)", "Duration": "5h"}),
            json!({"ScheduleExpression": "cron(0 22 * * ? *)", "Duration": "3h"}),
            json!({"ScheduleExpression": "cron(0 13,23 * * ? *)", "Duration": "2h"}),
        ] {
            let refused = Rules::read(&rules, NOW);
            assert_eq!(refused.unwrap_err().code, "InvalidParameterException", "{rules}");
        }
    }

    #[test]
    fn missed_window_is_followed_by_the_next() {
        let rules = Rules::read(&json!({"ScheduleExpression": "rate(4 hours)"}), NOW).unwrap();
        let window = rules.next(NOW - 100.0 * DAY, NOW).unwrap();
        assert!(window.opens > NOW && window.opens <= NOW + 4.0 * HOUR);
    }
}
