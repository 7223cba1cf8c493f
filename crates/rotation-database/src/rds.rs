//! Lookups in the RDS API: the writer endpoint of a server and its reader endpoints.
//!
//! Identifiers come from the API, never from the first label of a host name, because any host can
//! have a name such as `db-1`.

#[cfg(feature = "rds")]
mod client;
#[cfg(not(feature = "rds"))]
mod no_client;

use crate::host;

#[cfg(feature = "rds")]
pub(crate) use client::Rds;
#[cfg(not(feature = "rds"))]
pub(crate) use no_client::Rds;

/// A server that RDS runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RdsServer {
    /// The host of the writer.
    pub(crate) writer: String,
    pub(crate) port: Option<u16>,
    /// The engine name of the API, such as `aurora-mysql` or `sqlserver-ee`.
    pub(crate) engine: String,
    /// The other hosts with the same data: reader endpoints, custom endpoints, instances and read
    /// replicas.
    pub(crate) readers: Vec<String>,
}

impl RdsServer {
    /// Returns `true` if a host belongs to the server.
    pub(crate) async fn has(&self, host: &str) -> bool {
        for own in std::iter::once(&self.writer).chain(&self.readers) {
            if host::is_same_machine(own, host).await {
                return true;
            }
        }
        false
    }
}

/// Returns `true` if RDS can have a server with this host name. If the environment sets another RDS
/// endpoint, every host is possible.
pub(crate) fn may_be_rds_host(host: &str) -> bool {
    let host = host::bare(host).to_ascii_lowercase();
    host.ends_with(".rds.amazonaws.com")
        || (host.contains(".rds.") && host.ends_with(".amazonaws.com.cn"))
        || std::env::var_os("AWS_ENDPOINT_URL_RDS").is_some()
}
