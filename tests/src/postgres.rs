//! The PostgreSQL servers of a test run.

use std::future::Future;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use rotation_postgres::{identifier, literal};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use test_servers::NodelayProxy;
use test_servers::postgres::{Options, Server, find};
use test_servers::{Certificates, Installation, sid_root};

use crate::discovery::{self, ServerAddress, run_on_each};
use crate::fixture;
use crate::machine_speed::scaled;
use crate::server::{Made, NAMES, SUPERUSER_PASSWORD, Server as AnyServer};
use crate::suite;

/// The environment variable in which `with-servers` passes the servers to the tests.
pub const VARIABLE: &str = "ROTATION_TEST_POSTGRES";

/// The time for which a server waits for a client that does not complete its login.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A fixture on PostgreSQL.
pub type Fixture = fixture::Fixture<Target>;

/// A server to test against.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// The address of the server.
    pub address: ServerAddress,
    /// The server's log, if this machine has it.
    pub log: Option<PathBuf>,
    /// The server's programs, with which a test starts more servers of the same version.
    pub installation: Option<Installation>,
}

impl Deref for Target {
    type Target = ServerAddress;

    fn deref(&self) -> &ServerAddress {
        &self.address
    }
}

/// A server that this process has started.
#[derive(Debug)]
pub struct Started {
    /// The address of the server.
    pub target: Target,
    _server: Server,
}

/// Returns the usual options of a temporary server.
///
/// # Errors
/// Returns an error if no certificate can be created.
pub fn options() -> Result<Options> {
    Ok(Options {
        certificates: Some(Certificates::for_names(&NAMES)?),
        // Tests leave unfinished logins behind. While one is open, DROP DATABASE waits.
        configuration: format!("authentication_timeout = {}\n", scaled(LOGIN_TIMEOUT).as_secs()),
        access_rules: String::new(),
        password: SUPERUSER_PASSWORD.to_owned(),
    })
}

/// Starts one server of each installed version, unless a URL names a server instead.
///
/// # Errors
/// Returns an error if a server does not start.
pub fn start_all() -> Result<Vec<Started>> {
    if std::env::var_os("POSTGRES_TEST_URL").is_some() {
        return Ok(Vec::new());
    }
    let mut started = Vec::new();
    for (label, installation) in installations() {
        let server = Server::start(&installation, options()?).with_context(|| label.clone())?;
        let target = Target::of(&server, label, Some(installation));
        started.push(Started { target, _server: server });
    }
    anyhow::ensure!(!started.is_empty(), "no PostgreSQL is installed: sh tests/setup.sh test");
    Ok(started)
}

/// Returns this system's installation, and the one in the root folder of Debian sid.
fn installations() -> Vec<(String, Installation)> {
    let here = find().map(|installation| ("PostgreSQL of this system".to_owned(), installation));
    let sid = sid_root().and_then(|root| {
        let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).ok()?;
        let version = versions.flatten().map(|entry| entry.file_name()).max()?;
        let bin = PathBuf::from("/usr/lib/postgresql").join(&version).join("bin");
        Some((
            format!("PostgreSQL {} of Debian sid", version.display()),
            Installation::in_root(root, bin),
        ))
    });
    here.into_iter().chain(sid).collect()
}

/// Returns the servers of this run.
///
/// # Errors
/// Returns an error if the servers do not start.
pub async fn targets() -> Result<Vec<Target>> {
    static OWN: OnceLock<Vec<Started>> = OnceLock::new();
    let own = async { start_all() };
    let mut targets =
        discovery::started(VARIABLE, &OWN, own, |started| started.target.clone()).await?;
    if let Some(address) = ServerAddress::by_url("POSTGRES_TEST_URL", 5432, "sslrootcert")? {
        targets.push(Target { address, log: None, installation: None });
    }
    Ok(targets)
}

/// Runs a test on every server.
///
/// # Panics
/// Panics if the test fails on a server, or if there is no server.
pub async fn on_each<F: Future<Output = Result<()>>>(test: impl Fn(Target) -> F) {
    run_on_each("PostgreSQL", targets().await, test).await;
}

/// Runs a test on the newest server, or with `FAULT_POINTS=all` on every server.
///
/// # Panics
/// Panics if the test fails on a server, or if there is no server.
pub async fn on_newest<F: Future<Output = Result<()>>>(test: impl Fn(Target) -> F) {
    let targets = async {
        let mut targets = targets().await?;
        if !suite::is_exhaustive() {
            // The newest installed server comes last in the list; a server that a URL names comes
            // after it.
            let newest = targets.iter().rposition(|target| target.installation.is_some());
            targets = targets.split_off(newest.unwrap_or_default());
        }
        Ok(targets)
    };
    run_on_each("PostgreSQL", targets.await, test).await;
}

impl Target {
    /// Returns a target for a server that this process has started.
    pub fn of(
        server: &Server,
        label: impl Into<String>,
        installation: Option<Installation>,
    ) -> Self {
        let address = ServerAddress {
            label: label.into(),
            host: "localhost".into(),
            port: server.port,
            superuser: test_servers::postgres::SUPERUSER.into(),
            password: server.options.password.clone(),
            authority: server
                .options
                .certificates
                .as_ref()
                .map(|certificates| certificates.authority.clone()),
        };
        Self { address, log: Some(server.log_file()), installation }
    }

    /// Logs in as a user.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn log_in(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> sqlx::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(user)
            .password(password)
            .database(database)
            .statement_cache_capacity(0)
            .disable_statement_logging();
        let options = match &self.authority {
            Some(authority) => options
                .ssl_mode(PgSslMode::VerifyFull)
                .ssl_root_cert_from_pem(authority.clone().into_bytes()),
            None => options.ssl_mode(PgSslMode::Disable),
        };
        let shortcut =
            NodelayProxy::to(&self.host, self.port, &format!(".s.PGSQL.{}", self.port)).await?;
        PgConnection::connect_with(&options.socket(shortcut.folder())).await
    }

    /// Logs in as the superuser.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn admin(&self, database: &str) -> Result<PgConnection> {
        Ok(self.log_in(&self.superuser, &self.password, database).await?)
    }

    /// Returns the server's version number, such as 150004 or 180001.
    ///
    /// # Errors
    /// Returns an error if the server does not answer.
    pub async fn version(&self) -> Result<u32> {
        Ok(self.admin("postgres").await?.server_version_num().unwrap_or(0))
    }

    /// Starts another server of the same version with other options. Returns `None` if the server's
    /// programs are not on this machine.
    ///
    /// # Errors
    /// Returns an error if the server does not start.
    pub fn another(&self, options: Options) -> Result<Option<(Server, Self)>> {
        let Some(installation) = &self.installation else {
            println!("skipped: the server's programs are not on this machine");
            return Ok(None);
        };
        let server = Server::start(installation, options)?;
        let target =
            Self::of(&server, format!("another {}", self.label), Some(installation.clone()));
        Ok(Some((server, target)))
    }
}

/// Returns a password's SCRAM verifier as a literal, so that the cleartext does not get into the
/// log.
fn verifier(user: &str, password: &str) -> Result<String> {
    let iterations = std::num::NonZeroU32::new(4096).context("not zero")?;
    let encryption = rotation_postgres::Encryption::ScramSha256(iterations);
    let verifier =
        rotation_postgres::verifier(user, &rotation_database::Password::new(password), encryption);
    Ok(literal(&verifier.map_err(anyhow::Error::msg)?))
}

/// Runs one or more statements.
///
/// # Errors
/// Returns the server's error.
pub async fn sql(connection: &mut PgConnection, statements: &str) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(connection).await;
    done.map(drop).with_context(|| statements.to_owned())
}

impl Fixture {
    /// Logs in as the superuser to the fixture's database.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn admin(&self) -> Result<PgConnection> {
        self.target.admin(&self.database).await
    }

    /// Returns the verifier or the hash that the server has stored for a role.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn stored_password(&self, role: &str) -> Result<String> {
        let query = sqlx::query_scalar("SELECT rolpassword FROM pg_authid WHERE rolname = $1");
        Ok(query.bind(role).fetch_one(&mut self.admin().await?).await?)
    }
}

impl AnyServer for Target {
    type Session = PgConnection;
    type Running = Server;
    const ENGINE: &'static str = "postgres";
    const BINARY: &'static str = "rotation-postgres";
    const USER_NAMES: &'static [&'static str] = &[
        "quote\"d",
        "it's",
        "50%s %d",
        "back\\slash",
        "two words",
        "Größe-имя-名",
        "select",
        "UPPER",
        "-",
    ];
    const LONGEST_NAME: usize = 63;
    const NAME_TOO_LONG: &'static str = "64 bytes";
    const LONG_PASSWORD: usize = 200;

    fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// Sets the passwords as verifiers, so that the cleartext never appears in the server's log.
    async fn make(&self, made: &Made<'_>) -> Result<()> {
        let (user, master) = (identifier(made.user), identifier(made.master));
        let mut admin = self.admin("postgres").await?;
        sql(&mut admin, &format!("CREATE DATABASE {}", identifier(made.database))).await?;
        let users = verifier(made.user, made.password)?;
        sql(&mut admin, &format!("CREATE ROLE {user} LOGIN PASSWORD {users}")).await?;
        let masters = verifier(made.master, made.masters_password)?;
        sql(&mut admin, &format!("CREATE ROLE {master} LOGIN CREATEROLE PASSWORD {masters}"))
            .await?;
        if admin.server_version_num().unwrap_or(0) >= 160_000 {
            sql(&mut admin, &format!("GRANT {user} TO {master} WITH ADMIN OPTION")).await?;
        }
        Ok(())
    }

    async fn enrich(&self, made: &Made<'_>) -> Result<()> {
        let user = identifier(made.user);
        let group = identifier(&format!("group_of_{}", made.user));
        let mut admin = self.admin("postgres").await?;
        for statement in [
            format!("CREATE ROLE {group}"),
            format!("GRANT {group} TO {user}"),
            format!("ALTER ROLE {user} CONNECTION LIMIT 50"),
            format!("ALTER ROLE {user} SET work_mem = '8MB'"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        Ok(())
    }

    async fn connect(&self, user: &str, password: &str, database: &str) -> Result<PgConnection> {
        Ok(self.log_in(user, password, database).await?)
    }

    async fn another_with(
        &self,
        certificates: Option<Certificates>,
    ) -> Result<Option<(Server, u16)>> {
        let another = self.another(Options { certificates, ..options()? })?;
        Ok(another.map(|(server, target)| (server, target.port)))
    }

    /// Checks that a session of the alternate role acts as the base role.
    async fn is_whole(&self, session: &mut PgConnection, user: &str) -> Result<()> {
        let acts_as: String =
            sqlx::query_scalar("SELECT current_user::text").fetch_one(session).await?;
        anyhow::ensure!(acts_as == user, "acts as {acts_as}");
        Ok(())
    }

    async fn give_password(&self, user: &str, password: &str) -> Result<()> {
        let verifier = verifier(user, password)?;
        let statement = format!("ALTER ROLE {} PASSWORD {verifier}", identifier(user));
        sql(&mut self.admin("postgres").await?, &statement).await
    }

    async fn impair(&self, alternate: &str, _database: &str) -> Result<&'static [&'static str]> {
        let name = identifier(alternate);
        let statement =
            format!("ALTER ROLE {name} CONNECTION LIMIT 3; ALTER ROLE {name} SET work_mem = '1MB'");
        sql(&mut self.admin("postgres").await?, &statement).await?;
        Ok(&["CONNECTION LIMIT", "work_mem"])
    }

    async fn drop_user(&self, user: &str) -> Result<()> {
        let statement = format!("DROP ROLE IF EXISTS {}", identifier(user));
        sql(&mut self.admin("postgres").await?, &statement).await
    }

    /// Drops the database. Each is a copy of eight megabytes, and fault injection creates one for
    /// each fault point.
    async fn drop_databases(&self, database: &str) -> Result<()> {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(database));
        sql(&mut self.admin("postgres").await?, &statement).await
    }

    fn count_rejected(log: &str, user: &str) -> usize {
        log.matches(&format!("password authentication failed for user \"{user}\"")).count()
    }

    fn count_logins(log: &str, user: &str) -> usize {
        log.matches(&format!("connection authorized: user={user} database=")).count()
    }
}
