//! MySQL and MariaDB as servers of the tests.

mod servers;

use std::future::Future;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rotation_mysql::{Literals, identifier, native_hash};
use sqlx::{AssertSqlSafe, MySqlConnection};
use test_servers::Certificates;
use test_servers::mysql::{Kind, Options, Server, connect};

use crate::discovery::{ServerAddress, run_on_each};
use crate::fixture;
use crate::server::{Made, Server as AnyServer};
use servers::addresses;
pub use servers::{Address, Started, options, start, start_all};

/// The environment variable in which `with-servers` passes the servers to the tests.
pub const VARIABLE: &str = "ROTATION_TEST_MYSQL";

/// MySQL or MariaDB, as the parameter of [`Target`].
pub trait Which: Clone + Copy + Default + Send + Sync + std::fmt::Debug + 'static {
    /// The kind of server.
    const KIND: Kind;
    /// The value of `engine` in a secret.
    const ENGINE: &'static str;
    /// The file name of the function's binary.
    const BINARY: &'static str;
    /// The longest user name that the server accepts, in characters.
    const LONGEST_NAME: usize;
}

/// MySQL, as the parameter of [`Target`].
#[derive(Debug, Clone, Copy, Default)]
pub struct MySql;
/// MariaDB, as the parameter of [`Target`].
#[derive(Debug, Clone, Copy, Default)]
pub struct MariaDb;

impl Which for MySql {
    const KIND: Kind = Kind::MySql;
    const ENGINE: &'static str = "mysql";
    const BINARY: &'static str = "rotation-mysql";
    const LONGEST_NAME: usize = 32;
}

impl Which for MariaDb {
    const KIND: Kind = Kind::MariaDb;
    const ENGINE: &'static str = "mariadb";
    const BINARY: &'static str = "rotation-mariadb";
    const LONGEST_NAME: usize = 80;
}

/// A fixture on MySQL or MariaDB.
pub type Fixture<W> = fixture::Fixture<Target<W>>;

/// A server to test against.
#[derive(Debug, Clone)]
pub struct Target<W> {
    /// The address of the server.
    pub address: Address,
    general_log: Option<PathBuf>,
    is_unencrypted: bool,
    _which: W,
}

impl<W> Deref for Target<W> {
    type Target = ServerAddress;

    fn deref(&self) -> &ServerAddress {
        &self.address.address
    }
}

/// Returns the servers of one kind.
///
/// # Errors
/// Returns an error if the servers do not start.
pub async fn targets<W: Which>() -> Result<Vec<Target<W>>> {
    let is_mariadb = W::KIND == Kind::MariaDb;
    let of_kind = addresses().await?.into_iter().filter(|address| address.is_mariadb == is_mariadb);
    Ok(of_kind.map(Target::at).collect())
}

/// Runs a test on every server of a kind.
///
/// # Panics
/// Panics if the test fails on a server, or if there is no server.
pub async fn on_each<W: Which, F: Future<Output = Result<()>>>(test: impl Fn(Target<W>) -> F) {
    run_on_each(W::KIND.display(), targets().await, test).await;
}

/// Runs one statement and discards its rows.
///
/// # Errors
/// Returns the server's error.
pub async fn sql(connection: &mut MySqlConnection, statement: &str) -> Result<()> {
    let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(connection).await;
    done.map(drop).with_context(|| statement.to_owned())
}

/// Returns the account `user@%` as a statement writes it.
pub fn account(user: &str) -> String {
    account_at(user, "%")
}

/// Returns an account with a host as a statement writes it.
pub fn account_at(user: &str, host: &str) -> String {
    let literals = Literals::BackslashEscapes;
    format!("{}@{}", literals.quote(user), literals.quote(host))
}

/// Returns the clause that sets a password without the cleartext getting into the server's log.
fn identified<W: Which>(password: &str) -> String {
    match W::KIND {
        // MySQL replaces the password before it logs the statement.
        Kind::MySql => format!("IDENTIFIED BY '{password}'"),
        Kind::MariaDb => format!("IDENTIFIED BY PASSWORD '{}'", native_hash(password)),
    }
}

impl<W: Which> Target<W> {
    /// Returns a target for a running server.
    pub fn at(address: Address) -> Self {
        let general_log = address.logs.as_ref().map(|logs| logs.join("general.log"));
        Self { address, general_log, is_unencrypted: false, _which: W::default() }
    }

    /// Returns the same server, for secrets with `"ssl": false`.
    #[must_use]
    pub fn unencrypted(self) -> Self {
        Self { is_unencrypted: true, ..self }
    }

    /// Logs in as the superuser.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn admin(&self) -> Result<MySqlConnection> {
        let at = &self.address;
        Ok(connect(&at.host, at.port, at.authority.as_deref(), &at.superuser, &at.password, None)
            .await?)
    }

    /// Starts another server of the same version with other options. Returns `None` if the server's
    /// programs are not on this machine.
    ///
    /// # Errors
    /// Returns an error if the server does not start.
    pub async fn another(&self, options: Options) -> Result<Option<(Started, Self)>> {
        let Some(installation) = &self.address.installation else {
            println!("skipped: the server's programs are not on this machine");
            return Ok(None);
        };
        let started = start(installation, W::KIND, options).await?;
        let target = Self::at(started.address.clone());
        Ok(Some((started, target)))
    }

    /// Creates an account without the cleartext password getting into the server's log.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn create_account(
        &self,
        admin: &mut MySqlConnection,
        account: &str,
        password: &str,
    ) -> Result<()> {
        sql(admin, &format!("CREATE USER {account} {}", identified::<W>(password))).await
    }
}

impl<W: Which> AnyServer for Target<W> {
    type Session = MySqlConnection;
    type Running = Server;
    const ENGINE: &'static str = W::ENGINE;
    const BINARY: &'static str = W::BINARY;
    const USER_NAMES: &'static [&'static str] = &[
        "quote\"d",
        "it's",
        "50%s_%d",
        "back\\slash",
        "two words",
        "Größe-имя-名",
        "select",
        "a@b",
        "tick`s TO x",
        "-",
    ];
    const LONGEST_NAME: usize = W::LONGEST_NAME;
    const NAME_TOO_LONG: &'static str = "USERNAME_CHARACTER_LIMIT";
    const LONG_PASSWORD: usize = 120;
    const HAS_PASSWORD_HISTORY: bool = matches!(W::KIND, Kind::MySql);

    fn address(&self) -> (&str, u16) {
        (&self.address.host, self.address.port)
    }

    fn authority(&self) -> Option<&str> {
        self.address.authority.as_deref()
    }

    fn is_unencrypted(&self) -> bool {
        self.is_unencrypted || self.authority().is_none()
    }

    fn variant(&self) -> &'static str {
        if self.is_unencrypted { " without TLS" } else { "" }
    }

    fn log(&self) -> Option<&Path> {
        self.general_log.as_deref()
    }

    async fn make(&self, made: &Made<'_>) -> Result<()> {
        let (user, master) = (account(made.user), account(made.master));
        let mut admin = self.admin().await?;
        sql(&mut admin, &format!("CREATE DATABASE {}", identifier(made.database))).await?;
        self.create_account(&mut admin, &user, made.password).await?;
        self.create_account(&mut admin, &master, made.masters_password).await?;
        let database = identifier(made.database);
        sql(&mut admin, &format!("CREATE TABLE {database}.present (a int)")).await?;
        sql(&mut admin, &format!("GRANT SELECT ON {database}.* TO {user}")).await?;
        sql(&mut admin, &format!("GRANT CREATE USER ON *.* TO {master}")).await?;
        sql(&mut admin, &format!("GRANT SELECT, UPDATE ON mysql.* TO {master}")).await?;
        sql(
            &mut admin,
            &format!("GRANT ALL PRIVILEGES ON {database}.* TO {master} WITH GRANT OPTION"),
        )
        .await
    }

    /// Creates two more accounts (one of them locked), a default role, and on MySQL a password
    /// history.
    async fn enrich(&self, made: &Made<'_>) -> Result<()> {
        let (user, master, database) =
            (account(made.user), account(made.master), identifier(made.database));
        let role = identifier(&format!("r_{}", &made.user[made.user.len().saturating_sub(20)..]));
        let mut admin = self.admin().await?;
        for host in ["192.0.2.1", "192.0.2.2"] {
            self.create_account(&mut admin, &account_at(made.user, host), made.password).await?;
        }
        for statement in [
            format!("ALTER USER {} ACCOUNT LOCK", account_at(made.user, "192.0.2.2")),
            format!("CREATE ROLE {role}"),
            format!("GRANT INSERT ON {database}.* TO {role}"),
            format!("GRANT {role} TO {user}"),
            format!("GRANT {role} TO {master} WITH ADMIN OPTION"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        let more = match W::KIND {
            Kind::MySql => {
                sql(&mut admin, &format!("ALTER USER {user} PASSWORD HISTORY 5")).await?;
                format!("ALTER USER {user} DEFAULT ROLE {role}")
            }
            Kind::MariaDb => format!("SET DEFAULT ROLE {role} FOR {user}"),
        };
        sql(&mut admin, &more).await
    }

    async fn connect(&self, user: &str, password: &str, database: &str) -> Result<MySqlConnection> {
        let at = &self.address;
        Ok(connect(&at.host, at.port, at.authority.as_deref(), user, password, Some(database))
            .await?)
    }

    async fn another_with(
        &self,
        certificates: Option<Certificates>,
    ) -> Result<Option<(Server, u16)>> {
        let Some(installation) = &self.address.installation else { return Ok(None) };
        let server = Server::start(installation, W::KIND, Options { certificates, ..options()? })?;
        let port = server.port;
        Ok(Some((server, port)))
    }

    async fn is_whole(&self, session: &mut MySqlConnection, _user: &str) -> Result<()> {
        sql(session, "SELECT * FROM present").await
    }

    async fn give_password(&self, user: &str, password: &str) -> Result<()> {
        let statement = format!("ALTER USER {} {}", account(user), identified::<W>(password));
        sql(&mut self.admin().await?, &statement).await
    }

    async fn impair(&self, alternate: &str, database: &str) -> Result<&'static [&'static str]> {
        let (name, database) = (account(alternate), identifier(database));
        let mut admin = self.admin().await?;
        for statement in [
            format!("ALTER USER {name} WITH MAX_QUERIES_PER_HOUR 5000"),
            format!("GRANT TRIGGER ON {database}.present TO {name}"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        Ok(&["attributes of", "REVOKE TRIGGER ON "])
    }

    async fn drop_user(&self, user: &str) -> Result<()> {
        sql(&mut self.admin().await?, &format!("DROP USER IF EXISTS {}", account(user))).await
    }

    fn count_rejected(log: &str, user: &str) -> usize {
        log.matches(&format!("Access denied for user '{user}'@")).count()
    }

    fn count_logins(log: &str, user: &str) -> usize {
        log.matches(&format!("Connect\t{user}@")).count()
    }
}
