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
    /// The releases as which the fake server can answer, if a run can choose them.
    const RELEASES: Option<Releases> = None;
    /// Returns the servers that this process has started.
    fn own() -> &'static OnceLock<Vec<FakeServer<Self>>>;
}

/// The releases as which a fake server can answer.
#[derive(Debug, Clone, Copy)]
pub struct Releases {
    /// The releases, from the oldest to the newest. They are values of the option `--release`.
    pub all: &'static [&'static str],
    /// The release of a run that chooses none.
    pub default: &'static str,
    /// The environment variable that chooses the releases of a run, separated by blanks. The value
    /// `all` selects all of them.
    pub variable: &'static str,
}

impl Releases {
    /// Returns the releases of this run.
    ///
    /// # Errors
    /// Returns an error if the variable names an unknown release.
    pub fn chosen(&self) -> Result<Vec<&'static str>> {
        let value = std::env::var(self.variable).unwrap_or_else(|_| self.default.to_owned());
        if value == "all" {
            return Ok(self.all.to_vec());
        }
        let find = |name: &str| self.all.iter().copied().find(|known| *known == name);
        let chosen = value.split_whitespace().map(|name| {
            find(name)
                .with_context(|| format!("{}: {name} is not in {:?}", self.variable, self.all))
        });
        chosen.collect()
    }
}

/// A server to test against.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target<E> {
    /// The address of the server.
    pub address: ServerAddress,
    /// The server's log, which only a fake server has.
    pub log: Option<PathBuf>,
    /// The release of a fake server. `None` if it has only one, and for a real server.
    pub release: Option<String>,
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

impl<E: Engine> Target<E> {
    /// Starts another fake server of the same release with additional arguments.
    ///
    /// # Errors
    /// Returns an error if the server does not start.
    pub async fn start_another(
        &self,
        certificates: Option<Certificates>,
        arguments: &[&str],
    ) -> Result<FakeServer<E>> {
        FakeServer::start_release(self.release.as_deref(), certificates, arguments).await
    }
}

impl<E: Engine> FakeServer<E> {
    /// Starts a fake server of the default release with additional arguments.
    ///
    /// # Errors
    /// Returns an error if the server does not start.
    pub async fn start(certificates: Option<Certificates>, arguments: &[&str]) -> Result<Self> {
        let release = E::RELEASES.map(|releases| releases.default);
        Self::start_release(release, certificates, arguments).await
    }

    /// Starts a fake server of a release with additional arguments.
    ///
    /// # Errors
    /// Returns an error if the server does not start.
    pub async fn start_release(
        release: Option<&str>,
        certificates: Option<Certificates>,
        arguments: &[&str],
    ) -> Result<Self> {
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
        if let Some(release) = release {
            command.arg("--release").arg(release);
        }
        command.args(arguments).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut program = ChildProcess::spawn(command)?;
        // The first line is the superuser's password. The pipe stays open: the fake server ends
        // when its parent process has ended and the pipe closes.
        writeln!(program.child().stdin.as_mut().context("no pipe")?, "{SUPERUSER_PASSWORD}")?;
        program.wait_until_listening(port).await?;
        let address = ServerAddress {
            label: format!("the fake server for {} {}", E::NAME, release.unwrap_or_default()),
            host: "localhost".into(),
            port,
            superuser: E::SUPERUSER.into(),
            password: SUPERUSER_PASSWORD.into(),
            authority: certificates.map(|certificates| certificates.authority),
        };
        let release = release.map(str::to_owned);
        let target = Target { address, log: Some(log), release, engine: PhantomData };
        Ok(Self { target, _folder: folder, _program: program })
    }
}

/// Starts `many` equal fake servers of each release of this run, unless a URL names a real server.
///
/// # Errors
/// Returns an error if a server does not start.
pub async fn start_all<E: Engine>(many: usize) -> Result<Vec<FakeServer<E>>> {
    if std::env::var_os(E::URL).is_some() {
        return Ok(Vec::new());
    }
    let certificates = Certificates::for_names(&NAMES)?;
    let releases = match E::RELEASES {
        Some(releases) => releases.chosen()?.into_iter().map(Some).collect(),
        None => vec![None],
    };
    let mut servers = Vec::new();
    for release in releases {
        for _ in 0..many {
            let certificates = Some(certificates.clone());
            servers.push(FakeServer::start_release(release, certificates, &[]).await?);
        }
    }
    Ok(servers)
}

/// Returns the index of the fake server of a release that this process uses.
///
/// nextest runs each test in its own process, and gives tests that run at the same time different
/// slots.
fn pick(many: usize) -> usize {
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok());
    slot.unwrap_or(std::process::id() as usize) % many
}

async fn targets<E: Engine>() -> Result<Vec<Target<E>>> {
    let started =
        discovery::started(E::VARIABLE, E::own(), start_all(1), |fake: &FakeServer<E>| {
            fake.target.clone()
        })
        .await?;
    let mut targets: Vec<Target<E>> = started
        .chunk_by(|one, other| one.release == other.release)
        .map(|equal| equal[pick(equal.len())].clone())
        .collect();
    if let Some(address) = ServerAddress::by_url(E::URL, E::DEFAULT_PORT, "ca")? {
        targets.push(Target { address, log: None, release: None, engine: PhantomData });
    }
    Ok(targets)
}

/// Runs a test on every server of this run.
///
/// # Panics
/// Panics if the test fails on a server, or if there is no server.
pub async fn on_each<E: Engine, F: Future<Output = Result<()>>>(test: impl Fn(Target<E>) -> F) {
    on_each_where(|_| true, test).await;
}

/// Runs a test on every server of this run that fulfils a condition.
///
/// # Panics
/// Panics if the test fails on a server, or if this run has no server.
pub async fn on_each_where<E: Engine, F: Future<Output = Result<()>>>(
    fulfils: impl Fn(&Target<E>) -> bool,
    test: impl Fn(Target<E>) -> F,
) {
    let targets = targets().await.map(|targets| {
        let (run, left_out): (Vec<_>, Vec<_>) = targets.into_iter().partition(fulfils);
        for target in &left_out {
            println!("skipped: this test is not for {}", target.label);
        }
        (run, left_out.is_empty())
    });
    if !matches!(&targets, Ok((run, false)) if run.is_empty()) {
        run_on_each(E::NAME, targets.map(|(run, _)| run), test).await;
    }
}
