//! The operations that a fixture needs from a server of any engine.

use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Result;
use test_servers::Certificates;

/// The superuser's password on temporary servers.
pub const SUPERUSER_PASSWORD: &str = "superuser-of-the-tests";

/// The names in the certificates of temporary servers.
pub const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "host.docker.internal"];

/// A server to test against, of one engine.
pub trait Server: Clone + Send + Sync + 'static {
    /// An authenticated session of one user.
    type Session: Send;
    /// A running server. Dropping it ends the server.
    type Running: Send;
    /// The engine's name in a secret.
    const ENGINE: &'static str;
    /// The file name of the function's binary.
    const BINARY: &'static str;
    /// Unusual user names that the server accepts.
    const USER_NAMES: &'static [&'static str];
    /// The length of the longest user name.
    const LONGEST_NAME: usize;
    /// A part of the error about a longer name.
    const NAME_TOO_LONG: &'static str;
    /// The suffix of the alternate user's name.
    const ALTERNATE_SUFFIX: &'static str = "_clone";
    /// The length of a long password.
    const LONG_PASSWORD: usize;
    /// `true` if the users of [`Server::enrich`] cannot reuse a recent password.
    const HAS_PASSWORD_HISTORY: bool = false;
    /// The punctuation characters that a password cannot contain; a space if there are none.
    const EXCLUDED_PUNCTUATION: &'static str = " ";

    /// Returns the host and the port of the server.
    fn address(&self) -> (&str, u16);
    /// Returns the server's CA certificate, in PEM; `None` if the server has no TLS.
    fn authority(&self) -> Option<&str>;
    /// Returns `true` if the secrets of a fixture have `"ssl": false`.
    fn is_unencrypted(&self) -> bool {
        self.authority().is_none()
    }
    /// Returns the difference between this target and the engine's usual one, for the table of the
    /// fault points.
    fn variant(&self) -> &'static str {
        ""
    }
    /// Returns `true` if a password needs letters or digits beside punctuation.
    fn requires_letters(&self) -> bool {
        false
    }
    /// Returns the path of the server's log, if this machine has it.
    fn log(&self) -> Option<&Path>;
    /// Returns the name of the database in a fixture's secrets.
    fn database(&self, unique: &str) -> String {
        format!("db_{unique}")
    }
    /// Creates a user, its database, and a master user that may administer it. The passwords must
    /// not get into the log.
    fn make(&self, made: &Made<'_>) -> impl Future<Output = Result<()>> + Send;
    /// Gives a user what a sync must copy: policies, roles, and on some engines more accounts.
    fn enrich(&self, made: &Made<'_>) -> impl Future<Output = Result<()>> + Send;
    /// Logs in as a user.
    fn connect(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> impl Future<Output = Result<Self::Session>> + Send;
    /// Starts another server of the same version, with the given certificate or without TLS, and
    /// returns it with its port. Returns `None` if the server's programs are not on this machine.
    fn another_with(
        &self,
        certificates: Option<Certificates>,
    ) -> impl Future<Output = Result<Option<(Self::Running, u16)>>> + Send;
    /// Checks that a session has the privileges of a fixture's base user.
    fn is_whole(
        &self,
        session: &mut Self::Session,
        user: &str,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Changes a user's password as an administrator.
    fn give_password(&self, user: &str, password: &str) -> impl Future<Output = Result<()>> + Send;
    /// Changes attributes and privileges of an alternate user as an administrator. Returns parts of
    /// the error that must report the differences.
    fn impair(
        &self,
        alternate: &str,
        database: &str,
    ) -> impl Future<Output = Result<&'static [&'static str]>> + Send;
    /// Drops a user if it exists.
    fn drop_user(&self, user: &str) -> impl Future<Output = Result<()>> + Send;
    /// Drops the databases of a fixture that has ended, on servers where each database costs time
    /// or disk space.
    fn drop_databases(&self, _database: &str) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
    /// Drops the users of a fixture that has ended, on servers that answer more slowly the more
    /// users they have.
    fn drop_users(&self, _users: &[String]) -> impl Future<Output = ()> + Send {
        async {}
    }
    /// Returns how often a log reports that a user's password was rejected.
    fn count_rejected(log: &str, user: &str) -> usize;
    /// Returns how often a log reports that a user has logged in.
    fn count_logins(log: &str, user: &str) -> usize;

    /// Returns the length of the log in bytes; 0 if this machine does not have the log.
    ///
    /// # Errors
    /// Returns an error if the log cannot be read.
    fn log_length(&self) -> Result<u64> {
        Ok(self.log().map(std::fs::metadata).transpose()?.map_or(0, |meta| meta.len()))
    }

    /// Returns the part of the log after the given length; empty if this machine does not have the
    /// log.
    ///
    /// # Errors
    /// Returns an error if the log cannot be read.
    fn log_since(&self, length: u64) -> Result<String> {
        let Some(path) = self.log() else { return Ok(String::new()) };
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(length))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The users and the database that [`Server::make`] creates.
#[derive(Debug)]
pub struct Made<'a> {
    /// The base user, which the secret names.
    pub user: &'a str,
    /// The base user's password.
    pub password: &'a str,
    /// The base user's database.
    pub database: &'a str,
    /// The master user, which the master secret names.
    pub master: &'a str,
    /// The master user's password.
    pub masters_password: &'a str,
}
