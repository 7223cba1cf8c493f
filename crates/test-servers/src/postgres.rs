//! A temporary PostgreSQL server.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, bail};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};
use tempfile::TempDir;

use super::data_folder::create_or_copy;
use super::server::{end, run, wait_until};
use super::{Certificates, Installation, NodelayProxy, free_port};

/// The name of the superuser.
pub const SUPERUSER: &str = "postgres";

/// The options of a server.
#[derive(Debug, Clone)]
pub struct Options {
    /// The TLS certificates. `None` turns TLS off.
    pub certificates: Option<Certificates>,
    /// Additional lines of the configuration, with the syntax of `postgresql.conf`.
    pub configuration: String,
    /// Additional lines of `pg_hba.conf`. They precede the lines that allow every user to log in
    /// with a password.
    pub access_rules: String,
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
    folder: TempDir,
    child: Child,
    installation: Installation,
    /// The path of the folder as the server sees it.
    seen: PathBuf,
}

/// Finds an installed server: first in the folder that the variable `POSTGRES_BIN` names, then in
/// Debian's folders from the newest version to the oldest, then on the `PATH`.
pub fn find() -> Option<Installation> {
    let named = std::env::var_os("POSTGRES_BIN").map(PathBuf::from);
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|entry| entry.path()).collect();
    versions.sort();
    let debian = versions.into_iter().rev().map(|version| version.join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path: Vec<_> = std::env::split_paths(&path).collect();
    let mut places = named.into_iter().chain(debian).chain(on_path);
    places
        .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .map(Installation::here)
}

fn spawn(installation: &Installation, folder: &TempDir, seen: &Path) -> Result<Child> {
    let log = OpenOptions::new().append(true).open(folder.path().join("log"))?;
    let mut postgres = installation.command("postgres");
    postgres
        .arg("-D")
        .arg(seen.join("data"))
        .stdout(Stdio::from(log.try_clone()?))
        .stderr(Stdio::from(log));
    postgres.spawn().context("could not start PostgreSQL")
}

impl Server {
    /// Creates a database cluster in a temporary folder and starts the server.
    ///
    /// # Errors
    /// Returns an error with the server's output if the server does not start.
    pub fn start(installation: &Installation, options: Options) -> Result<Self> {
        let (folder, seen) = installation.folder()?;
        let write = |name: &str, text: &str| -> Result<()> {
            let path = folder.path().join(name);
            fs::write(&path, text)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            installation.hand_over(&path)
        };
        write("password", &options.password)?;
        let mut initdb = installation.command("initdb");
        initdb.args([
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
            "-U",
            SUPERUSER,
        ]);
        initdb.arg("--pgdata").arg(seen.join("data")).arg("--pwfile").arg(seen.join("password"));
        let data = folder.path().join("data");
        create_or_copy(installation, &options.password, &data, || run(initdb))
            .context("could not create a PostgreSQL cluster")?;

        let port = free_port()?;
        let has_ipv6 = std::net::TcpListener::bind(("::1", 0)).is_ok();
        let addresses = if has_ipv6 { "127.0.0.1, ::1" } else { "127.0.0.1" };
        let mut configuration = format!(
            "listen_addresses = '{addresses}'\nport = {port}\n\
             unix_socket_directories = '{}'\nfsync = off\nfull_page_writes = off\n\
             max_wal_size = 64MB\nmin_wal_size = 32MB\nshared_buffers = 16MB\n\
             max_connections = 60\nlog_line_prefix = '%m [%p] '\nlog_connections = on\n\
             log_statement = all\nlog_min_duration_statement = 0\nlc_messages = 'C'\n",
            seen.display()
        );
        if let Some(certificates) = &options.certificates {
            write("data/server.crt", &certificates.certificate)?;
            write("data/server.key", &certificates.key)?;
            configuration.push_str("ssl = on\n");
        }
        configuration.push_str(&options.configuration);
        write("data/postgresql.auto.conf", &configuration)?;
        let rules = format!(
            "{}\nlocal all all scram-sha-256\nhost all all all scram-sha-256\n",
            options.access_rules
        );
        write("data/pg_hba.conf", &rules)?;

        File::create(folder.path().join("log"))?;
        let child = spawn(installation, &folder, &seen)?;
        let mut server =
            Self { port, options, folder, child, installation: installation.clone(), seen };
        server.wait(1)?;
        Ok(server)
    }

    /// Waits until the server has logged `times` times that it is ready.
    fn wait(&mut self, times: usize) -> Result<()> {
        self.wait_for("database system is ready to accept connections", times)
    }

    /// Waits until the log contains a text `times` times.
    fn wait_for(&mut self, text: &str, times: usize) -> Result<()> {
        wait_until("starting PostgreSQL", || {
            if let Some(status) = self.child.try_wait()? {
                bail!("PostgreSQL ended ({status}):\n{}", self.log()?);
            }
            Ok(self.log()?.matches(text).count() >= times)
        })
    }

    /// Restarts the server as a standby, which is read-only.
    ///
    /// # Errors
    /// Returns an error if the server does not start again.
    pub fn restart_as_standby(&mut self) -> Result<()> {
        let signal = self.folder.path().join("data/standby.signal");
        fs::write(&signal, "")?;
        self.installation.hand_over(&signal)?;
        self.child.kill()?;
        self.child.wait()?;
        std::thread::sleep(std::time::Duration::from_secs(1));
        self.child = spawn(&self.installation, &self.folder, &self.seen)?;
        self.wait_for("database system is ready to accept read", 1)
    }

    /// Kills the server, so that only the data on disk remains, and starts it again.
    ///
    /// # Errors
    /// Returns an error if the server does not start again.
    pub fn crash_and_restart(&mut self) -> Result<()> {
        let ready = self.log()?.matches("database system is ready to accept connections").count();
        self.child.kill()?;
        self.child.wait()?;
        // The processes of the sessions exit when they notice that the postmaster has ended.
        std::thread::sleep(std::time::Duration::from_secs(1));
        self.child = spawn(&self.installation, &self.folder, &self.seen)?;
        self.wait(ready + 1)
    }

    /// Returns everything that the server has logged.
    ///
    /// # Errors
    /// Returns an error if the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(self.log_file())?).into_owned())
    }

    /// Returns the path of the log.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Returns the number of logins that the server has rejected for a wrong password so far.
    ///
    /// # Errors
    /// Returns an error if the log cannot be read.
    pub fn failed_logins(&self) -> Result<usize> {
        Ok(self.log()?.matches("password authentication failed for user").count())
    }

    /// Logs in as a user. Verifies the server's certificate if the server has TLS.
    ///
    /// # Errors
    /// Returns an error if the login fails.
    pub async fn connect(
        &self,
        user: &str,
        password: &str,
        database: &str,
    ) -> sqlx::Result<PgConnection> {
        let options = self.login(user, password, database);
        let options = match &self.options.certificates {
            Some(certificates) => options
                .ssl_mode(PgSslMode::VerifyFull)
                .ssl_root_cert_from_pem(certificates.authority.clone().into_bytes()),
            None => options.ssl_mode(PgSslMode::Disable),
        };
        self.connect_by_proxy(options).await
    }

    /// Logs in over TLS without verifying the certificate, and closes the connection. This is the
    /// minimum that a client can do.
    ///
    /// # Errors
    /// Returns an error if the login fails.
    pub async fn greet(&self, user: &str, password: &str, database: &str) -> sqlx::Result<()> {
        let options = self.login(user, password, database).ssl_mode(PgSslMode::Require);
        self.connect_by_proxy(options).await?.close().await
    }

    async fn connect_by_proxy(&self, options: PgConnectOptions) -> sqlx::Result<PgConnection> {
        let shortcut =
            NodelayProxy::to("localhost", self.port, &format!(".s.PGSQL.{}", self.port)).await?;
        PgConnection::connect_with(&options.socket(shortcut.folder())).await
    }

    fn login(&self, user: &str, password: &str, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .port(self.port)
            .username(user)
            .password(password)
            .database(database)
            .disable_statement_logging()
    }

    /// Logs in as the superuser.
    ///
    /// # Errors
    /// Returns an error if the login fails.
    pub async fn superuser(&self, database: &str) -> sqlx::Result<PgConnection> {
        self.connect(SUPERUSER, &self.options.password, database).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // QUIT is an immediate shutdown, which is enough because the data is deleted.
        end(&mut self.child, "QUIT");
    }
}
