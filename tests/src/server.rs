//! What a scene needs of a server, whatever its engine.

use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Result;
use rotation_local::throwaway::Certificates;

/// A superuser password for throw-away servers.
pub const SUPERUSER_PASSWORD: &str = "superuser-of-the-tests";

/// The names that the throw-away servers' certificates hold.
pub const NAMES: [&str; 4] = ["localhost", "127.0.0.1", "::1", "host.docker.internal"];

/// A server to test against, of one engine.
pub trait Server: Clone + Send + Sync + 'static {
    /// A session of a user.
    type Session: Send;
    /// A server that ends when it is dropped.
    type Running: Send;
    /// The engine's name in a secret.
    const ENGINE: &'static str;
    /// The function's binary.
    const BINARY: &'static str;
    /// User names that are unusual, and that the server takes.
    const USER_NAMES: &'static [&'static str];
    /// The length of the longest user name.
    const LONGEST_NAME: usize;
    /// What the error about a longer one says.
    const NAME_TOO_LONG: &'static str;
    /// What the second of two alternating users has behind its name.
    const ALTERNATE_SUFFIX: &'static str = "_clone";
    /// The length of a long password.
    const LONG_PASSWORD: usize;
    /// Whether the passwords of a rich scene's users may not return for a while.
    const HAS_PASSWORD_HISTORY: bool = false;
    /// Punctuation that a password cannot hold; a space when it may hold all.
    const PASSWORD_FORBIDS: &'static str = " ";

    /// Where the server is.
    fn place(&self) -> (&str, u16);
    /// The authority of its certificate, in PEM; `None` when it has no TLS.
    fn authority(&self) -> Option<&str>;
    /// Returns `true` if the secrets of a scene have `"ssl": false`.
    fn is_unencrypted(&self) -> bool {
        self.authority().is_none()
    }
    /// How this target differs from the engine's ordinary one, for the table of the fault points.
    fn variant(&self) -> &'static str {
        ""
    }
    /// The log, when it is at hand.
    fn log(&self) -> Option<&Path>;
    /// The database in the secrets of a scene.
    fn database(&self, unique: &str) -> String {
        format!("db_{unique}")
    }
    /// Makes a user, its database, and a master that may administer it; their passwords must not
    /// get into the log.
    fn make(&self, made: &Made<'_>) -> impl Future<Output = Result<()>> + Send;
    /// Gives a user what makes it hard to copy: policies, roles, more accounts.
    fn enrich(&self, made: &Made<'_>) -> impl Future<Output = Result<()>> + Send;
    /// Logs in.
    fn connect(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> impl Future<Output = Result<Self::Session>> + Send;
    /// Another server of the same version with this certificate or without TLS, and its port.
    /// `None` when the programs are not at hand.
    fn another_with(
        &self,
        certificates: Option<Certificates>,
    ) -> impl Future<Output = Result<Option<(Self::Running, u16)>>> + Send;
    /// Sees that a session may do what the base user of a scene may.
    fn is_whole(
        &self,
        session: &mut Self::Session,
        user: &str,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Gives a user another password, as an administrator.
    fn give_password(&self, user: &str, password: &str) -> impl Future<Output = Result<()>> + Send;
    /// Changes what a second user is and may do, as an administrator, and gives parts of what an
    /// error must say of it.
    fn impair(
        &self,
        alternate: &str,
        database: &str,
    ) -> impl Future<Output = Result<&'static [&'static str]>> + Send;
    /// Drops a user, if it is there.
    fn drop_user(&self, user: &str) -> impl Future<Output = Result<()>> + Send;
    /// Drops what would burden later scenes: on servers where each database costs time or disk.
    fn drop_databases(&self, _database: &str) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
    /// Drops the users of a scene that has ended, on servers that answer more slowly the more users
    /// they have.
    fn drop_users(&self, _users: &[String]) -> impl Future<Output = ()> + Send {
        async {}
    }
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
