//! The event log of `serve`: the rotations with their steps, and the functions' log lines. Secret
//! values are redacted.

mod recorder;
mod redactor;
mod run;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use secretsmanager_emulator::Service;

use crate::progress::Progress;
pub(crate) use recorder::Recorder;
use redactor::{Redactor, values_of};
use run::LoggedLogin;
pub(crate) use run::{Run, Span};

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

impl Inside {
    fn run(&self, number: u64) -> Option<&Run> {
        self.rotations.iter().find(|run| run.number == number)
    }

    fn add_login(&mut self, login: LoggedLogin) {
        // A version can be rotated several times. The line belongs to the newest rotation.
        let is_of = |run: &&mut Run| run.token == login.version && run.secret == login.secret;
        if let Some(run) = self.rotations.iter_mut().rev().find(is_of) {
            run.add_login(login);
        }
    }
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
        if let Some(login) = LoggedLogin::parse(&line) {
            inside.add_login(login);
        }
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

    /// Returns the rotations, newest last, with the calls of the steps that are running.
    pub(crate) fn runs(&self, service: &Service) -> Vec<Run> {
        let mut runs: Vec<Run> = self.look().rotations.iter().cloned().collect();
        for run in &mut runs {
            if let Some(start) = run.step_start() {
                run.add_calls(&service.calls_since(start));
            }
        }
        runs
    }

    /// Redacts a text with the values that are known now.
    pub(crate) fn redacted(&self, text: &str) -> String {
        self.look().mask.text(text)
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
        let run = Run::new(number, secret, function, token);
        let progress = Progress::of(run.name());
        inside.rotations.push_back(run);
        // Only rotations that have ended are removed.
        while inside.rotations.len() > MAX_ROTATIONS
            && let Some(oldest) = inside.rotations.iter().position(|run| run.end.is_some())
        {
            inside.rotations.remove(oldest);
        }
        drop(inside);
        Some(Recorder { activity: self.clone(), number, service, progress, failure: None })
    }
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
        recorder.end("done", None);
        service
            .perform("DeleteSecret", &json!({"SecretId": "s", "ForceDeleteWithoutRecovery": true}))
            .unwrap();
        assert_eq!(activity.line(&service, "f", "k-123"), "***");
        activity.hide("later-known");
        assert!(!format!("{:?}", activity.lines()).contains("later-known"));
    }
}
