//! The JSON report of a command that rotates.

use anyhow::Result;
use serde_json::{Value, json};

use crate::progress::print_json;

/// A JSON object that grows while the command runs.
#[derive(Debug)]
pub(crate) struct Report(Value);

impl Report {
    /// Creates a report without rotations.
    pub(crate) fn new() -> Self {
        Self(json!({"status": "failed", "rotations": []}))
    }

    /// Sets a key of the object.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.0[key] = value.into();
    }

    /// Adds a rotation to the report.
    pub(crate) fn add(&mut self, rotation: Value) {
        if let Some(rotations) = self.0["rotations"].as_array_mut() {
            rotations.push(rotation);
        }
    }

    /// Adds the result of the command to the report and prints it.
    pub(crate) fn print(mut self, done: &Result<()>) {
        if done.is_ok() {
            self.set("status", "passed");
        }
        self.set("error", done.as_ref().err().map(|error| format!("{error:#}")));
        print_json(&self.0);
    }
}
