//! A function that runs as a child process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::runtime_api::RuntimeApi;
use super::{FunctionError, TIMEOUT};

/// Receives the lines that a function writes.
type LogSink = Arc<dyn Fn(&str) + Send + Sync>;

/// A program that speaks the Lambda Runtime API.
pub struct Program {
    path: PathBuf,
    arguments: Vec<String>,
    environment: BTreeMap<String, String>,
    unset: Vec<&'static str>,
    timeout: Duration,
    log: LogSink,
    /// The instances that wait for an event. As on Lambda, each concurrent event has an instance of
    /// its own.
    idle: Mutex<Vec<Running>>,
    process_id: Mutex<Option<u32>>,
}

struct Running {
    api: RuntimeApi,
    child: Child,
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("path", &self.path).finish()
    }
}

impl Program {
    /// Creates a program that starts when it is first invoked.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_owned(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            unset: Vec::new(),
            timeout: TIMEOUT,
            log: Arc::new(|_| {}),
            idle: Mutex::default(),
            process_id: Mutex::default(),
        }
    }

    /// Creates a program from a command line for a shell.
    pub fn command(line: &str) -> Self {
        let mut program = Self::new("/bin/sh");
        // With exec, the function replaces the shell, so that it is the process that is measured
        // and killed.
        program.arguments = vec!["-c".to_owned(), format!("exec {line}")];
        program
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.insert(name.to_owned(), value.into());
        self
    }

    /// Removes an environment variable that the program would inherit.
    #[must_use]
    pub fn without(mut self, name: &'static str) -> Self {
        self.unset.push(name);
        self
    }

    /// Sets the timeout of an invocation.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the function that receives every line that the program writes.
    #[must_use]
    pub fn log(mut self, log: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.log = Arc::new(log);
        self
    }

    /// Returns the variables that were set with [`Program::env`].
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// Returns the id of the process that was started last, or `None` if an instance has ended
    /// since then.
    pub fn process_id(&self) -> Option<u32> {
        *self.process_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn invoke(&self, event: &Value) -> Result<Value, FunctionError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut running = match idle {
            Some(running) => running,
            None => self.start().await?,
        };
        let answer = running.api.offer(event.clone(), self.timeout);
        let result = tokio::select! {
            answer = answer => answer.unwrap_or_else(|_|
                Err(FunctionError::new("Runtime.Unknown", "the function did not respond"))),
            status = running.child.wait() => {
                self.set_process_id(None);
                return Err(running.api.init_error().unwrap_or_else(|| exited(status)));
            }
            () = tokio::time::sleep(self.timeout) => {
                running.api.withdraw();
                let _ = running.child.kill().await;
                self.set_process_id(None);
                return Err(FunctionError::new(
                    "Sandbox.Timedout",
                    format!("Task timed out after {:.2} seconds", self.timeout.as_secs_f64()),
                ));
            }
        };
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(running);
        result
    }

    /// Starts an instance, and waits until it requests its first event.
    ///
    /// # Errors
    /// Returns an error if the instance ends or times out before that.
    pub async fn start_instance(&self) -> Result<(), FunctionError> {
        let mut running = self.start().await?;
        tokio::select! {
            () = running.api.ready() => {}
            status = running.child.wait() => {
                self.set_process_id(None);
                return Err(running.api.init_error().unwrap_or_else(|| exited(status)));
            }
            () = tokio::time::sleep(self.timeout) => {
                self.set_process_id(None);
                return Err(FunctionError::new(
                    "Sandbox.Timedout",
                    "the function did not request an event",
                ));
            }
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(running);
        Ok(())
    }

    fn set_process_id(&self, process_id: Option<u32>) {
        *self.process_id.lock().unwrap_or_else(PoisonError::into_inner) = process_id;
    }

    async fn start(&self) -> Result<Running, FunctionError> {
        let cannot = |error: std::io::Error| {
            FunctionError::new("Local.CannotStart", format!("{}: {error}", self.path.display()))
        };
        let api = RuntimeApi::start().await.map_err(cannot)?;
        let mut command = Command::new(&self.path);
        // The function must not inherit this process's AWS settings. It inherits the variables
        // AWS_LAMBDA_LOG_*, which configure its logging.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("AWS_") && !text.starts_with("AWS_LAMBDA_LOG_") {
                command.env_remove(&name);
            }
        }
        for name in &self.unset {
            command.env_remove(name);
        }
        let mut child = command
            .args(&self.arguments)
            .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "local")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/local")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "local")
            .env("AWS_LAMBDA_LOG_FORMAT", "JSON")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(&self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        self.set_process_id(child.id());
        if let Some(stdout) = child.stdout.take() {
            tokio::spawn(pass_on(stdout, Arc::clone(&self.log)));
        }
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(pass_on(stderr, Arc::clone(&self.log)));
        }
        Ok(Running { api, child })
    }
}

/// The maximum length of a log line in bytes. Longer lines are split.
const MAX_LINE_BYTES: u64 = 64 * 1024;

/// Passes on the lines of a stream. It accepts bytes that are not UTF-8, because the function would
/// fail to write if the reader stopped.
async fn pass_on(stream: impl AsyncRead + Unpin, log: LogSink) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    while let Ok(1..) = (&mut stream).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).await {
        log(&String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)));
        line.clear();
    }
}

fn exited(status: std::io::Result<ExitStatus>) -> FunctionError {
    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
    FunctionError::new(
        "Runtime.ExitError",
        format!("the function ended without a response ({how})"),
    )
}
