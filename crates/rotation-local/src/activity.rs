//! What is going on: rotations step by step, and what the functions write. No secret value gets in
//! here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use serde_json::Value;

use crate::function::FunctionError;
use crate::progress::Progress;
use crate::service::{SecretValue, Service};
use crate::trigger::{Observer, StepReport};

/// How many rotations and how many lines are remembered.
const MOST_ROTATIONS: usize = 50;
const MOST_LINES: usize = 500;

/// Clones share everything.
#[derive(Clone, Default)]
pub(crate) struct Activity {
    inside: Arc<Mutex<Inside>>,
}

#[derive(Default)]
pub(crate) struct Inside {
    /// The newest last.
    pub(crate) rotations: VecDeque<Run>,
    /// Function and line, the newest last.
    lines: VecDeque<(String, String)>,
    /// What must not be seen; it stays so after a secret has gone.
    mask: Mask,
    count: u64,
}

/// A rotation.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    number: u64,
    pub(crate) secret: String,
    pub(crate) function: String,
    pub(crate) token: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) end: Option<&'static str>,
}

/// One step of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) attempt: u32,
    /// `None` while it runs.
    pub(crate) ended: Option<Ended>,
}

/// How a step has ended.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    pub(crate) took: Duration,
    pub(crate) well: bool,
    pub(crate) message: String,
}

impl Activity {
    pub(crate) fn look(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line that a function has written, masked.
    pub(crate) fn line(&self, service: &Service, function: &str, line: &str) -> String {
        self.learn(service);
        let mut inside = self.look();
        let line = inside.mask.text(line);
        inside.lines.push_back((function.to_owned(), line.clone()));
        let surplus = inside.lines.len().saturating_sub(MOST_LINES);
        inside.lines.drain(..surplus);
        line
    }

    /// Adds what the secrets that are being rotated hide now, and the passwords that were made up.
    fn learn(&self, service: &Service) {
        let mut secrets = service.made_passwords();
        values_of(service, &self.running(), &mut secrets);
        self.look().mask.add(secrets);
    }

    /// Hides something for good.
    pub(crate) fn hide(&self, secret: &str) {
        self.look().mask.add(vec![secret.to_owned()]);
    }

    /// The lines, masked by what is known now: a password may have been written before any secret
    /// had it.
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

    /// The secrets that are being rotated.
    pub(crate) fn running(&self) -> Vec<String> {
        let inside = self.look();
        inside
            .rotations
            .iter()
            .filter(|run| run.end.is_none())
            .map(|run| run.secret.clone())
            .collect()
    }

    /// A rotation begins; `None` when it is under way already, for the same request may come twice.
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
        // Only what has ended is forgotten.
        while inside.rotations.len() > MOST_ROTATIONS
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

/// Remembers a rotation's steps, and shows them on the terminal.
pub(crate) struct Recorder {
    activity: Activity,
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

    /// Returns the error of the last step if it failed, without what is secret in it.
    pub(crate) fn failure(&self) -> Option<&FunctionError> {
        self.failure.as_ref()
    }

    /// The rotation has ended.
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
        // A function of somebody else may say anything.
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

fn masked(report: &StepReport, mask: &Mask) -> StepReport {
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

/// Hides what is secret in a text.
#[derive(Default)]
pub(crate) struct Mask(Vec<String>);

impl Mask {
    fn add(&mut self, secrets: Vec<String>) {
        for secret in secrets {
            if !self.0.contains(&secret) {
                // The longest first: a part of one must not spoil it.
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

/// What is no secret in a secret.
const OPEN: [&str; 8] =
    ["engine", "host", "port", "username", "dbname", "masterarn", "ssl", "dbInstanceIdentifier"];

/// All that secrets hide, and the masters that they name.
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

/// Adds every text in a value, however deep.
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

/// As it is, as JSON writes it, and line by line: functions write lines.
fn hide(text: &str, secrets: &mut Vec<String>) {
    let json = Value::from(text).to_string();
    let forms = [text, &json[1..json.len() - 1]].into_iter().chain(text.lines());
    // Shorter ones stand everywhere.
    secrets.extend(forms.map(str::trim).filter(|form| form.len() >= 5).map(str::to_owned));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn what_secrets_and_their_masters_hide_is_masked_now_and_later() {
        let service = Service::start(0).await.unwrap();
        let master = "arn:aws:secretsmanager:us-east-1:123456789012:secret:m-AbCdEf";
        let value = json!({"username": "the-user", "password": "pass\"word", "masterarn": &master[..master.len() - 7],
            "deep": {"apikey": "k-123", "pem": "-----BEGIN\nabcdefgh\n-----END"}});
        service.put_secret("m", master, &json!({"password": "of-the-master"}).to_string()).unwrap();
        let made = service
            .perform("CreateSecret", &json!({"Name": "s", "SecretString": value.to_string()}))
            .unwrap();
        let arn = made["ARN"].as_str().unwrap();
        let activity = Activity::default();
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
        // A password that was made up, and is in no secret yet.
        let made = service.perform("GetRandomPassword", &json!({})).unwrap();
        let password = made["RandomPassword"].as_str().unwrap();
        assert_eq!(activity.line(&service, "f", password), "***");
        // And when all of it is over.
        recorder.end("done");
        service
            .perform("DeleteSecret", &json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true}))
            .unwrap();
        assert_eq!(activity.line(&service, "f", "k-123"), "***");
        activity.hide("later-known");
        assert!(!format!("{:?}", activity.lines()).contains("later-known"));
    }
}
