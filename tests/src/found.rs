//! Which servers a test run has.

use std::future::Future;
use std::ops::Deref;
use std::sync::OnceLock;

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Where a server is, and how its superuser logs in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Place {
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
    /// The authority of the server's certificate, in PEM; `None` when TLS is not used.
    pub authority: Option<String>,
}

impl Place {
    /// The server that a variable of the environment names, if it is set:
    /// `SCHEME://SUPERUSER:PASSWORD@HOST:PORT/?KEY=FILE`, where the file holds the authority of its
    /// certificate; without it, TLS is not used.
    ///
    /// # Errors
    /// When it is no such URL, or the file cannot be read.
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

/// The servers that `with-servers` has started, which it tells in a variable, or some of this
/// process's own.
///
/// # Errors
/// When they cannot be read, or do not start.
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

/// Two crates of a build may ask for a provider of cryptography, and neither for the other's.
pub fn use_one_tls_provider() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// Runs a test on every server.
///
/// # Panics
/// When it fails on one, or there is none.
pub async fn run_on_each<T: Deref<Target = Place>, F: Future<Output = Result<()>>>(
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
