//! The SQL Server instances of a test run: the fake server in `tests/fake_servers/sqlserver`, or a
//! real server that `MSSQL_TEST_URL` names.

mod azure;

use std::future::Future;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use rotation_sqlserver::{identifier, literal};
use test_servers::Certificates;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use crate::fake_server::{self, Engine as _, Releases};
use crate::fixture;
use crate::server::{Made, Server as AnyServer};

/// The release of a fake server that answers as Azure SQL Database.
pub const AZURE: &str = "azure";

const RELEASES: Releases = Releases {
    all: &["2017", "2019", "2022", AZURE],
    default: "2022",
    variable: "SQLSERVER_RELEASES",
};

/// SQL Server, as an engine with a fake server.
#[derive(Debug, Clone, Copy)]
pub struct SqlServer;

impl fake_server::Engine for SqlServer {
    const NAME: &'static str = "SQL Server";
    const FOLDER: &'static str = "sqlserver";
    const SUPERUSER: &'static str = "sa";
    const VARIABLE: &'static str = "ROTATION_TEST_SQLSERVER";
    const URL: &'static str = "MSSQL_TEST_URL";
    const DEFAULT_PORT: u16 = 1433;
    const RELEASES: Option<Releases> = Some(RELEASES);

    fn own() -> &'static OnceLock<Vec<FakeServer>> {
        static OWN: OnceLock<Vec<FakeServer>> = OnceLock::new();
        &OWN
    }
}

/// A server to test against.
pub type Target = fake_server::Target<SqlServer>;

/// A fake SQL Server that this process has started.
pub type FakeServer = fake_server::FakeServer<SqlServer>;

/// A fixture on SQL Server.
pub type Fixture = fixture::Fixture<Target>;

/// An authenticated session of the driver.
pub type Session = Client<Compat<TcpStream>>;

/// Runs a test on every server of this run that has logins, which Azure SQL Database has not.
///
/// # Panics
/// Panics if the test fails on a server, or if this run has no server.
pub async fn on_each<F: Future<Output = Result<()>>>(test: impl Fn(Target) -> F) {
    fake_server::on_each_where(|target: &Target| !target.is_azure(), test).await;
}

/// Runs a test on every server of this run, whose fixtures have users of a database with a password
/// on Azure SQL Database.
///
/// # Panics
/// Panics if the test fails on a server, or if this run has no server.
pub async fn on_each_release<F: Future<Output = Result<()>>>(test: impl Fn(Target) -> F) {
    fake_server::on_each(test).await;
}

/// Returns `true` if this run tests a real server. The programs of the fake server may be missing
/// then.
pub fn tests_real_server() -> bool {
    let is_real = std::env::var_os(SqlServer::URL).is_some();
    if is_real {
        println!("skipped: this test is only for the fake server");
    }
    is_real
}

/// Runs a batch and discards its rows.
///
/// # Errors
/// Returns the server's error.
pub async fn sql(session: &mut Session, batch: &str) -> Result<()> {
    let done = async { session.simple_query(batch).await?.into_results().await };
    done.await.map(drop).with_context(|| batch.to_owned())
}

/// Returns the clause `PASSWORD = …` of a statement.
pub fn with_password(password: &str) -> String {
    format!("PASSWORD = {}", literal(password).unwrap_or_default())
}

impl Target {
    /// Returns `true` if the server answers as Azure SQL Database.
    pub fn is_azure(&self) -> bool {
        self.release.as_deref() == Some(AZURE)
    }

    /// Logs in as a user.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn log_in(&self, user: &str, password: &str, database: &str) -> Result<Session> {
        let mut config = Config::new();
        config.host(&self.host);
        config.port(self.port);
        config.database(database);
        config.authentication(AuthMethod::sql_server(user, password));
        match &self.authority {
            Some(authority) => {
                config.encryption(EncryptionLevel::Required);
                config.trust_cert_ca_bundle(authority.as_bytes());
            }
            None => config.encryption(EncryptionLevel::NotSupported),
        }
        let stream = TcpStream::connect((&*self.host, self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::pin(Client::connect(config, stream.compat_write())).await?)
    }

    /// Logs in as a member of sysadmin.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn admin(&self, database: &str) -> Result<Session> {
        self.log_in(&self.superuser, &self.password, database).await
    }

    /// Returns `true` if a login exists.
    ///
    /// # Errors
    /// Returns an error if the server does not answer.
    pub async fn has_login(&self, name: &str) -> Result<bool> {
        let mut admin = self.admin("master").await?;
        let query = "SELECT p.name FROM sys.server_principals p WHERE p.name = @P1";
        Ok(admin.query(query, &[&name]).await?.into_row().await?.is_some())
    }
}

impl Fixture {
    /// Logs in to the fixture's database as a member of sysadmin.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn admin(&self) -> Result<Session> {
        self.target.admin(&self.database).await
    }
}

/// Grants the permissions that a master user needs on the server if it is not a sysadmin.
pub async fn grant_master_permissions(admin: &mut Session, master: &str) -> Result<()> {
    let master = identifier(master);
    for permission in ["ALTER ANY LOGIN", "VIEW ANY DEFINITION", "CONNECT ANY DATABASE"] {
        sql(admin, &format!("USE [master]; GRANT {permission} TO {master}")).await?;
    }
    Ok(())
}

impl AnyServer for Target {
    type Session = Session;
    type Running = FakeServer;
    const ENGINE: &'static str = "sqlserver";
    const BINARY: &'static str = "rotation-sqlserver";
    const USER_NAMES: &'static [&'static str] = &[
        "quote\"d",
        "it's",
        "50%s_%d",
        "brack]et[s",
        "two words",
        "Größe-имя-名",
        "select",
        "a@b",
        "-",
    ];
    const LONGEST_NAME: usize = 128;
    const NAME_TOO_LONG: &'static str = "limit is 128";
    const LONG_PASSWORD: usize = 128;

    fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// The policy of a user of a database cannot be turned off.
    fn requires_letters(&self) -> bool {
        self.is_azure()
    }

    fn variant(&self) -> &'static str {
        let release = self.release.as_deref();
        let known = RELEASES.all.iter().find(|name| Some(**name) == release);
        known.filter(|name| **name != RELEASES.default).copied().unwrap_or_default()
    }

    async fn make(&self, made: &Made<'_>) -> Result<()> {
        if self.is_azure() {
            return azure::make(self, made).await;
        }
        let (user, master, database) =
            (identifier(made.user), identifier(made.master), identifier(made.database));
        let mut admin = self.admin("master").await?;
        let password = with_password(made.password);
        // Policy checks are off, because the suite has passwords that consist of punctuation only.
        sql(&mut admin, &format!("CREATE LOGIN {user} WITH {password}, CHECK_POLICY = OFF"))
            .await?;
        let password = with_password(made.masters_password);
        sql(&mut admin, &format!("CREATE LOGIN {master} WITH {password}")).await?;
        grant_master_permissions(&mut admin, made.master).await?;
        sql(&mut admin, &format!("CREATE DATABASE {database}")).await?;
        for statement in [
            format!("CREATE USER {user} FOR LOGIN {user}"),
            format!("CREATE USER {master} FOR LOGIN {master}"),
            format!("ALTER ROLE db_owner ADD MEMBER {master}"),
            "CREATE TABLE present (a int)".to_owned(),
            format!("GRANT SELECT ON present TO {user}"),
        ] {
            sql(&mut admin, &format!("USE {database}; {statement}")).await?;
        }
        Ok(())
    }

    /// Gives the base user a second database, a role, a denied column, a server permission, and
    /// options of the login.
    async fn enrich(&self, made: &Made<'_>) -> Result<()> {
        if self.is_azure() {
            return azure::enrich(self, made).await;
        }
        let (user, master) = (identifier(made.user), identifier(made.master));
        let (database, other) =
            (identifier(made.database), identifier(&format!("{}_other", made.database)));
        let mut admin = self.admin("master").await?;
        for batch in [
            format!("ALTER LOGIN {user} WITH DEFAULT_DATABASE = {database}, CHECK_POLICY = ON"),
            format!(
                "GRANT VIEW SERVER STATE TO {user}; GRANT VIEW SERVER STATE TO {master} WITH \
                 GRANT OPTION"
            ),
            format!("CREATE DATABASE {other}"),
            format!("USE {other}; CREATE USER another_name FOR LOGIN {user}"),
            format!(
                "USE {other}; CREATE USER {master} FOR LOGIN {master}; ALTER ROLE db_owner ADD \
                 MEMBER {master}"
            ),
            format!("USE {other}; ALTER ROLE db_datareader ADD MEMBER another_name"),
            format!("USE {database}; CREATE ROLE readers; ALTER ROLE readers ADD MEMBER {user}"),
            format!(
                "USE {database}; CREATE TABLE partly (seen int, hidden int); GRANT SELECT ON \
                 partly TO {user}"
            ),
            format!("USE {database}; DENY SELECT ON partly (hidden) TO {user}"),
        ] {
            sql(&mut admin, &batch).await?;
        }
        Ok(())
    }

    async fn connect(&self, user: &str, password: &str, database: &str) -> Result<Session> {
        self.log_in(user, password, database).await
    }

    async fn another_with(
        &self,
        certificates: Option<Certificates>,
    ) -> Result<Option<(FakeServer, u16)>> {
        if self.log.is_none() {
            println!("skipped: the server's programs are not on this machine");
            return Ok(None);
        }
        let fake = self.start_another(certificates, &[]).await?;
        let port = fake.target.port;
        Ok(Some((fake, port)))
    }

    async fn is_whole(&self, session: &mut Session, _user: &str) -> Result<()> {
        sql(session, "SELECT * FROM present").await
    }

    async fn give_password(&self, user: &str, password: &str) -> Result<()> {
        if self.is_azure() {
            return azure::give_password(self, user, password).await;
        }
        let statement =
            format!("ALTER LOGIN {} WITH {}", identifier(user), with_password(password));
        sql(&mut self.admin("master").await?, &statement).await
    }

    async fn impair(&self, alternate: &str, database: &str) -> Result<&'static [&'static str]> {
        if self.is_azure() {
            return azure::impair(self, alternate, database).await;
        }
        let (name, database) = (identifier(alternate), identifier(database));
        let mut admin = self.admin("master").await?;
        for batch in [
            format!("ALTER LOGIN {name} WITH CHECK_POLICY = OFF"),
            format!("USE {database}; ALTER ROLE readers DROP MEMBER {name}"),
        ] {
            sql(&mut admin, &batch).await?;
        }
        Ok(&["CHECK_POLICY = ON", "ALTER ROLE [readers] ADD MEMBER"])
    }

    async fn drop_user(&self, user: &str) -> Result<()> {
        if self.is_azure() {
            return azure::drop_user(self, user).await;
        }
        let statement = format!("DROP LOGIN {}", identifier(user));
        for _ in 0..100 {
            if !self.has_login(user).await?
                || sql(&mut self.admin("master").await?, &statement).await.is_ok()
            {
                return Ok(());
            }
            // A session that the client has just closed exists on the server for a moment longer.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        sql(&mut self.admin("master").await?, &statement).await
    }

    /// Drops the fixture's databases, because every rotation looks into every database of the
    /// server.
    async fn drop_databases(&self, database: &str) -> Result<()> {
        let mut admin = self.admin("master").await?;
        for name in [database.to_owned(), format!("{database}_other")] {
            let query = "SELECT d.name FROM sys.databases d WHERE d.name = @P1";
            if admin.query(query, &[&name]).await?.into_row().await?.is_some() {
                let name = identifier(&name);
                sql(
                    &mut admin,
                    &format!("ALTER DATABASE {name} SET SINGLE_USER WITH ROLLBACK IMMEDIATE"),
                )
                .await?;
                sql(&mut admin, &format!("DROP DATABASE {name}")).await?;
            }
        }
        Ok(())
    }

    async fn drop_users(&self, users: &[String]) {
        let Ok(mut admin) = self.admin("master").await else { return };
        for user in users {
            // A fixture does not create all of these.
            let _ = sql(&mut admin, &format!("DROP LOGIN {}", identifier(user))).await;
        }
    }

    fn count_rejected(log: &str, user: &str) -> usize {
        log.matches(&format!("Login failed for user '{user}'. Reason: ")).count()
    }

    fn count_logins(log: &str, user: &str) -> usize {
        log.matches(&format!("Login succeeded for user '{user}'. ")).count()
    }
}
