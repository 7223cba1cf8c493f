//! The Oracle servers of a test run: the fake server in `tests/fake_servers/oracle`, or a real
//! server that `ORACLE_TEST_URL` names.

use std::future::Future;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use oracledb::{Config, Connection};
use rotation_oracle::Name;
use test_servers::Certificates;

use crate::discovery::run_on_each;
use crate::fake_server::{self, Engine as _, Releases};
use crate::fixture;
use crate::server::{Made, NAMES, Server as AnyServer};

/// Oracle, as an engine with a fake server.
#[derive(Debug, Clone, Copy)]
pub struct Oracle;

impl fake_server::Engine for Oracle {
    const NAME: &'static str = "Oracle";
    const FOLDER: &'static str = "oracle";
    const SUPERUSER: &'static str = "SYSTEM";
    const VARIABLE: &'static str = "ROTATION_TEST_ORACLE";
    const URL: &'static str = "ORACLE_TEST_URL";
    const DEFAULT_PORT: u16 = 1521;
    const RELEASES: Option<Releases> = Some(Releases {
        all: &["12.2", "19c", "21c", "23ai"],
        default: "19c",
        variable: "ORACLE_RELEASES",
    });

    fn own() -> &'static OnceLock<Vec<FakeServer>> {
        static OWN: OnceLock<Vec<FakeServer>> = OnceLock::new();
        &OWN
    }
}

/// A database to test against.
pub type Target = fake_server::Target<Oracle>;

/// A fake Oracle server that this process has started.
pub type FakeServer = fake_server::FakeServer<Oracle>;

/// The service name of the fake server, and of Oracle's free edition.
pub const SERVICE: &str = "FREEPDB1";

/// A fixture on Oracle.
pub type Fixture = fixture::Fixture<Target>;

/// Runs a test on every server of this run.
///
/// # Panics
/// Panics if the test fails on a server, or if there is no server.
pub async fn on_each<F: Future<Output = Result<()>>>(test: impl Fn(Target) -> F) {
    fake_server::on_each(test).await;
}

/// Runs a test on a fake server of a release. With a real server, runs it there, and the test must
/// skip what the release of that server does not have.
///
/// # Panics
/// Panics if the test fails, or if the server does not start.
pub async fn on_release<F: Future<Output = Result<()>>>(release: &str, test: impl Fn(Target) -> F) {
    if std::env::var_os(Oracle::URL).is_some() {
        return on_each(test).await;
    }
    let start = async {
        FakeServer::start_release(Some(release), Some(Certificates::for_names(&NAMES)?), &[]).await
    };
    let fake = start.await;
    let targets = fake.as_ref().map(|fake| vec![fake.target.clone()]);
    run_on_each(Oracle::NAME, targets.map_err(|error| anyhow::anyhow!("{error:?}")), test).await;
}

/// Runs a statement and discards its rows.
///
/// # Errors
/// Returns the server's error.
pub async fn sql(session: &mut Session, statement: &str) -> Result<()> {
    let (connection, text) =
        (session.0.take().context("the session has ended")?, statement.to_owned());
    let (connection, done) = tokio::task::spawn_blocking(move || {
        let done = match text.starts_with("SELECT") {
            true => connection.query(&text, &[]).map(drop),
            false => connection.execute(&text, &[]).map(drop),
        };
        (connection, done)
    })
    .await?;
    session.0 = Some(connection);
    done.map_err(|error| anyhow::anyhow!("{error}")).with_context(|| statement.to_owned())
}

/// Returns the rows of a query, with every column as text.
///
/// # Errors
/// Returns the server's error.
pub async fn rows(session: &mut Session, query: &str, parameter: &str) -> Result<Vec<Vec<String>>> {
    let connection = session.0.take().context("the session has ended")?;
    let (query, parameter) = (query.to_owned(), parameter.to_owned());
    let (connection, rows) = tokio::task::spawn_blocking(move || {
        let rows = || -> Result<Vec<Vec<String>>, oracledb::Error> {
            let mut rows = Vec::new();
            for row in connection.query(&query, &[&parameter])? {
                let row = row?;
                let texts =
                    (0..row.columns().len()).map(|column| row.get::<Option<String>>(column));
                let texts = texts.collect::<Result<Vec<_>, _>>()?;
                rows.push(texts.into_iter().map(Option::unwrap_or_default).collect());
            }
            Ok(rows)
        };
        let rows = rows();
        (connection, rows)
    })
    .await?;
    session.0 = Some(connection);
    rows.map_err(|error| anyhow::anyhow!("{error}"))
}

/// A session. The connection is absent while a statement uses it on another thread.
pub struct Session(Option<Connection>);

impl Session {
    /// Returns the version that the server has reported at login.
    pub fn version(&self) -> Option<String> {
        Some(self.0.as_ref()?.version().ok()?.to_string())
    }
}

/// Returns a user's name as a statement writes it.
pub fn quoted(user: &str) -> String {
    Name::written(user).map_or_else(|| user.to_owned(), |name| name.to_string())
}

/// Returns the schema that owns the tables of a fixture's user.
fn owner(user: &str) -> String {
    let name = Name::written(user).map(|name| name.as_str().to_owned()).unwrap_or_default();
    let start: String = name.chars().take(40).collect();
    format!("\"{start} DATA\"")
}

impl Target {
    /// Opens a session as a user, over TLS if the server has a CA certificate.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn log_in(&self, user: &str, password: &str, service: &str) -> Result<Session> {
        let protocol = if self.authority.is_some() { "tcps" } else { "tcp" };
        let descriptor = format!(
            "(DESCRIPTION=(ADDRESS=(PROTOCOL={protocol})(HOST={})(PORT={}))\
             (CONNECT_DATA=(SERVICE_NAME={service})))",
            self.host, self.port
        );
        let (user, password, authority) =
            (user.to_owned(), password.to_owned(), self.authority.clone());
        let connection = tokio::task::spawn_blocking(move || -> Result<Connection> {
            let wallet = tempfile::tempdir()?;
            let failed = |error: oracledb::Error| anyhow::anyhow!("{error}");
            let mut config = Config::default().set_credentials(&user, &password);
            config = config.set_connect_string(&descriptor).map_err(failed)?;
            if let Some(authority) = authority {
                std::fs::write(wallet.path().join("ewallet.pem"), authority)?;
                config = config.set_wallet_location(wallet.path().to_string_lossy());
            }
            oracledb::connect(config).map_err(failed)
        });
        Ok(Session(Some(connection.await??)))
    }

    /// Opens a session as a DBA.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn admin(&self) -> Result<Session> {
        self.log_in(&self.superuser, &self.password, SERVICE).await
    }
}

impl AnyServer for Target {
    type Session = Session;
    type Running = FakeServer;
    const ENGINE: &'static str = "oracle";
    const BINARY: &'static str = "rotation-oracle";
    const USER_NAMES: &'static [&'static str] =
        &["it's", "50%s_%d", "two words", "größe", "select", "a@b", "-"];
    const LONGEST_NAME: usize = 128;
    const NAME_TOO_LONG: &'static str = "limit is 128";
    const ALTERNATE_SUFFIX: &'static str = "_CLONE";
    const HAS_PASSWORD_HISTORY: bool = true;
    const LONG_PASSWORD: usize = 30;
    const EXCLUDED_PUNCTUATION: &'static str = "\"";

    fn address(&self) -> (&str, u16) {
        (&self.host, self.port)
    }

    fn authority(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    fn database(&self, _unique: &str) -> String {
        SERVICE.to_owned()
    }

    async fn make(&self, made: &Made<'_>) -> Result<()> {
        let (user, master, owner) = (quoted(made.user), quoted(made.master), owner(made.user));
        let mut admin = self.admin().await?;
        for statement in [
            format!("CREATE USER {user} IDENTIFIED BY \"{}\"", made.password),
            format!("GRANT CREATE SESSION TO {user}"),
            format!("CREATE USER {master} IDENTIFIED BY \"{}\"", made.masters_password),
            format!("CREATE USER {owner} IDENTIFIED BY \"{}\"", made.masters_password),
            format!("CREATE TABLE {owner}.present (a NUMBER)"),
            format!("GRANT SELECT ON {owner}.present TO {user}"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        for privilege in [
            "CREATE SESSION",
            "CREATE USER",
            "ALTER USER",
            "GRANT ANY PRIVILEGE",
            "GRANT ANY ROLE",
            "GRANT ANY OBJECT PRIVILEGE",
            "SELECT_CATALOG_ROLE",
        ] {
            sql(&mut admin, &format!("GRANT {privilege} TO {master}")).await?;
        }
        Ok(())
    }

    /// Gives the base user a profile, a quota, roles of which only some are on by default, a
    /// privilege on a column, and privileges with the admin or grant option.
    async fn enrich(&self, made: &Made<'_>) -> Result<()> {
        let (user, owner) = (quoted(made.user), owner(made.user));
        let role = quoted(&format!("{}_role", made.user));
        let mut admin = self.admin().await?;
        for statement in [
            format!(
                "CREATE PROFILE {role} LIMIT PASSWORD_REUSE_MAX 5 PASSWORD_LIFE_TIME UNLIMITED"
            ),
            format!("CREATE ROLE {role}"),
            format!("GRANT {role} TO {user}"),
            format!("GRANT CONNECT TO {user} WITH ADMIN OPTION"),
            format!(
                "ALTER USER {user} PROFILE {role} QUOTA UNLIMITED ON USERS DEFAULT ROLE CONNECT"
            ),
            format!("GRANT CREATE TABLE TO {user} WITH ADMIN OPTION"),
            format!("GRANT UPDATE (a) ON {owner}.present TO {user}"),
            format!("GRANT INSERT ON {owner}.present TO {user} WITH GRANT OPTION"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        Ok(())
    }

    async fn connect(&self, user: &str, password: &str, database: &str) -> Result<Session> {
        let is_simple = user.chars().all(|c| c.is_ascii_alphanumeric() || "_$#".contains(c));
        let user = if is_simple { user.to_owned() } else { quoted(user) };
        self.log_in(&user, password, database).await
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

    async fn is_whole(&self, session: &mut Session, user: &str) -> Result<()> {
        sql(session, &format!("SELECT a FROM {}.present", owner(user))).await
    }

    async fn give_password(&self, user: &str, password: &str) -> Result<()> {
        let statement = format!("ALTER USER {} IDENTIFIED BY \"{password}\"", quoted(user));
        sql(&mut self.admin().await?, &statement).await
    }

    async fn impair(&self, alternate: &str, _database: &str) -> Result<&'static [&'static str]> {
        let name = quoted(alternate);
        let mut admin = self.admin().await?;
        for statement in [
            format!("REVOKE CREATE TABLE FROM {name}"),
            format!("ALTER USER {name} QUOTA 0 ON USERS"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        Ok(&["GRANT CREATE TABLE", "QUOTA UNLIMITED ON"])
    }

    async fn drop_user(&self, user: &str) -> Result<()> {
        let mut admin = self.admin().await?;
        for name in [quoted(user), owner(user)] {
            match sql(&mut admin, &format!("DROP USER {name} CASCADE")).await {
                Err(error) if !format!("{error:?}").contains("ORA-01918") => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn drop_users(&self, users: &[String]) {
        let Ok(mut admin) = self.admin().await else { return };
        for user in users {
            let role = quoted(&format!("{user}_role"));
            for statement in [
                format!("DROP USER {} CASCADE", quoted(user)),
                format!("DROP USER {} CASCADE", owner(user)),
                format!("DROP ROLE {role}"),
            ] {
                // A fixture does not create all of these.
                let _ = sql(&mut admin, &statement).await;
            }
        }
    }

    fn count_rejected(log: &str, user: &str) -> usize {
        let name = Name::written(user).map(|name| name.as_str().to_owned()).unwrap_or_default();
        log.matches(&format!("Login failed for user '{name}': ")).count()
    }

    fn count_logins(log: &str, user: &str) -> usize {
        let name = Name::written(user).map(|name| name.as_str().to_owned()).unwrap_or_default();
        log.matches(&format!("Login succeeded for user '{name}'.")).count()
    }
}
