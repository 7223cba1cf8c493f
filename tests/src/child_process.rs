//! Child processes: programs that run during a test, and programs whose output a test reads.

use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::machine_speed::scaled;

/// Runs a program, and returns its standard output.
///
/// # Errors
/// Returns an error with the program's error output if it fails.
pub fn output_of(command: &mut Command) -> Result<Vec<u8>> {
    let output =
        command.output().with_context(|| format!("could not run {:?}", command.get_program()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(output.stdout)
}

/// Returns everything that a program has written.
pub fn text(output: &Output) -> String {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|all| String::from_utf8_lossy(all));
    format!("{stdout}{stderr}")
}

/// A child process. Dropping it kills the process.
#[derive(Debug)]
pub struct ChildProcess(Child);

impl ChildProcess {
    /// Starts a program and waits until it listens on a port of this machine.
    ///
    /// # Errors
    /// Returns an error if the program is not installed, exits, or does not listen within a minute.
    pub async fn start(command: Command, port: u16) -> Result<Self> {
        let mut started = Self::spawn(command)?;
        started.wait_until_listening(port).await?;
        Ok(started)
    }

    /// Starts a program without waiting for it.
    ///
    /// # Errors
    /// Returns an error if the program is not installed.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let child = command.spawn();
        let program =
            || format!("{:?} (sh tests/setup.sh test installs it)", command.get_program());
        Ok(Self(child.with_context(program)?))
    }

    /// Waits until the program listens on a port of this machine.
    ///
    /// # Errors
    /// Returns an error if the program exits, or does not listen within a minute.
    pub async fn wait_until_listening(&mut self, port: u16) -> Result<()> {
        let until = Instant::now() + scaled(Duration::from_secs(60));
        while Instant::now() < until {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(());
            }
            if let Some(status) = self.0.try_wait()? {
                bail!("the program ended before it listened on port {port}: {status}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("nothing listens on port {port}")
    }

    /// Returns the child process.
    pub fn child(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
