//! A temporary database server of any supported engine.

use anyhow::{Context, Result, anyhow};
use sqlx::AssertSqlSafe;
use test_servers::{Certificates, mysql, postgres};

/// The engines that `demo` and `bench` support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// PostgreSQL
    Postgres,
    /// MySQL
    Mysql,
    /// MariaDB
    Mariadb,
}

impl Engine {
    /// Returns the engine's name in a secret and in the file name of the function.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
        }
    }

    /// Returns the product name.
    pub(crate) fn display(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::Mysql => mysql::Kind::MySql.display(),
            Self::Mariadb => mysql::Kind::MariaDb.display(),
        }
    }
}

/// A running temporary server of one engine.
pub(crate) enum Database {
    Postgres(postgres::Server),
    MySql(mysql::Server),
}

/// A successful login, with the account that the server gave it.
pub(crate) struct LoggedIn {
    /// The user that logged in.
    pub(crate) login: String,
    /// The user or account whose privileges the session has.
    pub(crate) acts_as: String,
}

/// The reason why a login failed.
pub(crate) enum Refusal {
    /// The server rejected the user name or the password.
    Password,
    /// The login failed for another reason.
    Other(anyhow::Error),
}

impl Refusal {
    pub(crate) fn into_error(self, context: &'static str) -> anyhow::Error {
        match self {
            Self::Password => anyhow!("the user name or the password is wrong").context(context),
            Self::Other(error) => error.context(context),
        }
    }
}

impl Database {
    pub(crate) async fn start(engine: Engine, password: &str) -> Result<Self> {
        let certificates = Some(Certificates::for_names(&["localhost"])?);
        let password = password.to_owned();
        let missing = || {
            anyhow!(
                "could not find an installed {} server; run make demo to install PostgreSQL, or \
                 make test to install the others",
                engine.display()
            )
        };
        let kind = match engine {
            Engine::Postgres => {
                let installation = postgres::find().ok_or_else(missing)?;
                let (configuration, access_rules) = (String::new(), String::new());
                let options =
                    postgres::Options { certificates, configuration, access_rules, password };
                return Ok(Self::Postgres(postgres::Server::start(&installation, options)?));
            }
            Engine::Mysql => mysql::Kind::MySql,
            Engine::Mariadb => mysql::Kind::MariaDb,
        };
        let installation = mysql::find(kind).ok_or_else(missing)?;
        let options = mysql::Options { certificates, arguments: Vec::new(), password };
        let server = mysql::Server::start(&installation, kind, options)?;
        server.secure().await?;
        Ok(Self::MySql(server))
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port,
            Self::MySql(server) => server.port,
        }
    }

    /// Returns the CA certificate of the server in PEM.
    pub(crate) fn authority(&self) -> &str {
        let certificates = match self {
            Self::Postgres(server) => &server.options.certificates,
            Self::MySql(server) => &server.options.certificates,
        };
        certificates.as_ref().map_or("", |certificates| &certificates.authority)
    }

    /// Creates the database `shop`, the users `app` and `shop`, and the user `master`, which is not
    /// a superuser.
    pub(crate) async fn create_users(&self, app: &str, shop: &str, master: &str) -> Result<()> {
        match self {
            Self::Postgres(server) => {
                let mut admin = server.superuser("postgres").await?;
                let mut statements = vec![
                    format!("CREATE ROLE app LOGIN PASSWORD '{app}'"),
                    format!("CREATE ROLE shop LOGIN PASSWORD '{shop}'"),
                    format!("CREATE ROLE master LOGIN CREATEROLE PASSWORD '{master}'"),
                    "CREATE DATABASE shop OWNER shop".to_owned(),
                ];
                if admin.server_version_num().is_some_and(|version| version >= 160_000) {
                    statements.push("GRANT shop TO master WITH ADMIN OPTION".to_owned());
                }
                for statement in statements {
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await?;
                }
            }
            Self::MySql(server) => {
                let password = &server.options.password;
                let mut admin = server.connect(mysql::SUPERUSER, password, None).await?;
                for statement in [
                    format!("CREATE USER app IDENTIFIED BY '{app}'"),
                    format!("CREATE USER shop IDENTIFIED BY '{shop}'"),
                    format!("CREATE USER master IDENTIFIED BY '{master}'"),
                    "CREATE DATABASE shop".to_owned(),
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO shop".to_owned(),
                    "GRANT SELECT ON shop.* TO app".to_owned(),
                    "GRANT CREATE USER ON *.* TO master".to_owned(),
                    "GRANT SELECT, UPDATE ON mysql.* TO master".to_owned(),
                    "GRANT ALL PRIVILEGES ON shop.* TO master WITH GRANT OPTION".to_owned(),
                ] {
                    sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await?;
                }
            }
        }
        Ok(())
    }

    /// Logs in and reads the session's user.
    pub(crate) async fn log_in(&self, user: &str, password: &str) -> Result<LoggedIn, Refusal> {
        let refused = |error: sqlx::Error| match &error {
            sqlx::Error::Database(database)
                if matches!(database.code().as_deref(), Some("28P01" | "28000")) =>
            {
                Refusal::Password
            }
            _ => Refusal::Other(error.into()),
        };
        let other = |error: sqlx::Error| Refusal::Other(error.into());
        let (login, acts_as): (String, String) = match self {
            Self::Postgres(server) => {
                let mut session = server.connect(user, password, "shop").await.map_err(refused)?;
                let query = sqlx::query_as("SELECT session_user::text, current_user::text");
                query.fetch_one(&mut session).await.map_err(other)?
            }
            Self::MySql(server) => {
                let mut session =
                    server.connect(user, password, Some("shop")).await.map_err(refused)?;
                let query =
                    sqlx::query_as("SELECT SUBSTRING_INDEX(USER(), '@', 1), CURRENT_USER()");
                query.fetch_one(&mut session).await.map_err(other)?
            }
        };
        Ok(LoggedIn { login, acts_as })
    }

    /// Returns the number of logins that the server has rejected so far.
    pub(crate) fn failed_logins(&self) -> Result<usize> {
        match self {
            Self::Postgres(server) => server.failed_logins(),
            Self::MySql(server) => server.failed_logins(),
        }
    }

    /// Returns the number of sessions that the server has logged so far.
    pub(crate) fn sessions(&self) -> Result<usize> {
        let mark = match self {
            Self::Postgres(_) => "connection authorized: user=",
            Self::MySql(_) => "Connect\t",
        };
        Ok(self.log()?.matches(mark).count())
    }

    /// Logs in over TLS and closes the connection, which is the minimum that a client can do.
    pub(crate) async fn greet(&self, user: &str, password: &str) -> sqlx::Result<()> {
        match self {
            Self::Postgres(server) => server.greet(user, password, "shop").await,
            Self::MySql(server) => server.greet(user, password, "shop").await,
        }
    }

    /// Returns everything that the server has logged.
    pub(crate) fn log(&self) -> Result<String> {
        match self {
            Self::Postgres(server) => server.log(),
            Self::MySql(server) => {
                let log = std::fs::read(server.general_log())
                    .context("could not read the general log")?;
                Ok(String::from_utf8_lossy(&log).into_owned())
            }
        }
    }
}
