//! The progress output of the commands.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use rotation_driver::{FunctionError, Observer, StepReport};

/// The progress display of a rotation. It shows a spinner on a terminal while a step runs, and a
/// line when the step has ended.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    spinner: Option<ProgressBar>,
    /// The secret's name, if several secrets can rotate at the same time.
    name: Option<String>,
    /// The last error. If the same error occurs again, only its type is shown.
    last: Option<FunctionError>,
}

impl Progress {
    /// Creates a display whose lines begin with the name of the secret.
    pub(crate) fn of(name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..Self::default() }
    }

    fn say(&self, line: &str) {
        match &self.name {
            Some(name) => say(&format!("    {name}: {line}")),
            None => say(&format!("    {line}")),
        }
    }
}

impl Observer for Progress {
    fn begins(&mut self, step: &'static str, _attempt: u32) {
        if stderr().is_terminal() {
            let spinner = ProgressBar::new_spinner().with_message(step);
            if let Ok(style) = ProgressStyle::with_template("    {spinner} {msg} {elapsed}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(100));
            self.spinner = Some(spinner);
        }
    }

    fn ended(&mut self, report: &StepReport) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
        let took = report.took.as_millis();
        match &report.result {
            Ok(record) => {
                self.say(&format!("✓ {:<13}{took:>5} ms  {}", report.step, text(record, "did")));
                for note in record.get("notes").and_then(Value::as_array).into_iter().flatten() {
                    self.say(&format!("  note: {}", note.as_str().unwrap_or_default()));
                }
            }
            Err(error) if self.last.as_ref() == Some(error) => {
                self.say(&format!(
                    "✗ {:<13}{took:>5} ms  {}, as before",
                    report.step, error.error_type
                ));
            }
            Err(error) => {
                self.say(&format!("✗ {:<13}{took:>5} ms  {}", report.step, error.error_type));
                self.say(&format!("  {}", error.message));
                self.last = Some(error.clone());
            }
        }
    }

    fn repeats(&mut self, after: Duration) {
        self.say(&format!(
            "retrying the whole rotation in {:.1} s, as Secrets Manager does",
            after.as_secs_f64()
        ));
    }
}

/// `true` if progress goes to standard error because standard output is for JSON.
static TO_STANDARD_ERROR: AtomicBool = AtomicBool::new(false);

/// Sends progress to standard error, so that standard output has only JSON.
pub(crate) fn to_standard_error() {
    TO_STANDARD_ERROR.store(true, Ordering::Relaxed);
}

/// Prints indented JSON on standard output.
pub(crate) fn print_json(value: &Value) {
    let _ = writeln!(stdout(), "{value:#}");
}

/// Prints JSON in one line on standard output.
pub(crate) fn print_json_line(value: &Value) {
    let _ = writeln!(stdout(), "{value}");
}

/// Prints a line. Ignores write errors, because a closed pipe (`| head`) must not interrupt a
/// rotation.
pub(crate) fn say(line: &str) {
    if TO_STANDARD_ERROR.load(Ordering::Relaxed) {
        let _ = writeln!(stderr(), "{line}");
    } else {
        let _ = writeln!(stdout(), "{line}");
    }
}

fn text<'a>(record: &'a Value, name: &str) -> &'a str {
    record.get(name).and_then(Value::as_str).unwrap_or("")
}
