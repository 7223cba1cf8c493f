//! What is going on: rotations step by step, and what the functions write. No secret value gets in here.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

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
    pub(crate) lines: VecDeque<(String, String)>,
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
    pub(crate) said: String,
}

impl Activity {
    pub(crate) fn look(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A line that a function has written.
    pub(crate) fn line(&self, function: &str, line: String) {
        let mut inside = self.look();
        inside.lines.push_back((function.to_owned(), line));
        let surplus = inside.lines.len().saturating_sub(MOST_LINES);
        inside.lines.drain(..surplus);
    }

    /// Whether a secret is being rotated.
    pub(crate) fn is_running(&self, secret: &str) -> bool {
        self.running().iter().any(|running| running == secret)
    }

    /// The secrets that are being rotated.
    pub(crate) fn running(&self) -> Vec<String> {
        let inside = self.look();
        inside.rotations.iter().filter(|run| run.end.is_none()).map(|run| run.secret.clone()).collect()
    }

    /// A rotation begins.
    pub(crate) fn begin(&self, secret: &str, function: &str, token: &str, service: Service) -> Recorder {
        let mut inside = self.look();
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
        let surplus = inside.rotations.len().saturating_sub(MOST_ROTATIONS);
        inside.rotations.drain(..surplus);
        Recorder { activity: self.clone(), number, service, progress: Progress::default() }
    }
}

/// Remembers a rotation's steps, and shows them on the terminal.
pub(crate) struct Recorder {
    activity: Activity,
    number: u64,
    service: Service,
    progress: Progress,
}

impl Recorder {
    fn change(&self, change: impl FnOnce(&mut Run)) {
        let mut inside = self.activity.look();
        if let Some(run) = inside.rotations.iter_mut().find(|run| run.number == self.number) {
            change(run);
        }
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
        let report = masked(report, &Mask::new(&self.service, &self.activity.running()));
        let (well, said) = match &report.result {
            Ok(record) => (true, record["did"].as_str().unwrap_or_default().to_owned()),
            Err(error) => (false, format!("{}: {}", error.error_type, error.message)),
        };
        self.change(|run| {
            if let Some(step) = run.steps.last_mut() {
                step.ended = Some(Ended { took: report.took, well, said });
            }
        });
        self.progress.ended(&report);
    }

    fn repeats(&mut self, after: Duration) {
        self.progress.repeats(after);
    }
}

fn masked(report: &StepReport, mask: &Mask) -> StepReport {
    let mut report = report.clone();
    match &mut report.result {
        Ok(record) => mask.value(record),
        Err(error) => error.message = mask.text(&error.message),
    }
    report
}

/// Hides what is secret in a text.
pub(crate) struct Mask(Vec<String>);

impl Mask {
    /// Knows all values of these secrets, and of the masters that they name.
    pub(crate) fn new(service: &Service, of: &[String]) -> Self {
        let mut secrets = Vec::new();
        service.with_store(|store| {
            let mut wanted = of.to_vec();
            let mut at = 0;
            while let Some(arn) = wanted.get(at).cloned() {
                at += 1;
                for version in store.anywhere(&arn).into_iter().flat_map(|secret| &secret.versions) {
                    let Some(SecretValue::Text(text)) = &version.value else { continue };
                    if let Some(master) = collect(text, &mut secrets).filter(|arn| !wanted.contains(arn)) {
                        wanted.push(master);
                    }
                }
            }
        });
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets)
    }

    pub(crate) fn text(&self, text: &str) -> String {
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

/// Adds what a secret's value hides, as it is and as JSON writes it; gives the master's ARN, if it has one.
fn collect(value: &str, secrets: &mut Vec<String>) -> Option<String> {
    let mut add = |text: &str| {
        // Shorter ones stand everywhere.
        if text.len() >= 5 {
            secrets.push(text.to_owned());
            let json = Value::from(text).to_string();
            if json.len() != text.len() + 2 {
                secrets.push(json[1..json.len() - 1].to_owned());
            }
        }
    };
    let Ok(Value::Object(fields)) = serde_json::from_str(value) else {
        add(value);
        return None;
    };
    for (_, text) in fields.iter().filter(|(name, _)| !OPEN.contains(&name.as_str())) {
        if let Some(text) = text.as_str() {
            add(text);
        }
    }
    fields.get("masterarn").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn passwords_of_rotated_secrets_and_their_masters_are_masked() {
        let service = Service::start(0).await.unwrap();
        let master = "arn:aws:secretsmanager:us-east-1:123456789012:secret:m-AbCdEf";
        let value =
            json!({"username": "the-user", "password": "pass\"word", "masterarn": master, "apikey": "k-123"});
        service.put_secret("m", master, &json!({"password": "of-the-master"}).to_string()).unwrap();
        service.perform("CreateSecret", &json!({"Name": "s", "SecretString": value.to_string()})).unwrap();
        let mask = Mask::new(&service, &["s".to_owned()]);
        let said =
            mask.text(r#"the-user has pass"word, {"password": "pass\"word"}, k-123 and of-the-master"#);
        assert_eq!(said, r#"the-user has ***, {"password": "***"}, *** and ***"#);
    }
}
