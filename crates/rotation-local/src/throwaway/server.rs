//! What throw-away servers of every engine share: where their programs are, whom they run as, how
//! they end.

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

/// `nobody`: servers refuse to run as root.
const NOBODY: u32 = 65534;

/// Where a server's programs are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installation {
    /// The folder of the programs, as seen from `root`.
    pub bin: PathBuf,
    /// The root of another system to run them in (`chroot`), if they are not of this one.
    pub root: Option<PathBuf>,
}

/// A port that was free a moment ago, and that this process has not handed out before.
///
/// # Errors
/// When none can be had.
pub fn free_port() -> Result<u16> {
    // Below the ephemeral range, so that no outgoing connection takes the port before the server
    // does.
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Processes that start one after the other begin far apart, or they would find the same port
    // free.
    let start = u16::try_from(std::process::id().wrapping_mul(7919) % 12_000).unwrap_or(0);
    for _ in 0..2000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between 20000 and 32000")
}

/// The Debian sid root of `tests/setup.sh`, with servers that this system's release does not have.
pub fn sid_root() -> Option<PathBuf> {
    let named = std::env::var_os("ROTATION_SERVERS").map(PathBuf::from);
    let cache = || {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
        cache.map(|cache| cache.join("rotation-servers"))
    };
    let root = named.or_else(cache)?.join("sid");
    root.join(".complete").exists().then_some(root)
}

/// Returns `true` if this process is root, which servers must not be.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

impl Installation {
    /// The programs of this system in a folder.
    pub fn here(bin: impl Into<PathBuf>) -> Self {
        Self { bin: bin.into(), root: None }
    }

    /// The programs of another system, whose root is in a folder of this one.
    pub fn in_root(root: impl Into<PathBuf>, bin: impl Into<PathBuf>) -> Self {
        Self { bin: bin.into(), root: Some(root.into()) }
    }

    /// A temporary folder that the server can use: its path here, and its path as the server sees
    /// it.
    ///
    /// # Errors
    ///
    /// The folder cannot be made.
    pub fn folder(&self) -> Result<(TempDir, PathBuf)> {
        let place = self.root.as_deref().map_or_else(std::env::temp_dir, |root| root.join("tmp"));
        let folder = tempfile::Builder::new().prefix("rotation-").tempdir_in(&place)?;
        self.hand_over(folder.path())?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let seen = match &self.root {
            Some(root) => Path::new("/").join(folder.path().strip_prefix(root)?),
            None => folder.path().to_owned(),
        };
        Ok((folder, seen))
    }

    /// Gives a file to the user that the server runs as.
    ///
    /// # Errors
    ///
    /// The owner of the file cannot be changed.
    pub fn hand_over(&self, path: &Path) -> Result<()> {
        if is_root() {
            chown(path, Some(NOBODY), Some(NOBODY))
                .with_context(|| format!("chown {}", path.display()))?;
        }
        Ok(())
    }

    /// One of the programs, ready to run as a user that is not root.
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
            // Without root, a user namespace gives the right to change the root folder.
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

/// Runs a command to its end.
pub(super) fn run(mut command: Command) -> Result<()> {
    let output =
        command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
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

/// Waits until something holds, up to two minutes: a busy machine starts a server slowly.
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(120) {
        if holds()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("{what}: nothing for 120 s")
}

/// Ends a process with a signal, and waits for it.
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
