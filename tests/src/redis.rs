//! A temporary Redis server without TLS, for tests of its users.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;
use test_servers::free_port;

use crate::child_process::ChildProcess;

/// A running Redis server. Dropping it ends the server.
#[derive(Debug)]
pub struct Redis {
    /// The port of the server.
    pub port: u16,
    folder: tempfile::TempDir,
    _server: ChildProcess,
}

impl Redis {
    /// Starts Debian's `redis-server` with the given users, each as a line of an ACL file.
    ///
    /// # Errors
    /// Returns an error if Redis is not installed or does not start.
    pub async fn start(users: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = free_port()?;
        let acl = folder.path().join("users.acl");
        std::fs::write(&acl, users)?;
        let mut command = Command::new("redis-server");
        command
            .args(["--bind", "127.0.0.1", "--save", "", "--slowlog-log-slower-than", "0", "--port"])
            .arg(port.to_string())
            .arg("--aclfile")
            .arg(&acl)
            .arg("--dir")
            .arg(folder.path())
            .stdout(Stdio::null());
        Ok(Self { port, folder, _server: ChildProcess::start(command, port).await? })
    }

    /// Returns the path of the file with the users.
    pub fn acl_file(&self) -> PathBuf {
        self.folder.path().join("users.acl")
    }

    /// Runs a command as a user.
    ///
    /// # Errors
    /// Returns the error that Redis reports.
    pub fn run(&self, user: &str, password: &str, words: &[&str]) -> Result<String> {
        let output = Command::new("redis-cli")
            .args([
                "-p",
                &self.port.to_string(),
                "--user",
                user,
                "--pass",
                password,
                "--no-auth-warning",
            ])
            .args(words)
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let refused = ["NOAUTH", "WRONGPASS", "NOPERM", "ERR", "AUTH failed"];
        let message = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
        anyhow::ensure!(!refused.iter().any(|word| message.contains(word)), "{message}");
        Ok(text)
    }
}
