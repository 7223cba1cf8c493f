//! Fake servers in `tests/fake_servers`, for engines that the setup cannot install, or real servers
//! that a URL names.

use std::future::Future;
use std::io::Write;
use std::marker::PhantomData;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use test_servers::{Certificates, free_port};

use crate::child_process::ChildProcess;
use crate::discovery::{self, ServerAddress, run_on_each};
use crate::server::{NAMES, SUPERUSER_PASSWORD};
use crate::{repository, tool};

/// An engine that has a fake server.
pub trait Engine: Clone + Copy + std::fmt::Debug + Send + Sync + 'static {
    /// The name of the engine in messages.
    const NAME: &'static str;
    /// The folder of the fake server in `tests/fake_servers`.
    const FOLDER: &'static str;
    /// The user who has every privilege.
    const SUPERUSER: &'static str;
    /// The environment variable in which `with-servers` passes the servers to the tests.
    const VARIABLE: &'static str;
    /// The environment variable that names a real server.
    const URL: &'static str;
    /// The port of a real server, unless the URL has one.
    const DEFAULT_PORT: u16;
    /// Returns the servers that this process has started.
    fn own() -> &'static OnceLock<Vec<FakeServer<Self>>>;
}

/// A server to test against.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target<E> {
    /// The address of the server.
    pub address: ServerAddress,
    /// The server's log, which only a fake server has.
    pub log: Option<PathBuf>,
    engine: PhantomData<E>,
}

impl<E> Deref for Target<E> {
    type Target = ServerAddress;

    fn deref(&self) -> &ServerAddress {
        &self.address
    }
}

/// A fake server that this process has started. Dropping it ends the server.
#[derive(Debug)]
pub struct FakeServer<E> {
    /// The address of the server.
    pub target: Target<E>,
    _folder: TempDir,
    _program: ChildProcess,
}

impl<E: Engine> FakeServer<E> {
    /// Starts a fake server with additional arguments.
    ///
    /// # Errors
    /// Returns an error if the server does not start.
    pub async fn start(certificates: Option<Certificates>, arguments: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let log = folder.path().join("log");
        let mut command = Command::new(tool("python"));
        // With `-B`, Python leaves no compiled files in the project.
        command
            .arg("-B")
            .arg(repository().join("tests/fake_servers").join(E::FOLDER))
            .arg(port.to_string())
            .arg(&log);
        if let Some(Certificates { certificate, key, .. }) = &certificates {
            for (name, pem) in [("certificate", certificate), ("key", key)] {
                let file = folder.path().join(name);
                std::fs::write(&file, pem)?;
                command.arg(format!("--{name}")).arg(file);
            }
        }
        command.args(arguments).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut program = ChildProcess::spawn(command)?;
        // The first line is the superuser's password. The pipe stays open: the fake server ends
        // when its parent process has ended and the pipe closes.
        writeln!(program.child().stdin.as_mut().context("no pipe")?, "{SUPERUSER_PASSWORD}")?;
        program.wait_until_listening(port).await?;
        let address = ServerAddress {
            label: format!("the fake server for {}", E::NAME),
            host: "localhost".into(),
            port,
            superuser: E::SUPERUSER.into(),
            password: SUPERUSER_PASSWORD.into(),
            authority: certificates.map(|certificates| certificates.authority),
        };
        let target = Target { address, log: Some(log), engine: PhantomData };
        Ok(Self { target, _folder: folder, _program: program })
    }
}

/// Starts `many` equal fake servers, unless a URL names a real server.
///
/// # Errors
/// Returns an error if a server does not start.
pub async fn start_all<E: Engine>(many: usize) -> Result<Vec<FakeServer<E>>> {
    if std::env::var_os(E::URL).is_some() {
        return Ok(Vec::new());
    }
    let certificates = Certificates::for_names(&NAMES)?;
    let mut servers = Vec::new();
    for _ in 0..many {
        servers.push(FakeServer::start(Some(certificates.clone()), &[]).await?);
    }
    Ok(servers)
}

/// Returns the index of the fake server that this process uses.
///
/// nextest runs each test in its own process, and gives tests that run at the same time different
/// slots.
fn pick(many: usize) -> usize {
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok());
    slot.unwrap_or(std::process::id() as usize) % many
}

async fn targets<E: Engine>() -> Result<Vec<Target<E>>> {
    let mut targets =
        discovery::started(E::VARIABLE, E::own(), start_all(1), |fake: &FakeServer<E>| {
            fake.target.clone()
        })
        .await?;
    if !targets.is_empty() {
        targets = vec![targets.swap_remove(pick(targets.len()))];
    }
    if let Some(address) = ServerAddress::by_url(E::URL, E::DEFAULT_PORT, "ca")? {
        targets.push(Target { address, log: None, engine: PhantomData });
    }
    Ok(targets)
}

/// Runs a test on every server of this run.
///
/// # Panics
/// Panics if the test fails on a server, or if there is no server.
pub async fn on_each<E: Engine, F: Future<Output = Result<()>>>(test: impl Fn(Target<E>) -> F) {
    run_on_each(E::NAME, targets().await, test).await;
}
