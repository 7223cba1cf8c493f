//! Data folders of servers. In a test run, a server's folder is a copy of the first one, because
//! `mysqld --initialize` alone takes some seconds.

use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::server::{Installation, run, run_folder};

/// Creates the data folder `data` with `create`, or copies the one that an earlier call created in
/// this test run for the same installation and `options`.
///
/// # Errors
/// Returns the error of `create`, or an error if the folder cannot be copied.
pub(super) fn create_or_copy(
    installation: &Installation,
    options: &str,
    data: &Path,
    create: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let Some(folder) = run_folder() else { return create() };
    let mut hasher = DefaultHasher::new();
    (&installation.bin, &installation.root, options).hash(&mut hasher);
    let original = folder.join(format!("data-{:016x}", hasher.finish()));
    if original.exists() {
        return copy(&original, data);
    }
    create()?;
    let incomplete = folder.join(format!("incomplete-{}", std::process::id()));
    copy(data, &incomplete)?;
    // Another process may have done the same in the meantime.
    if fs::rename(&incomplete, &original).is_err() {
        fs::remove_dir_all(&incomplete)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut command = Command::new("cp");
    command.arg("--archive").arg("--no-target-directory").arg(from).arg(to);
    run(command).with_context(|| format!("could not copy {}", from.display()))
}
