//! A rotation as it is recorded: its steps, its calls and its logins, on one time axis.

use std::time::{Duration, Instant, SystemTime};

use rotation_driver::{FunctionError, trace_id};
use secretsmanager_emulator::Call;

/// The maximum number of calls and of logins of a rotation. A function that loops has more.
const MAX_EVENTS: usize = 500;

/// A rotation, or a run of `testSecret` alone. Times without a date count from its start.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The number that identifies the rotation.
    pub(crate) number: u64,
    /// The ARN of the secret.
    pub(crate) secret: String,
    pub(crate) function: String,
    pub(crate) token: String,
    pub(crate) steps: Vec<Step>,
    /// The pauses before retries.
    pub(crate) pauses: Vec<Span>,
    pub(crate) calls: Vec<CallOfRun>,
    pub(crate) logins: Vec<Login>,
    pub(crate) end: Option<End>,
    pub(crate) date: SystemTime,
    pub(super) start: Instant,
}

/// A part of the time axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Duration,
    pub(crate) took: Duration,
}

/// A step of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) attempt: u32,
    pub(crate) from: Duration,
    /// The result. `None` while the step runs.
    pub(crate) ended: Option<Ended>,
}

/// The result of a step.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) took: Duration,
    /// The summary of the work, or the function's error.
    pub(crate) result: Result<String, FunctionError>,
}

/// A call of the function to Secrets Manager.
#[derive(Debug, Clone)]
pub(crate) struct CallOfRun {
    pub(crate) at: Span,
    pub(crate) operation: String,
    pub(crate) about: Option<String>,
    pub(crate) error: Option<String>,
}

/// A login of the function to a database, as the function has logged it.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) at: Span,
    pub(crate) endpoint: String,
    pub(crate) user: String,
    pub(crate) error: Option<String>,
}

/// The end of a rotation.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) how: &'static str,
    pub(crate) at: Duration,
    /// The reason why the rotation failed, if it is not the error of the last step.
    pub(crate) error: Option<FunctionError>,
}

impl Run {
    pub(super) fn new(number: u64, secret: &str, function: &str, token: &str) -> Self {
        Self {
            number,
            secret: secret.to_owned(),
            function: function.to_owned(),
            token: token.to_owned(),
            steps: Vec::new(),
            pauses: Vec::new(),
            calls: Vec::new(),
            logins: Vec::new(),
            end: None,
            date: SystemTime::now(),
            start: Instant::now(),
        }
    }

    /// Returns the name of the secret: its ARN ends with the name and a random suffix.
    pub(super) fn name(&self) -> &str {
        let name = self.secret.rsplit(":secret:").next().unwrap_or(&self.secret);
        name.rsplit_once('-').map_or(name, |(name, _)| name)
    }

    /// Returns the time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Returns the time at which the running step began, if a step runs.
    pub(super) fn step_start(&self) -> Option<Instant> {
        let step = self.steps.last().filter(|step| step.ended.is_none())?;
        Some(self.start + step.from)
    }

    /// Adds the calls of the running step. Those of the function have the rotation's trace id. If
    /// the function sends no trace ids, the calls that name the secret are shown.
    pub(super) fn add_calls(&mut self, calls: &[Call]) {
        let own = trace_id(&self.token);
        let is_own = |call: &&Call| call.trace_id.as_ref() == Some(&own);
        let names_secret = |call: &&Call| {
            let is_it = |id: &String| *id == self.secret || *id == self.name();
            call.trace_id.is_none() && call.secret.as_ref().is_some_and(is_it)
        };
        let mut shown: Vec<&Call> = calls.iter().filter(is_own).collect();
        if shown.is_empty() {
            shown = calls.iter().filter(names_secret).collect();
        }
        for call in shown.into_iter().take(MAX_EVENTS.saturating_sub(self.calls.len())) {
            self.calls.push(CallOfRun {
                at: Span {
                    from: call.from.saturating_duration_since(self.start),
                    took: call.until.saturating_duration_since(call.from),
                },
                operation: call.operation.clone(),
                about: call.about.clone(),
                error: call.error.clone(),
            });
        }
        // Calls are recorded when they end.
        self.calls.sort_by_key(|call| call.at.from);
    }

    /// Adds a login that has just ended.
    pub(super) fn add_login(&mut self, login: LoggedLogin) {
        if self.logins.len() >= MAX_EVENTS {
            return;
        }
        let LoggedLogin { took, endpoint, user, error, .. } = login;
        let from = self.elapsed().saturating_sub(took);
        self.logins.push(Login { at: Span { from, took }, endpoint, user, error });
    }
}

/// A login as a log line describes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LoggedLogin {
    pub(super) secret: String,
    pub(super) version: String,
    took: Duration,
    endpoint: String,
    user: String,
    error: Option<String>,
}

impl LoggedLogin {
    /// Parses the log line that the functions of this project write after each login.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        (line["event"] == "login").then_some(())?;
        Some(Self {
            secret: text(&line["span"]["secret"])?,
            version: text(&line["span"]["version"])?,
            took: Duration::from_millis(line["milliseconds"].as_u64()?),
            endpoint: text(&line["endpoint"])?,
            user: text(&line["user"])?,
            error: text(&line["error_type"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(operation: &str, secret: Option<&str>, trace_id: Option<String>) -> Call {
        Call {
            operation: operation.to_owned(),
            secret: secret.map(str::to_owned),
            about: None,
            rotation_token: None,
            trace_id,
            error: None,
            from: Instant::now(),
            until: Instant::now(),
        }
    }

    fn shown(calls: &[Call]) -> Vec<String> {
        let mut run = Run::new(1, "arn:of-it", "f", "the-token");
        run.add_calls(calls);
        run.calls.into_iter().map(|call| call.operation).collect()
    }

    #[test]
    fn calls_of_other_clients_are_not_shown() {
        let own = || Some(trace_id("the-token"));
        let calls = [
            call("GetSecretValue", Some("arn:of-it"), own()),
            call("GetRandomPassword", None, own()),
            call("GetSecretValue", Some("arn:of-it"), Some(trace_id("another"))),
            call("DescribeSecret", Some("arn:of-it"), None),
        ];
        assert_eq!(shown(&calls), ["GetSecretValue", "GetRandomPassword"]);
        // Without trace ids, the calls that name the secret are shown.
        assert_eq!(shown(&calls[2..]), ["DescribeSecret"]);
        assert!(shown(&[call("GetSecretValue", Some("arn:of-another"), None)]).is_empty());
    }

    #[test]
    fn login_is_read_from_its_log_line_only() {
        let line = r#"{"event":"login","endpoint":"db:5432","user":"app","milliseconds":12,
            "error_type":"CredentialsRefused","span":{"secret":"arn","version":"v"}}"#;
        let login = LoggedLogin::parse(line).unwrap();
        assert_eq!((login.endpoint.as_str(), login.user.as_str()), ("db:5432", "app"));
        assert_eq!(login.took, Duration::from_millis(12));
        assert_eq!(login.error.as_deref(), Some("CredentialsRefused"));
        for other in ["not JSON", r#"{"message":"login"}"#, r#"{"event":"login"}"#] {
            assert_eq!(LoggedLogin::parse(other), None);
        }
    }
}
