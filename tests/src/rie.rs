//! AWS's own [Runtime Interface Emulator][rie] in front of a function: the program that is inside
//! of Lambda's images.
//!
//! [rie]: https://github.com/aws/aws-lambda-runtime-interface-emulator

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use rotation_local::throwaway::free_port;
use rotation_local::{Function, Program};
use serde_json::Value;

use crate::background::Background;

/// A function under the emulator; both end when this is dropped.
#[derive(Debug)]
pub struct Rie {
    port: u16,
    _emulator: Background,
}

/// The project's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

impl Rie {
    /// Starts a function's binary with the environment that `program` has.
    ///
    /// # Errors
    /// When the emulator is not installed or does not start.
    pub async fn start(binary: &Path, program: &Program) -> Result<Self> {
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
        let emulator = root()
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
        Ok(Self { port, _emulator: Background::start(command, port).await? })
    }

    /// The function behind it.
    pub fn function(&self) -> Function {
        Function::Url { base: self.endpoint(), name: "function".to_owned() }
    }

    /// The URL of the emulator, which answers as the Lambda service does for a function named
    /// `function`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// The events of `events/`, in the order of the steps.
///
/// # Errors
/// When one cannot be read.
pub fn events() -> Result<Vec<Value>> {
    let read = |step: &str| -> Result<Value> {
        let path = root().join(format!("events/{step}.json"));
        let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    };
    ["createSecret", "setSecret", "testSecret", "finishSecret"].into_iter().map(read).collect()
}
