//! Programs that judge the fake servers and that this project did not write. `make fidelity`
//! installs them, and `tests/fidelity/README.md` describes them.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::child_process::text;
use crate::fake_server::{Engine, FakeServer};
use crate::server::{NAMES, SUPERUSER_PASSWORD};
use crate::{repository, tool};
use test_servers::Certificates;

/// Checks that `tests/setup.sh fidelity` has installed the judges.
///
/// # Errors
/// Returns an error if a judge is missing.
pub fn ensure_installed() -> Result<()> {
    let folder = test_servers::install_folder().context("no home folder")?.join("fidelity");
    let is_complete = ["python", "node_modules", "scriptdom"]
        .iter()
        .all(|judge| folder.join(judge).join(".complete").is_file());
    if !is_complete {
        bail!("the judges are not installed: sh tests/setup.sh fidelity");
    }
    Ok(())
}

/// Runs the script of an engine with one client on a separate fake server.
///
/// # Errors
/// Returns an error if an answer differs from the documented one.
pub async fn run_client<E: Engine>(client: &str, arguments: &[&str]) -> Result<()> {
    ensure_installed()?;
    let certificates = Certificates::for_names(&NAMES)?;
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, &certificates.authority)?;
    let fake = FakeServer::<E>::start(Some(certificates), arguments).await?;
    let done = Command::new(tool("python"))
        .arg("-B")
        .arg(script("clients.py"))
        .args([E::FOLDER, client, &fake.target.port.to_string(), SUPERUSER_PASSWORD])
        .arg(&authority)
        .output()?;
    let output = text(&done);
    ensure!(done.status.success(), "{output}");
    println!("{output}");
    Ok(())
}

/// Returns the path of a script in `tests/fidelity`.
pub fn script(name: &str) -> PathBuf {
    repository().join("tests/fidelity").join(name)
}
