//! The folder of a test run, in memory where this process may mount a file system.
//!
//! Each test creates a PostgreSQL database, which has 300 files. On a disk, creating and deleting
//! them takes a sixth of the time of the tests.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::Result;
use test_servers::{RUN_FOLDER, sid_root};

/// Runs `command` with [`RUN_FOLDER`], and removes the folder afterwards.
///
/// # Errors
/// Returns an error if the folder cannot be created, or if the command cannot be started.
pub fn run(command: &Command) -> Result<ExitStatus> {
    let folder = tempfile::Builder::new().prefix("rotation-").tempdir()?;
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755))?;
    let mut places = vec![folder.path().to_owned()];
    places.extend(sid_root().map(|root| root.join("tmp")));
    let probe = in_mounts(&places, Path::new("true")).stderr(Stdio::null()).status();
    let mut run = if probe.is_ok_and(|status| status.success()) {
        in_mounts(&places, Path::new(command.get_program()))
    } else {
        Command::new(command.get_program())
    };
    run.args(command.get_args()).env(RUN_FOLDER, folder.path());
    Ok(run.status()?)
}

/// Returns a command that sees file systems in memory at `places`, as no other process does. They
/// end with its last process. Only root can mount them.
fn in_mounts(places: &[PathBuf], program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
    command.arg(
        "while [ \"$1\" != -- ]; do mount -t tmpfs -o mode=1777 servers \"$1\"; shift; done; shift
        exec \"$@\"",
    );
    command.arg("sh").args(places).arg("--").arg(program);
    command
}
