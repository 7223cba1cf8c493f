//! A Redis server of a test, with TLS off: the test is about its users.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;
use rotation_local::throwaway::free_port;

use crate::background::Background;

/// Ends when it is dropped.
#[derive(Debug)]
pub struct Redis {
    /// Where it listens.
    pub port: u16,
    folder: tempfile::TempDir,
    _server: Background,
}

impl Redis {
    /// Starts Debian's `redis-server` with these users, each as a line of an ACL file.
    ///
    /// # Errors
    /// When it is not installed or does not start.
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
        Ok(Self { port, folder, _server: Background::start(command, port).await? })
    }

    /// The file with the users.
    pub fn acl_file(&self) -> PathBuf {
        self.folder.path().join("users.acl")
    }

    /// Runs a command as a user.
    ///
    /// # Errors
    /// Redis's refusal.
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
