//! Servers of our own, in `tests/peers`, for engines that cannot be installed here; or real ones by
//! a URL.

use std::future::Future;
use std::io::Write;
use std::marker::PhantomData;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result};
use rotation_local::throwaway::{Certificates, free_port};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::background::Background;
use crate::found::{self, Place, run_on_each};
use crate::server::{NAMES, SUPERUSER_PASSWORD};
use crate::tool;

/// An engine that has a peer.
pub trait Engine: Clone + Copy + std::fmt::Debug + Send + Sync + 'static {
    /// For messages.
    const NAME: &'static str;
    /// The peer's folder in `tests/peers`.
    const FOLDER: &'static str;
    /// Who may do everything.
    const SUPERUSER: &'static str;
    /// Tells the tests which servers have been started for them.
    const VARIABLE: &'static str;
    /// Names a real server.
    const URL: &'static str;
    /// Its port, unless the URL has one.
    const DEFAULT_PORT: u16;
    /// The servers that this process has started.
    fn own() -> &'static OnceLock<Vec<Peer<Self>>>;
}

/// A server to test against.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target<E> {
    /// Where it is.
    pub place: Place,
    /// The log, of a peer only.
    pub log: Option<PathBuf>,
    engine: PhantomData<E>,
}

impl<E> Deref for Target<E> {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

/// A peer that this process has started; it ends when dropped.
#[derive(Debug)]
pub struct Peer<E> {
    /// Where it is.
    pub target: Target<E>,
    _folder: TempDir,
    _program: Background,
}

impl<E: Engine> Peer<E> {
    /// Starts one, with more arguments.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(certificates: Option<Certificates>, arguments: &[&str]) -> Result<Self> {
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let log = folder.path().join("log");
        let mut command = Command::new(tool("python"));
        // Python's own switch: nothing compiled is left in the project.
        command
            .arg("-B")
            .arg(project.join("tests/peers").join(E::FOLDER))
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
        let mut program = Background::spawn(command)?;
        // Its password; the open pipe is the sign that whoever has started it lives.
        writeln!(program.child().stdin.as_mut().context("no pipe")?, "{SUPERUSER_PASSWORD}")?;
        program.listens_on(port).await?;
        let place = Place {
            label: format!("the peer for {}", E::NAME),
            host: "localhost".into(),
            port,
            superuser: E::SUPERUSER.into(),
            password: SUPERUSER_PASSWORD.into(),
            authority: certificates.map(|certificates| certificates.authority),
        };
        let target = Target { place, log: Some(log), engine: PhantomData };
        Ok(Self { target, _folder: folder, _program: program })
    }
}

/// Starts this many equal fake servers, unless a real server is named.
///
/// # Errors
/// When one does not start.
pub async fn start_all<E: Engine>(many: usize) -> Result<Vec<Peer<E>>> {
    if std::env::var_os(E::URL).is_some() {
        return Ok(Vec::new());
    }
    let certificates = Certificates::for_names(&NAMES)?;
    let mut peers = Vec::new();
    for _ in 0..many {
        peers.push(Peer::start(Some(certificates.clone()), &[]).await?);
    }
    Ok(peers)
}

/// Which of several equal fake servers this process uses.
///
/// nextest runs each test in a process, and gives the tests that run at once different slots.
fn pick(many: usize) -> usize {
    let slot = std::env::var("NEXTEST_TEST_GLOBAL_SLOT").ok().and_then(|slot| slot.parse().ok());
    slot.unwrap_or(std::process::id() as usize) % many
}

async fn targets<E: Engine>() -> Result<Vec<Target<E>>> {
    let mut targets =
        found::started(E::VARIABLE, E::own(), start_all(1), |peer: &Peer<E>| peer.target.clone())
            .await?;
    if !targets.is_empty() {
        targets = vec![targets.swap_remove(pick(targets.len()))];
    }
    if let Some(place) = Place::by_url(E::URL, E::DEFAULT_PORT, "ca")? {
        targets.push(Target { place, log: None, engine: PhantomData });
    }
    Ok(targets)
}

/// Runs a test on every server of this run.
///
/// # Panics
/// When it fails on one, or there is none.
pub async fn on_each<E: Engine, F: Future<Output = Result<()>>>(test: impl Fn(Target<E>) -> F) {
    run_on_each(E::NAME, targets().await, test).await;
}
