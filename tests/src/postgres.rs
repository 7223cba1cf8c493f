//! The PostgreSQL servers of a test run.

use std::fs::File;
use std::future::Future;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use rotation_local::throwaway::postgres::{Options, Server, find};
use rotation_local::throwaway::{Certificates, Installation};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection};

/// Tells the tests which servers have been started for them.
pub const VARIABLE: &str = "ROTATION_TEST_POSTGRES";

/// A server to test against.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// For messages.
    pub label: String,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// A superuser.
    pub superuser: String,
    /// Its password.
    pub password: String,
    /// The authority of the server's certificate, in PEM; `None` when the server has no TLS.
    pub authority: Option<String>,
    /// The server's log, when it is at hand.
    pub log: Option<PathBuf>,
    /// Where the server's programs are, for more servers like it.
    pub installation: Option<Installation>,
}

/// A target that this process has started.
#[derive(Debug)]
pub struct Started {
    /// Where it is.
    pub target: Target,
    _server: Server,
}

/// A superuser password for throw-away servers.
pub const SUPERUSER_PASSWORD: &str = "superuser-of-the-tests";

/// The names that the throw-away servers' certificates hold.
pub const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Usual options of a throw-away server.
///
/// # Errors
/// When no certificate can be made.
pub fn options() -> Result<Options> {
    Ok(Options {
        certificates: Some(Certificates::for_names(&NAMES)?),
        configuration: String::new(),
        access_rules: String::new(),
        password: SUPERUSER_PASSWORD.to_owned(),
    })
}

/// Starts one server of each version that is installed.
///
/// # Errors
/// When one does not start.
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

/// This system's server, and the one in the sid root.
fn installations() -> Vec<(String, Installation)> {
    let here = find().map(|installation| ("PostgreSQL of this system".to_owned(), installation));
    let sid = std::env::var_os("ROTATION_SERVERS").map(|root| PathBuf::from(root).join("sid"));
    let sid = sid.filter(|root| root.join(".complete").exists()).and_then(|root| {
        let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).ok()?;
        let version = versions.flatten().map(|entry| entry.file_name()).max()?;
        let bin = PathBuf::from("/usr/lib/postgresql").join(&version).join("bin");
        Some((format!("PostgreSQL {} of Debian sid", version.display()), Installation::in_root(root, bin)))
    });
    here.into_iter().chain(sid).collect()
}

/// The servers of this run: those of `with-servers`, the one of `POSTGRES_TEST_URL`, or some of our own.
///
/// # Panics
/// When there are none.
pub fn targets() -> Vec<Target> {
    static OWN: OnceLock<Vec<Started>> = OnceLock::new();
    let targets = || -> Result<Vec<Target>> {
        if let Ok(json) = std::env::var(VARIABLE)
            && json != "[]"
        {
            return Ok(serde_json::from_str(&json)?);
        }
        if let Ok(url) = std::env::var("POSTGRES_TEST_URL") {
            return Ok(vec![Target::from_url(&url)?]);
        }
        if OWN.get().is_none() {
            let started = start_all()?;
            let _ = OWN.set(started);
        }
        Ok(OWN.get().into_iter().flatten().map(|started| started.target.clone()).collect())
    };
    match targets() {
        Ok(targets) => targets,
        Err(error) => panic!("{error:?}"),
    }
}

/// Runs a test on every server.
///
/// # Panics
/// When it fails on one.
pub async fn on_each<F: Future<Output = Result<()>>>(test: impl Fn(Target) -> F) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    for target in targets() {
        let label = target.label.clone();
        println!("on {label}");
        if let Err(error) = test(target).await {
            panic!("on {label}: {error:?}");
        }
    }
}

impl Target {
    /// A server that was started here.
    pub fn of(server: &Server, label: impl Into<String>, installation: Option<Installation>) -> Self {
        Self {
            label: label.into(),
            host: "localhost".into(),
            port: server.port,
            superuser: rotation_local::throwaway::postgres::SUPERUSER.into(),
            password: server.options.password.clone(),
            authority: server
                .options
                .certificates
                .as_ref()
                .map(|certificates| certificates.authority.clone()),
            log: Some(server.log_file()),
            installation,
        }
    }

    /// `postgres://SUPERUSER:PASSWORD@HOST:PORT/?sslrootcert=FILE`; without the file, TLS is not used.
    fn from_url(url: &str) -> Result<Self> {
        let url = url::Url::parse(url).context("POSTGRES_TEST_URL")?;
        let file =
            url.query_pairs().find(|(key, _)| key == "sslrootcert").map(|(_, value)| value.into_owned());
        Ok(Self {
            label: "POSTGRES_TEST_URL".into(),
            host: url.host_str().context("POSTGRES_TEST_URL names no host")?.to_owned(),
            port: url.port().unwrap_or(5432),
            superuser: url.username().to_owned(),
            password: url.password().unwrap_or_default().to_owned(),
            authority: file.map(std::fs::read_to_string).transpose()?,
            log: None,
            installation: None,
        })
    }

    /// Logs in as somebody.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn connect(&self, user: &str, password: &str, database: &str) -> sqlx::Result<PgConnection> {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .username(user)
            .password(password)
            .database(database)
            .statement_cache_capacity(0)
            .disable_statement_logging();
        let options = match &self.authority {
            Some(authority) => {
                options.ssl_mode(PgSslMode::VerifyFull).ssl_root_cert_from_pem(authority.clone().into_bytes())
            }
            None => options.ssl_mode(PgSslMode::Disable),
        };
        PgConnection::connect_with(&options).await
    }

    /// Logs in as the superuser.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn admin(&self, database: &str) -> Result<PgConnection> {
        Ok(self.connect(&self.superuser, &self.password, database).await?)
    }

    /// The length of the server's log so far, in bytes; 0 when it is not at hand.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log_length(&self) -> Result<u64> {
        Ok(self.log.as_ref().map(std::fs::metadata).transpose()?.map_or(0, |meta| meta.len()))
    }

    /// The server's log since it had that length; empty when it is not at hand.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn log_since(&self, length: u64) -> Result<String> {
        let Some(path) = &self.log else { return Ok(String::new()) };
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(length))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// 150004, 180001, …
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn version(&self) -> Result<u32> {
        Ok(self.admin("postgres").await?.server_version_num().unwrap_or(0))
    }

    /// Another server of the same version with other options.
    ///
    /// # Errors
    /// When it does not start. `None` when the programs are not at hand.
    pub fn another(&self, options: Options) -> Result<Option<(Server, Self)>> {
        let Some(installation) = &self.installation else {
            println!("skipped: the server's programs are not at hand");
            return Ok(None);
        };
        let server = Server::start(installation, options)?;
        let target = Self::of(&server, format!("another {}", self.label), Some(installation.clone()));
        Ok(Some((server, target)))
    }
}
