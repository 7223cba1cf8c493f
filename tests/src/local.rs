//! `rotation-local serve` as a child process, started as a user starts it.

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Credentials;
use serde_json::Value;
use test_servers::free_port;

use crate::child_process::ChildProcess;
use crate::discovery::use_one_tls_provider;
use crate::machine_speed::scaled;
use crate::{binary, repository, tool};

/// The AWS region of the tests' requests.
pub const REGION: &str = "eu-west-3";

/// A running local service. Dropping it ends the service.
#[derive(Debug)]
pub struct Serve {
    /// The port of the service.
    pub port: u16,
    /// The access key id that the service has printed.
    pub key: String,
    output: Arc<Mutex<String>>,
    program: ChildProcess,
}

impl Serve {
    /// Starts the service with additional arguments.
    ///
    /// # Errors
    /// Returns an error if the service does not start.
    pub async fn start(arguments: &[&str]) -> Result<Self> {
        Self::start_with(arguments, &[]).await
    }

    /// Starts the service with additional arguments and environment variables.
    ///
    /// # Errors
    /// Returns an error if the service does not start.
    pub async fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(binary("rotation-local"));
        command.args(["serve", "--port", &port.to_string()]).args(arguments);
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut program = ChildProcess::spawn(command)?;
        program.wait_until_listening(port).await?;
        let mut lines = BufReader::new(program.child().stdout.take().context("no output")?).lines();
        let output = Arc::new(Mutex::new(String::new()));
        let mut key = None;
        for line in lines.by_ref().map_while(Result::ok) {
            keep(&output, &line);
            let of_event = || {
                serde_json::from_str::<Value>(&line).ok()?["accessKeyId"]
                    .as_str()
                    .map(str::to_owned)
            };
            let printed =
                line.split_once("AWS_ACCESS_KEY_ID=").map(|(_, printed)| printed.to_owned());
            if let Some(printed) = printed.or_else(of_event) {
                key = Some(printed);
                break;
            }
        }
        let key = key.context("the service printed no access key id")?;
        let rest = Arc::clone(&output);
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| keep(&rest, &line)));
        Ok(Self { port, key, output, program })
    }

    /// Returns the URL of the service, `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns everything that the service has written so far.
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns a client that uses the access key id of the service.
    pub fn client(&self) -> Client {
        client(&self.endpoint(), &self.key, REGION)
    }

    /// Runs a command in a shell that finds the AWS CLI and this service, with additional
    /// environment variables. Returns the standard output.
    ///
    /// # Errors
    /// Returns an error with the command's error output if the command fails.
    pub fn run_in_shell(&self, command: &str, environment: &[(&str, &str)]) -> Result<String> {
        let tools = tool("").canonicalize()?;
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", command]).env("PATH", path);
        for (name, value) in aws(&self.endpoint(), &self.key).get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        let output = shell.envs(environment.iter().copied()).output()?;
        ensure!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Waits until the service has printed that a rotation, or a run of `testSecret`, has ended
    /// successfully.
    ///
    /// # Errors
    /// Returns an error with the service's output if it does not end in time.
    pub async fn until_rotated(&self) -> Result<()> {
        until("the rotation ends", async || Ok(self.output().contains(": done").then_some(())))
            .await
            .with_context(|| self.output())
    }

    /// Kills the service with SIGKILL, so that it cannot finish anything.
    ///
    /// # Errors
    /// Returns an error if the service has already ended.
    pub fn kill(mut self) -> Result<()> {
        self.program.child().kill()?;
        self.program.child().wait()?;
        Ok(())
    }
}

fn keep(output: &Mutex<String>, line: &str) {
    let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
    output.push_str(line);
    output.push('\n');
}

/// Returns a client of any Secrets Manager endpoint.
pub fn client(endpoint: &str, key: &str, region: &str) -> Client {
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Credentials::new(key, "local", None, None, "test"))
        .endpoint_url(endpoint)
        .build();
    Client::from_conf(config)
}

/// Returns an AWS CLI command that reaches only the given service.
pub fn aws(endpoint: &str, key: &str) -> Command {
    let mut aws = Command::new(tool("aws"));
    aws.env("AWS_ENDPOINT_URL", endpoint).env("AWS_DEFAULT_REGION", REGION).env("AWS_PAGER", "");
    aws.env("AWS_ACCESS_KEY_ID", key).env("AWS_SECRET_ACCESS_KEY", "local");
    aws.env("AWS_EC2_METADATA_DISABLED", "true");
    aws
}

/// Returns the folder with AWS's models of its services, which `tests/setup.sh` installs. As
/// `AWS_DATA_PATH`, it teaches an older AWS CLI the newest operations.
pub fn models() -> PathBuf {
    repository().join("target/tools/model/botocore/data")
}

/// Writes a shell script as a function and returns the value for `--function`, `NAME=FILE`.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub fn script(folder: &Path, name: &str, lines: &str) -> Result<String> {
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{lines}\n"))?;
    std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(format!("{name}={}", path.display()))
}

/// Returns an HTTP client without a proxy.
///
/// # Errors
/// Returns an error if the client cannot be created.
pub fn http() -> Result<reqwest::Client> {
    // Another crate enables TLS in reqwest, and without an installed provider no client can be
    // built.
    use_one_tls_provider();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// Polls until `look` returns a value, for ten seconds or longer on a slow machine.
///
/// # Errors
/// Returns an error if the time is over.
pub async fn until<T>(what: &str, look: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(Duration::from_secs(10), what, look).await
}

/// Polls until `look` returns a value, for `limit` or longer on a slow machine.
///
/// # Errors
/// Returns an error if the time is over.
pub async fn until_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let limit = scaled(limit);
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("not within {limit:?}: {what}")
}
