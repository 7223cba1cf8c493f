//! The observer that records a rotation's steps and shows them on the terminal.

use std::time::Duration;

use rotation_driver::{FunctionError, Observer, StepReport};
use secretsmanager_emulator::Service;

use super::EventLog;
use super::redactor::Redactor;
use super::run::{End, Ended, Run, Span, Step};
use crate::progress::Progress;

/// Records one rotation in the event log.
pub(crate) struct Recorder {
    pub(super) activity: EventLog,
    pub(super) number: u64,
    pub(super) service: Service,
    pub(super) progress: Progress,
    pub(super) failure: Option<FunctionError>,
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

    /// Records that the rotation has ended, how, and with which error.
    pub(crate) fn end(&self, how: &'static str, error: Option<&FunctionError>) {
        let mask = |error: &FunctionError| masked_error(error, &self.activity.look().mask);
        // The error of a step is shown with the step.
        let error = error.map(mask).filter(|error| Some(error) != self.failure.as_ref());
        self.change(|run| run.end = Some(End { how, at: run.elapsed(), error }));
    }

    /// Adds the calls of the step that is ending.
    fn record_calls(&self) {
        let start = self.activity.look().run(self.number).and_then(Run::step_start);
        let calls = start.map(|start| self.service.calls_since(start)).unwrap_or_default();
        self.change(|run| run.add_calls(&calls));
    }
}

impl Observer for Recorder {
    fn begins(&mut self, step: &'static str, attempt: u32) {
        self.change(|run| {
            run.steps.push(Step { name: step, attempt, from: run.elapsed(), ended: None });
        });
        self.progress.begins(step, attempt);
    }

    fn ended(&mut self, report: &StepReport) {
        self.record_calls();
        // A third-party function can return secret values.
        self.activity.learn(&self.service);
        let report = masked(report, &self.activity.look().mask);
        let result = match &report.result {
            Ok(record) => Ok(record["did"].as_str().unwrap_or_default().to_owned()),
            Err(error) => Err(error.clone()),
        };
        self.change(|run| {
            if let Some(step) = run.steps.last_mut() {
                step.ended = Some(Ended { took: report.took, result });
            }
        });
        self.progress.ended(&report);
        self.failure = report.result.err();
    }

    fn repeats(&mut self, after: Duration) {
        self.change(|run| run.pauses.push(Span { from: run.elapsed(), took: after }));
        self.progress.repeats(after);
    }
}

fn masked(report: &StepReport, mask: &Redactor) -> StepReport {
    let mut report = report.clone();
    match &mut report.result {
        Ok(record) => mask.value(record),
        Err(error) => *error = masked_error(error, mask),
    }
    report
}

fn masked_error(error: &FunctionError, mask: &Redactor) -> FunctionError {
    FunctionError { error_type: mask.text(&error.error_type), message: mask.text(&error.message) }
}
