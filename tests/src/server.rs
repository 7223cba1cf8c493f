//! What a scene needs of a server, whatever its engine.

use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Result;

/// A server to test against, of one engine.
pub trait Server: Clone + Send + Sync {
    /// A session of a user.
    type Session: Send;
    /// The engine's name in a secret.
    const ENGINE: &'static str;
    /// The function's binary.
    const BINARY: &'static str;

    /// Where the server is.
    fn place(&self) -> (&str, u16);
    /// The authority of its certificate, in PEM; `None` when it has no TLS.
    fn authority(&self) -> Option<&str>;
    /// The log, when it is at hand.
    fn log(&self) -> Option<&Path>;
    /// Makes a user, its database, and a master that may administer it; their passwords must not get into the log.
    fn make(&self, made: &Made<'_>) -> impl Future<Output = Result<()>> + Send;
    /// Logs in.
    fn connect(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> impl Future<Output = Result<Self::Session>> + Send;
    /// How often a log tells that a user's password was refused.
    fn count_refused(log: &str, user: &str) -> usize;
    /// How often a log tells that a user was let in.
    fn count_let_in(log: &str, user: &str) -> usize;

    /// The length of the log so far, in bytes; 0 when it is not at hand.
    ///
    /// # Errors
    /// When it cannot be read.
    fn log_length(&self) -> Result<u64> {
        Ok(self.log().map(std::fs::metadata).transpose()?.map_or(0, |meta| meta.len()))
    }

    /// The log since it had that length; empty when it is not at hand.
    ///
    /// # Errors
    /// When it cannot be read.
    fn log_since(&self, length: u64) -> Result<String> {
        let Some(path) = self.log() else { return Ok(String::new()) };
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(length))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// What [`Server::make`] makes.
#[derive(Debug)]
pub struct Made<'a> {
    /// The user.
    pub user: &'a str,
    /// Its password.
    pub password: &'a str,
    /// Its database.
    pub database: &'a str,
    /// The master.
    pub master: &'a str,
    /// The master's password.
    pub masters_password: &'a str,
}
