//! The event log of `serve`: the rotations with their steps, and the functions' log lines. Secret
//! values are redacted.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use rotation_driver::{FunctionError, Observer, StepReport};
use secretsmanager_emulator::{SecretValue, Service};
use serde_json::Value;

use crate::progress::Progress;

/// The maximum number of rotations in the log.
const MAX_ROTATIONS: usize = 50;
/// The maximum number of log lines.
const MAX_LINES: usize = 500;

/// The event log. Clones share their state.
#[derive(Clone, Default)]
pub(crate) struct EventLog {
    inside: Arc<Mutex<Inside>>,
}

#[derive(Default)]
pub(crate) struct Inside {
    /// The rotations, newest last.
    pub(crate) rotations: VecDeque<Run>,
    /// The functions' names and log lines, newest last.
    lines: VecDeque<(String, String)>,
    /// The values to redact. They stay here after their secret was deleted.
    mask: Redactor,
    count: u64,
}

/// A rotation with its steps.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    number: u64,
    pub(crate) secret: String,
    pub(crate) function: String,
    pub(crate) token: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: Option<&'static str>,
}

/// A step of an attempt.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) attempt: u32,
    /// The result. `None` while the step runs.
    pub(crate) ended: Option<Ended>,
}

/// The result of a step.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) took: Duration,
    pub(crate) well: bool,
    pub(crate) message: String,
}

impl EventLog {
    pub(crate) fn look(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a function's log line, and returns it redacted.
    pub(crate) fn line(&self, service: &Service, function: &str, line: &str) -> String {
        self.learn(service);
        let mut inside = self.look();
        let line = inside.mask.text(line);
        inside.lines.push_back((function.to_owned(), line.clone()));
        let surplus = inside.lines.len().saturating_sub(MAX_LINES);
        inside.lines.drain(..surplus);
        line
    }

    /// Adds the values of the secrets that are being rotated, and the generated passwords, to the
    /// values to redact.
    fn learn(&self, service: &Service) {
        let mut secrets = service.generated_passwords();
        values_of(service, &self.running(), &mut secrets);
        self.look().mask.add(secrets);
    }

    /// Redacts a value from now on.
    pub(crate) fn hide(&self, secret: &str) {
        self.look().mask.add(vec![secret.to_owned()]);
    }

    /// Returns the log lines. They are redacted again with the values that are known now, because a
    /// function can log a password before it is stored in a secret.
    pub(crate) fn lines(&self) -> Vec<(String, String)> {
        let inside = self.look();
        inside
            .lines
            .iter()
            .map(|(function, line)| (function.clone(), inside.mask.text(line)))
            .collect()
    }

    /// Returns `true` if a secret is being rotated.
    pub(crate) fn is_running(&self, secret: &str) -> bool {
        self.running().iter().any(|running| running == secret)
    }

    /// Returns the secrets that are being rotated.
    pub(crate) fn running(&self) -> Vec<String> {
        let inside = self.look();
        inside
            .rotations
            .iter()
            .filter(|run| run.end.is_none())
            .map(|run| run.secret.clone())
            .collect()
    }

    /// Adds a rotation that starts. Returns `None` if it is already running, because a client can
    /// repeat a request.
    pub(crate) fn begin(
        &self,
        secret: &str,
        function: &str,
        token: &str,
        service: Service,
    ) -> Option<Recorder> {
        let mut inside = self.look();
        let is_it = |run: &Run| run.secret == secret && run.token == token && run.end.is_none();
        if inside.rotations.iter().any(is_it) {
            return None;
        }
        inside.count += 1;
        let number = inside.count;
        inside.rotations.push_back(Run {
            number,
            secret: secret.to_owned(),
            function: function.to_owned(),
            token: token.to_owned(),
            steps: Vec::new(),
            end: None,
        });
        // Only rotations that have ended are removed.
        while inside.rotations.len() > MAX_ROTATIONS
            && let Some(oldest) = inside.rotations.iter().position(|run| run.end.is_some())
        {
            inside.rotations.remove(oldest);
        }
        drop(inside);
        let name = secret.rsplit(":secret:").next().unwrap_or(secret);
        let progress = Progress::of(name.rsplit_once('-').map_or(name, |(name, _)| name));
        Some(Recorder { activity: self.clone(), number, service, progress, failure: None })
    }
}

/// The observer that records a rotation's steps and shows them on the terminal.
pub(crate) struct Recorder {
    activity: EventLog,
    number: u64,
    service: Service,
    progress: Progress,
    failure: Option<FunctionError>,
}

impl Recorder {
    fn change(&self, change: impl FnOnce(&mut Run)) {
        let mut inside = self.activity.look();
        if let Some(run) = inside.rotations.iter_mut().find(|run| run.number == self.number) {
            change(run);
        }
    }

    /// Returns the redacted error of the last step if it failed.
    pub(crate) fn failure(&self) -> Option<&FunctionError> {
        self.failure.as_ref()
    }

    /// Records that the rotation has ended, and how.
    pub(crate) fn end(&self, how: &'static str) {
        self.change(|run| run.end = Some(how));
    }
}

impl Observer for Recorder {
    fn begins(&mut self, step: &'static str, attempt: u32) {
        self.change(|run| run.steps.push(Step { name: step, attempt, ended: None }));
        self.progress.begins(step, attempt);
    }

    fn ended(&mut self, report: &StepReport) {
        // A third-party function can return secret values.
        self.activity.learn(&self.service);
        let report = masked(report, &self.activity.look().mask);
        let (well, message) = match &report.result {
            Ok(record) => (true, record["did"].as_str().unwrap_or_default().to_owned()),
            Err(error) => (false, format!("{}: {}", error.error_type, error.message)),
        };
        self.change(|run| {
            if let Some(step) = run.steps.last_mut() {
                step.ended = Some(Ended { took: report.took, well, message });
            }
        });
        self.progress.ended(&report);
        self.failure = report.result.err();
    }

    fn repeats(&mut self, after: Duration) {
        self.progress.repeats(after);
    }
}

fn masked(report: &StepReport, mask: &Redactor) -> StepReport {
    let mut report = report.clone();
    match &mut report.result {
        Ok(record) => mask.value(record),
        Err(error) => {
            error.error_type = mask.text(&error.error_type);
            error.message = mask.text(&error.message);
        }
    }
    report
}

/// The secret values that are redacted in texts, longest first.
#[derive(Default)]
pub(crate) struct Redactor(Vec<String>);

impl Redactor {
    fn add(&mut self, secrets: Vec<String>) {
        for secret in secrets {
            if !self.0.contains(&secret) {
                // Longer values are replaced first. Otherwise the replacement of a part would leave
                // the rest of a longer value visible.
                let at = self.0.partition_point(|known| known.len() >= secret.len());
                self.0.insert(at, secret);
            }
        }
    }

    fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => fields.iter_mut().for_each(|(_, field)| self.value(field)),
            _ => {}
        }
    }
}

/// The keys of a secret whose values are not redacted.
const OPEN: [&str; 8] =
    ["engine", "host", "port", "username", "dbname", "masterarn", "ssl", "dbInstanceIdentifier"];

/// Adds the confidential values of secrets, and of the master secrets that they name.
fn values_of(service: &Service, of: &[String], secrets: &mut Vec<String>) {
    service.with_store(|store| {
        let mut wanted = of.to_vec();
        let mut at = 0;
        while let Some(id) = wanted.get(at).cloned() {
            at += 1;
            for version in store.anywhere(&id).into_iter().flat_map(|secret| &secret.versions) {
                let text = match &version.value {
                    Some(SecretValue::Text(text)) => text.clone(),
                    Some(SecretValue::Binary(bytes)) => {
                        hide(&base64::engine::general_purpose::STANDARD.encode(bytes), secrets);
                        String::from_utf8_lossy(bytes).into_owned()
                    }
                    None => continue,
                };
                let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
                if let Some(master) = value["masterarn"].as_str().map(str::to_owned)
                    && !wanted.contains(&master)
                {
                    wanted.push(master);
                }
                collect(&value, secrets);
            }
        }
    });
}

/// Adds every text and number in a value at any depth, except those under the keys in [`OPEN`].
fn collect(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::String(text) => hide(text, secrets),
        Value::Number(number) => hide(&number.to_string(), secrets),
        Value::Array(items) => items.iter().for_each(|item| collect(item, secrets)),
        Value::Object(fields) => {
            let hidden = fields.iter().filter(|(name, _)| !OPEN.contains(&name.as_str()));
            hidden.for_each(|(_, field)| collect(field, secrets));
        }
        _ => {}
    }
}

/// Adds the forms in which a function can log a text: unchanged, escaped as in JSON, and each line
/// on its own.
fn hide(text: &str, secrets: &mut Vec<String>) {
    let json = Value::from(text).to_string();
    let forms = [text, &json[1..json.len() - 1]].into_iter().chain(text.lines());
    // Shorter texts would also occur in unrelated output.
    secrets.extend(forms.map(str::trim).filter(|form| form.len() >= 5).map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn values_of_secrets_and_masters_are_redacted() {
        let service = Service::start(0).await.unwrap();
        let master = "arn:aws:secretsmanager:us-east-1:123456789012:secret:m-AbCdEf";
        let value = json!({
            "username": "the-user",
            "password": "pass\"word",
            "masterarn": &master[..master.len() - 7],
            "deep": {"apikey": "k-123", "pem": "-----BEGIN\nabcdefgh\n-----END"}
        });
        service.put_secret("m", master, &json!({"password": "of-the-master"}).to_string()).unwrap();
        let made = service
            .perform("CreateSecret", &json!({"Name": "s", "SecretString": value.to_string()}))
            .unwrap();
        let arn = made["ARN"].as_str().unwrap();
        let activity = EventLog::default();
        let recorder = activity.begin(arn, "f", "t", service.clone()).unwrap();
        assert!(
            activity.begin(arn, "f", "t", service.clone()).is_none(),
            "the same rotation twice"
        );
        for (line, masked) in [
            (
                r#"the-user has pass"word, {"password": "pass\"word"}"#,
                r#"the-user has ***, {"password": "***"}"#,
            ),
            ("k-123 and of-the-master", "*** and ***"),
            ("abcdefgh", "***"),
        ] {
            assert_eq!(activity.line(&service, "f", line), masked);
        }
        // A generated password is redacted before it is stored in a secret.
        let made = service.perform("GetRandomPassword", &json!({})).unwrap();
        let password = made["RandomPassword"].as_str().unwrap();
        assert_eq!(activity.line(&service, "f", password), "***");
        // The values stay redacted after the rotation has ended and the secret was deleted.
        recorder.end("done");
        service
            .perform("DeleteSecret", &json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true}))
            .unwrap();
        assert_eq!(activity.line(&service, "f", "k-123"), "***");
        activity.hide("later-known");
        assert!(!format!("{:?}", activity.lines()).contains("later-known"));
    }
}
