//! AWS's own [Runtime Interface Emulator][rie] in front of a function. It is the program that
//! Lambda's base images contain.
//!
//! [rie]: https://github.com/aws/aws-lambda-runtime-interface-emulator

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rotation_driver::{Function, Program};
use serde_json::Value;
use test_servers::free_port;

use crate::child_process::ChildProcess;
use crate::repository;

/// A function under the emulator. Dropping it ends both.
#[derive(Debug)]
pub struct Rie {
    port: u16,
    _emulator: ChildProcess,
}

impl Rie {
    /// Starts a function's binary under the emulator, with the environment of `program`.
    ///
    /// # Errors
    /// Returns an error if the emulator is not installed or does not start.
    pub async fn start(binary: &Path, program: &Program) -> Result<Self> {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let emulator = repository()
            .join("target/tools/rie/samcli/local/rapid")
            .join(format!("aws-lambda-rie-{architecture}"));
        let (port, api) = (free_port()?, free_port()?);
        let mut command = Command::new(&emulator);
        command
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{port}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{api}")])
            .arg(binary)
            .envs(program.environment())
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", "30")
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self { port, _emulator: ChildProcess::start(command, port).await? })
    }

    /// Returns the function that runs under the emulator.
    pub fn function(&self) -> Function {
        Function::Url { base: self.endpoint(), name: "function".to_owned() }
    }

    /// Returns the URL of the emulator. It answers as the Lambda service does for a function named
    /// `function`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Returns the events of the folder `events/`, in the order of the steps.
///
/// # Errors
/// Returns an error if an event cannot be read.
pub fn events() -> Result<Vec<Value>> {
    let read = |step: &str| -> Result<Value> {
        let path = repository().join(format!("events/{step}.json"));
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    };
    ["createSecret", "setSecret", "testSecret", "finishSecret"].into_iter().map(read).collect()
}
