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
    /// The host of the writer. A server that is being created has none.
    pub(crate) writer: Option<String>,
    pub(crate) port: Option<u16>,
    /// The engine name of the API, such as `aurora-mysql` or `sqlserver-ee`.
    pub(crate) engine: Option<String>,
    /// The other hosts with the same data: reader endpoints, custom endpoints, instances and read
    /// replicas.
    pub(crate) readers: Vec<String>,
}

impl RdsServer {
    /// Returns `true` if a host belongs to the server.
    pub(crate) async fn has(&self, host: &str) -> bool {
        for own in self.writer.iter().chain(&self.readers) {
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
    is_in_domain_of_rds(host) || std::env::var_os("AWS_ENDPOINT_URL_RDS").is_some()
}

/// Returns `true` if a host name is that of an endpoint of Amazon RDS Proxy, such as
/// `app.proxy-abcdefghijkl.eu-west-1.rds.amazonaws.com` or
/// `reports.endpoint.proxy-abcdefghijkl.eu-west-1.rds.amazonaws.com`.
///
/// The first label does not count, because an instance can have any name.
pub(crate) fn is_proxy(host: &str) -> bool {
    let labels = host::bare(host).to_ascii_lowercase();
    is_in_domain_of_rds(host) && labels.split('.').skip(1).any(|label| label.starts_with("proxy-"))
}

fn is_in_domain_of_rds(host: &str) -> bool {
    let host = host::bare(host).to_ascii_lowercase();
    host.ends_with(".rds.amazonaws.com")
        || (host.contains(".rds.") && host.ends_with(".amazonaws.com.cn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_rds_proxy_are_recognized_by_name() {
        for host in [
            "app.proxy-abcdefghijkl.eu-west-1.rds.amazonaws.com",
            "APP.Proxy-abcdefghijkl.eu-west-1.rds.amazonaws.com.",
            "reports.endpoint.proxy-abcdefghijkl.eu-west-1.rds.amazonaws.com",
            "app.proxy-abcdefghijkl.rds.cn-north-1.amazonaws.com.cn",
        ] {
            assert!(is_proxy(host), "{host}");
        }
        for host in [
            "proxy-1.abcdefghijkl.eu-west-1.rds.amazonaws.com",
            "app.cluster-abcdefghijkl.eu-west-1.rds.amazonaws.com",
            "app.proxy-abcdefghijkl.example.com",
            "proxy-abcdefghijkl",
        ] {
            assert!(!is_proxy(host), "{host}");
        }
    }
}
