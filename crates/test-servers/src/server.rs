//! The parts that the temporary servers of all engines share: the installation, the user that they
//! run as, and how they stop.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// The id of the user and group `nobody`. Database servers refuse to run as root.
const NOBODY: u32 = 65534;

/// The variable that names the folder of a test run. It holds the data of running servers, and data
/// folders to copy. Without it, every server initializes its own data folder.
pub const RUN_FOLDER: &str = "TEST_SERVERS_FOLDER";

/// The place where a server's programs are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// The folder of the programs, relative to `root`.
    pub bin: PathBuf,
    /// The root folder of another system, in which the programs run (`chroot`). `None` if they
    /// belong to this system.
    pub root: Option<PathBuf>,
}

/// Returns a port that is free now, and that this process has not returned before.
///
/// # Errors
/// Returns an error if no port is free.
pub fn free_port() -> Result<u16> {
    // The range is below the ephemeral ports, so that no outgoing connection takes the port before
    // the server does.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes with consecutive ids start far apart. Otherwise they would find the same port free.
    let start = u16::try_from(std::process::id().wrapping_mul(7919) % 12_000).unwrap_or(0);
    for _ in 0..2000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("could not find a free port between 20000 and 32000")
}

/// Returns the folder of the test run.
pub(super) fn run_folder() -> Option<PathBuf> {
    std::env::var_os(RUN_FOLDER).map(PathBuf::from)
}

/// Returns the folder in which `tests/setup.sh` installs database servers and test tools. All
/// checkouts share it. Returns `None` if the user has no home folder.
pub fn install_folder() -> Option<PathBuf> {
    let named = std::env::var_os("ROTATION_SERVERS").map(PathBuf::from);
    let cache = || {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        cache.map(|cache| cache.join("rotation-servers"))
    };
    named.or_else(cache)
}

/// Returns the root folder of the Debian sid system that `tests/setup.sh` installs. It has servers
/// that this system's release does not have.
pub fn sid_root() -> Option<PathBuf> {
    let root = install_folder()?.join("sid");
    root.join(".complete").exists().then_some(root)
}

/// Returns `true` if this process runs as root, which database servers must not.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

impl Installation {
    /// Creates an installation whose programs are in a folder of this system.
    pub fn here(bin: impl Into<PathBuf>) -> Self {
        Self { bin: bin.into(), root: None }
    }

    /// Creates an installation in another system, whose root is a folder of this one.
    pub fn in_root(root: impl Into<PathBuf>, bin: impl Into<PathBuf>) -> Self {
        Self { bin: bin.into(), root: Some(root.into()) }
    }

    /// Creates a temporary folder that the server can use. Returns it with its path as the server
    /// sees it.
    ///
    /// # Errors
    ///
    /// Returns an error if the folder cannot be created.
    pub fn folder(&self) -> Result<(TempDir, PathBuf)> {
        let place = match &self.root {
            Some(root) => root.join("tmp"),
            None => run_folder().unwrap_or_else(std::env::temp_dir),
        };
        let folder = tempfile::Builder::new().prefix("rotation-").tempdir_in(&place)?;
        self.hand_over(folder.path())?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let seen = match &self.root {
            Some(root) => Path::new("/").join(folder.path().strip_prefix(root)?),
            None => folder.path().to_owned(),
        };
        Ok((folder, seen))
    }

    /// Changes the owner of a file to the user that the server runs as.
    ///
    /// # Errors
    ///
    /// Returns an error if the owner cannot be changed.
    pub fn hand_over(&self, path: &Path) -> Result<()> {
        if is_root() {
            chown(path, Some(NOBODY), Some(NOBODY))
                .with_context(|| format!("could not change the owner of {}", path.display()))?;
        }
        Ok(())
    }

    /// Returns the command for one of the programs. It does not run as root.
    pub fn command(&self, program: &str) -> Command {
        let path = self.bin.join(program);
        let nobody = NOBODY.to_string();
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        let mut command = match (&self.root, is_root()) {
            (_, true) => {
                let mut command = Command::new("chroot");
                command.arg(format!("--userspec={nobody}:{nobody}")).arg(root).arg(path);
                command
            }
            // A process without root can change its root folder only in a user namespace.
            (Some(root), false) => {
                let mut command = Command::new("unshare");
                command.args(["--user", "--keep-caps", "--wd=/"]);
                command.arg(format!("--map-user={nobody}")).arg(format!("--map-group={nobody}"));
                command.arg(format!("--root={}", root.display())).arg(path);
                command
            }
            (None, false) => Command::new(path),
        };
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        command.current_dir("/");
        command
    }
}

/// Runs a command and waits for its end.
pub(super) fn run(mut command: Command) -> Result<()> {
    let output =
        command.output().with_context(|| format!("could not run {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!(
            "{:?} failed ({}):\n{}{}",
            command,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}

/// Waits for a condition for up to two minutes, because a server starts slowly on a busy machine.
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(120) {
        if holds()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("{what}: timed out after 120 s")
}

/// Sends a signal to a process and waits for its end. Kills it after five seconds.
pub(super) fn end(child: &mut std::process::Child, signal: &str) {
    let _ = Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()).status();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
}
