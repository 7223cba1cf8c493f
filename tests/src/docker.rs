//! The Docker engine for the SAM tests: the machine's own, or one that the test run starts.
//!
//! SAM runs a function in Lambda's base image. The tests use a stand-in for that image. It contains
//! what this machine's build of the functions needs to run, so that no image is pulled from a
//! registry.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use test_servers::is_root;

use crate::child_process::ChildProcess;
use crate::machine_speed::scaled;

/// The environment variable in which `with-servers` passes the Docker engine to the tests.
pub const VARIABLE: &str = "ROTATION_TEST_DOCKER";

/// The stand-in for Lambda's base image.
pub const IMAGE: &str = "rotation-tests/lambda-base:local";

/// The result of the search for a Docker engine. Without an engine, the SAM tests cannot run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Docker {
    /// A Docker engine answers.
    At {
        /// `DOCKER_HOST`; `None` for the engine that the `docker` command finds by itself.
        host: Option<String>,
    },
    /// No Docker engine answers.
    Missing {
        /// The reason why no engine was found or started.
        reason: String,
    },
}

/// A Docker engine that this process has started. Dropping it ends the engine.
#[derive(Debug)]
pub struct Started {
    daemon: ChildProcess,
    _folder: TempDir,
}

impl Drop for Started {
    /// Sends SIGTERM before the engine is killed, so that it can end its programs and its network.
    fn drop(&mut self) {
        let id = self.daemon.child().id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let until = Instant::now() + scaled(Duration::from_secs(15));
        while Instant::now() < until && matches!(self.daemon.child().try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Finds an engine, or starts one if this process runs as root, and imports the image of the tests.
///
/// # Errors
/// Returns an error if the image cannot be created.
pub fn start() -> Result<(Docker, Option<Started>)> {
    let (docker, started) = match answers(None) {
        Ok(()) => (Docker::At { host: None }, None),
        Err(reason) => match start_own() {
            Ok((host, started)) => (Docker::At { host: Some(host) }, Some(started)),
            Err(error) => (Docker::Missing { reason: format!("{reason}; {error:#}") }, None),
        },
    };
    if let Docker::At { host } = &docker {
        create_image(host.as_deref())?;
    }
    Ok((docker, started))
}

/// Returns the engine of this run. Returns `None` if the SAM tests are skipped, which is only
/// allowed on a machine without Docker that is not a CI machine.
///
/// # Errors
/// Returns an error if there is no engine on a CI machine.
pub fn engine() -> Result<Option<Option<String>>> {
    let Ok(json) = std::env::var(VARIABLE) else {
        println!("skipped: this run was not asked to use Docker (TEST_ENGINES=docker)");
        return Ok(None);
    };
    match serde_json::from_str(&json)? {
        Docker::At { host } => Ok(Some(host)),
        Docker::Missing { reason } if std::env::var_os("CI").is_some() => {
            bail!("SAM runs functions in Docker, which does not run here: {reason}")
        }
        Docker::Missing { reason } => {
            println!("skipped: SAM runs functions in Docker, which does not run here: {reason}");
            Ok(None)
        }
    }
}

fn docker(host: Option<&str>) -> Command {
    let mut docker = Command::new("docker");
    docker.envs(host.map(|host| ("DOCKER_HOST", host))).stdin(Stdio::null());
    docker
}

fn answers(host: Option<&str>) -> Result<(), String> {
    let output = docker(host).args(["info", "--format", "{{.ServerVersion}}"]).output();
    let output = output.map_err(|error| format!("docker: {error}"))?;
    // The command succeeds without a server, and then the version is empty.
    if output.status.success() && !output.stdout.trim_ascii().is_empty() {
        return Ok(());
    }
    let message = String::from_utf8_lossy(&output.stderr);
    Err(message.lines().next_back().unwrap_or("docker info: no answer").to_owned())
}

/// Starts an engine. Outside of its own folder, it changes only its network bridge.
fn start_own() -> Result<(String, Started)> {
    ensure!(is_root(), "only root can start a Docker engine (sudo make test)");
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let host = format!("unix://{}", at("socket"));
    let log = File::create(at("log"))?;
    let mut command = Command::new("dockerd");
    command
        .args(["--iptables=false", "--storage-driver=vfs", "--host", &host])
        .args(["--data-root", &at("data"), "--exec-root", &at("exec"), "--pidfile", &at("pid")])
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut daemon = ChildProcess::spawn(command)?;
    let until = Instant::now() + scaled(Duration::from_secs(30));
    while let Err(reason) = answers(Some(&host)) {
        if Instant::now() > until || daemon.child().try_wait()?.is_some() {
            let log = std::fs::read_to_string(at("log")).unwrap_or_default();
            let last: Vec<_> = log.lines().rev().take(3).collect();
            bail!("dockerd does not start: {reason}: {}", last.join("; "));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok((host, Started { daemon, _folder: folder }))
}

/// Creates the image from files of this machine: the C library, a shell with the programs that
/// SAM's own build step needs, and the script that starts a function.
fn create_image(host: Option<&str>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    for path in ["var/runtime", "var/task", "var/rapid", "tmp", "opt", "bin"] {
        std::fs::create_dir_all(root.join(path))?;
    }
    let programs = ["/bin/sh", "/bin/mv", "/bin/chmod"];
    for program in programs {
        std::fs::copy(program, root.join(&program[1..]))?;
    }
    // The AWS SDK does not start without certificates of public CAs.
    let certificates = "etc/ssl/certs/ca-certificates.crt";
    std::fs::create_dir_all(root.join("etc/ssl/certs"))?;
    std::fs::copy(Path::new("/").join(certificates), root.join(certificates))
        .context("the package ca-certificates is not installed: sh tests/setup.sh test")?;
    let functions =
        crate::sam::functions()?.into_iter().map(|function| crate::binary(&function.binary));
    for library in libraries(programs.iter().map(PathBuf::from).chain(functions))? {
        let copy = root.join(library.strip_prefix("/")?);
        std::fs::create_dir_all(copy.parent().context("no folder")?)?;
        std::fs::copy(&library, copy)?;
    }
    for (name, text) in [
        ("var/runtime/bootstrap", "#!/bin/sh\nexec /var/task/bootstrap \"$@\"\n"),
        (
            "lambda-entrypoint.sh",
            "#!/bin/sh\n[ -n \"$AWS_LAMBDA_RUNTIME_API\" ] || \
             exec /var/rapid/aws-lambda-rie /var/runtime/bootstrap\nexec /var/runtime/bootstrap\n",
        ),
    ] {
        executable(&root.join(name), text)?;
    }
    let tar =
        Command::new("tar").arg("-C").arg(root).args(["-c", "."]).stdout(Stdio::piped()).spawn()?;
    let mut import = docker(host);
    import.args(["import", "--change", "ENTRYPOINT [\"/lambda-entrypoint.sh\"]"]);
    import.args([
        "--change",
        "WORKDIR /var/task",
        "--change",
        "ENV LAMBDA_TASK_ROOT=/var/task",
        "-",
        IMAGE,
    ]);
    let output = import.stdin(tar.stdout.context("no output of tar")?).output()?;
    ensure!(output.status.success(), "docker import: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn executable(path: &Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))?)
}

/// Returns the shared libraries of programs, and the dynamic loader.
fn libraries(programs: impl Iterator<Item = PathBuf>) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").args(programs).output()?;
    let text = String::from_utf8(output.stdout)?;
    // Examples: " libc.so.6 => /lib/…/libc.so.6 (0x…)", " /lib64/ld-linux-x86-64.so.2 (0x…)".
    let paths = text.lines().filter_map(|line| {
        let line = line.strip_prefix('\t')?;
        let path = line.split_once("=> ").map_or(line, |(_, path)| path).split(" (").next()?;
        path.starts_with('/').then(|| PathBuf::from(path))
    });
    let mut paths: Vec<_> = paths.collect();
    paths.sort();
    paths.dedup();
    ensure!(
        !paths.is_empty(),
        "ldd shows no libraries: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(paths)
}
