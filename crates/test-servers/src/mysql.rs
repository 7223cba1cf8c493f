//! A temporary MySQL or MariaDB server.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, MySqlConnection};
use tempfile::TempDir;

use super::data_folder::create_or_copy;
use super::server::{end, run, wait_until};
use super::{Certificates, Installation, NodelayProxy, free_port, sid_root};

/// The name of the superuser.
pub const SUPERUSER: &str = "root";

/// The product that a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The MySQL server of Oracle.
    MySql,
    /// The MariaDB server, whose program is `mariadbd`.
    MariaDb,
}

impl Kind {
    fn daemon(self) -> &'static str {
        match self {
            Self::MySql => "mysqld",
            Self::MariaDb => "mariadbd",
        }
    }

    /// Returns the product name.
    pub fn display(self) -> &'static str {
        match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        }
    }
}

/// The options of a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The TLS certificates. `None` turns TLS off.
    pub certificates: Option<Certificates>,
    /// Additional arguments of the server.
    pub arguments: Vec<String>,
    /// The password of the superuser.
    pub password: String,
}

/// A running server. Dropping it stops the server.
#[derive(Debug)]
pub struct Server {
    /// The port on localhost.
    pub port: u16,
    /// The options that it was started with.
    pub options: Options,
    /// The product that the server runs.
    pub kind: Kind,
    folder: TempDir,
    child: Child,
}

/// Finds an installed server in Debian's folder, on the `PATH`, or in the sid root.
pub fn find(kind: Kind) -> Option<Installation> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places =
        std::iter::once(PathBuf::from("/usr/sbin")).chain(std::env::split_paths(&path));
    // MariaDB also installs a program `mysqld`, which is MariaDB.
    let is_mysql = |bin: &Path| kind == Kind::MariaDb || !bin.join("mariadbd").exists();
    let here = places
        .find(|bin| bin.join(kind.daemon()).exists() && is_mysql(bin))
        .map(Installation::here);
    let sid = || {
        let root = sid_root().filter(|root| root.join("usr/sbin").join(kind.daemon()).exists())?;
        Some(Installation::in_root(root, "/usr/sbin"))
    };
    here.or_else(sid)
}

impl Server {
    /// Creates a data folder and starts the server.
    ///
    /// # Errors
    /// Returns an error with the server's output if the server does not start.
    pub fn start(installation: &Installation, kind: Kind, options: Options) -> Result<Self> {
        let (folder, seen) = installation.folder()?;
        let data = seen.join("data");
        let mut make = match kind {
            Kind::MySql => {
                let mut mysqld = installation.command("mysqld");
                mysqld.args(["--no-defaults", "--initialize-insecure", "--secure-file-priv=NULL"]);
                mysqld
            }
            Kind::MariaDb => {
                let mut script = Installation { bin: "/usr/bin".into(), ..installation.clone() }
                    .command("mariadb-install-db");
                script.args([
                    "--no-defaults",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                ]);
                script
            }
        };
        make.arg(format!("--datadir={}", data.display()));
        if let Some(folder) = data.parent() {
            // Two servers that are created at the same time must not share temporary tables' names.
            make.arg(format!("--tmpdir={}", folder.display()));
        }
        create_or_copy(installation, kind.display(), &folder.path().join("data"), || run(make))
            .with_context(|| format!("could not create a data folder of {}", kind.display()))?;
        // Two servers must not have the same identifier. MySQL creates it if the file is missing.
        let _ = fs::remove_file(folder.path().join("data/auto.cnf"));

        let port = free_port()?;
        let log = folder.path().join("log");
        let file = File::create(&log)?;
        installation.hand_over(&log)?;
        let has_ipv6 = std::net::TcpListener::bind(("::1", 0)).is_ok();
        let mut daemon = installation.command(kind.daemon());
        daemon.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
        daemon
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", seen.join("socket").display()));
        daemon.arg(format!("--pid-file={}", seen.join("pid").display()));
        daemon.arg(format!("--bind-address=127.0.0.1{}", if has_ipv6 { ",::1" } else { "" }));
        // The server logs everything that it can, so that tests can search all logs.
        daemon.args([
            "--general-log=ON",
            "--slow-query-log=ON",
            "--long-query-time=0",
            "--log-bin=binlog",
            "--server-id=1",
        ]);
        daemon.arg(format!("--general-log-file={}", seen.join("data/general.log").display()));
        daemon.arg(format!("--slow-query-log-file={}", seen.join("data/slow.log").display()));
        daemon.args([
            "--innodb-buffer-pool-size=32M",
            "--innodb-flush-log-at-trx-commit=0",
            "--sync-binlog=0",
        ]);
        match kind {
            Kind::MySql => {
                daemon.args(["--mysqlx=OFF", "--secure-file-priv=NULL", "--log-error-verbosity=3"])
            }
            Kind::MariaDb => daemon.args(["--log-warnings=2"]),
        };
        match &options.certificates {
            Some(certificates) => {
                for (name, text) in
                    [("cert.pem", &certificates.certificate), ("key.pem", &certificates.key)]
                {
                    fs::write(folder.path().join(name), text)?;
                    installation.hand_over(&folder.path().join(name))?;
                }
                daemon.arg(format!("--ssl-cert={}", seen.join("cert.pem").display()));
                daemon.arg(format!("--ssl-key={}", seen.join("key.pem").display()));
            }
            None if kind == Kind::MySql => {
                daemon.args(["--tls-version=", "--auto-generate-certs=OFF"]);
            }
            None => {
                daemon.arg("--skip-ssl");
            }
        }
        daemon
            .args(&options.arguments)
            .stdout(Stdio::from(file.try_clone()?))
            .stderr(Stdio::from(file));
        let child =
            daemon.spawn().with_context(|| format!("could not start {}", kind.display()))?;
        let mut server = Self { port, options, kind, folder, child };
        wait_until(&format!("starting {}", kind.display()), || {
            let log = String::from_utf8_lossy(&fs::read(server.error_log())?).into_owned();
            if let Some(status) = server.child.try_wait()? {
                bail!("{} ended ({status}):\n{log}", server.kind.display());
            }
            Ok(log.contains("ready for connections"))
        })?;
        Ok(server)
    }

    /// Sets the password of the superuser, who has none after the installation.
    ///
    /// # Errors
    /// Returns an error if the login or the statement fails.
    pub async fn secure(&self) -> Result<()> {
        let mut root = self
            .connect(SUPERUSER, "", None)
            .await
            .context("could not log in for the first time")?;
        let statement = match self.kind {
            Kind::MySql => {
                format!("ALTER USER root@localhost IDENTIFIED BY '{}'", self.options.password)
            }
            Kind::MariaDb => {
                format!("SET PASSWORD FOR root@localhost = PASSWORD('{}')", self.options.password)
            }
        };
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut root).await?;
        Ok(())
    }

    fn error_log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Returns the path of the general log, which has every statement and login.
    pub fn general_log(&self) -> PathBuf {
        self.folder.path().join("data/general.log")
    }

    /// Returns the folder with the general log, the slow query log and the binary log.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Returns the number of logins that the server has rejected so far.
    ///
    /// # Errors
    /// Returns an error if the log cannot be read.
    pub fn failed_logins(&self) -> Result<usize> {
        let log = fs::read(self.general_log())?;
        Ok(String::from_utf8_lossy(&log).matches("Access denied for user").count())
    }

    /// Logs in as a user. Verifies the server's certificate if the server has TLS.
    ///
    /// # Errors
    /// Returns an error if the login fails.
    pub async fn connect(
        &self,
        user: &str,
        password: &str,
        database: Option<&str>,
    ) -> sqlx::Result<MySqlConnection> {
        let authority =
            self.options.certificates.as_ref().map(|certificates| certificates.authority.as_str());
        connect("localhost", self.port, authority, user, password, database).await
    }

    /// Logs in over TLS without verifying the certificate, and closes the connection. This is the
    /// minimum that a client can do.
    ///
    /// # Errors
    /// Returns an error if the login fails.
    pub async fn greet(&self, user: &str, password: &str, database: &str) -> sqlx::Result<()> {
        let options = login("localhost", self.port, user, password, Some(database));
        let shortcut = NodelayProxy::to("localhost", self.port, SOCKET).await?;
        let options =
            options.ssl_mode(MySqlSslMode::Required).socket(shortcut.folder().join(SOCKET));
        MySqlConnection::connect_with(&options).await?.close().await
    }
}

/// Logs in as a user, over TLS if there is a CA certificate to verify the server with.
///
/// # Errors
/// Returns an error if the login fails.
pub async fn connect(
    host: &str,
    port: u16,
    authority: Option<&str>,
    user: &str,
    password: &str,
    database: Option<&str>,
) -> sqlx::Result<MySqlConnection> {
    let options = login(host, port, user, password, database);
    let options = match authority {
        Some(authority) => options
            .ssl_mode(MySqlSslMode::VerifyIdentity)
            .ssl_ca_from_pem(authority.as_bytes().to_vec()),
        None => options.ssl_mode(MySqlSslMode::Disabled),
    };
    let shortcut = NodelayProxy::to(host, port, SOCKET).await?;
    MySqlConnection::connect_with(&options.socket(shortcut.folder().join(SOCKET))).await
}

/// The name of the socket of a [`NodelayProxy`].
const SOCKET: &str = "mysqld.sock";

fn login(
    host: &str,
    port: u16,
    user: &str,
    password: &str,
    database: Option<&str>,
) -> MySqlConnectOptions {
    let mut options = MySqlConnectOptions::new()
        .host(host)
        .port(port)
        .username(user)
        .statement_cache_capacity(0)
        .disable_statement_logging();
    // An empty password means that the user has none. The driver would send the hash of it.
    if !password.is_empty() {
        options = options.password(password);
    }
    if let Some(database) = database {
        options = options.database(database);
    }
    options
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server does not need a clean shutdown, because its data is deleted.
        end(&mut self.child, "KILL");
    }
}
