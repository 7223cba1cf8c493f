//! Discovery of the database servers of a test run.

use std::future::Future;
use std::ops::Deref;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The address of a server, and the credentials of its superuser.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerAddress {
    /// The name of the server in messages.
    pub label: String,
    /// The host name or address of the server.
    pub host: String,
    /// The TCP port of the server.
    pub port: u16,
    /// The name of a superuser.
    pub superuser: String,
    /// The password of that superuser.
    pub password: String,
    /// The CA certificate of the server, in PEM; `None` if the connection does not use TLS.
    pub authority: Option<String>,
}

impl ServerAddress {
    /// Returns the server that an environment variable names, if the variable is set. The format is
    /// `SCHEME://SUPERUSER:PASSWORD@HOST:PORT/?KEY=FILE`, where the file holds the CA certificate
    /// of the server. Without the file, the connection does not use TLS.
    ///
    /// # Errors
    /// Returns an error if the variable holds no such URL, or the file cannot be read.
    pub fn by_url(variable: &str, default_port: u16, key: &str) -> Result<Option<Self>> {
        let Ok(url) = std::env::var(variable) else { return Ok(None) };
        let url = url::Url::parse(&url).with_context(|| variable.to_owned())?;
        let file =
            url.query_pairs().find(|(name, _)| name == key).map(|(_, value)| value.into_owned());
        Ok(Some(Self {
            label: variable.to_owned(),
            host: url.host_str().with_context(|| format!("{variable} names no host"))?.to_owned(),
            port: url.port().unwrap_or(default_port),
            superuser: url.username().to_owned(),
            password: url.password().unwrap_or_default().to_owned(),
            authority: file.map(std::fs::read_to_string).transpose()?,
        }))
    }
}

/// Returns the servers that `with-servers` has started and passed in an environment variable. If
/// the variable is not set, starts servers of this process and returns them.
///
/// # Errors
/// Returns an error if the variable cannot be parsed, or a server does not start.
pub async fn started<A: DeserializeOwned, S>(
    variable: &str,
    own: &OnceLock<Vec<S>>,
    start: impl Future<Output = Result<Vec<S>>>,
    address: impl Fn(&S) -> A,
) -> Result<Vec<A>> {
    if let Ok(json) = std::env::var(variable) {
        return Ok(serde_json::from_str(&json)?);
    }
    if own.get().is_none() {
        let _ = own.set(start.await?);
    }
    Ok(own.get().into_iter().flatten().map(address).collect())
}

/// Installs aws-lc-rs as the process's TLS provider. Two crates of a build may each enable a
/// different provider, and then rustls panics unless one is installed.
pub fn use_one_tls_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Runs a test on every server.
///
/// # Panics
/// Panics if the test fails on a server, or if there is no server.
pub async fn run_on_each<T: Deref<Target = ServerAddress>, F: Future<Output = Result<()>>>(
    engine: &str,
    targets: Result<Vec<T>>,
    test: impl Fn(T) -> F,
) {
    use_one_tls_provider();
    let targets = match targets {
        Ok(targets) => targets,
        Err(error) => panic!("{error:?}"),
    };
    assert!(!targets.is_empty(), "there is no {engine}: sh tests/setup.sh test");
    for target in targets {
        let label = target.label.clone();
        println!("on {label}");
        if let Err(error) = test(target).await {
            panic!("on {label}: {error:?}");
        }
    }
}
