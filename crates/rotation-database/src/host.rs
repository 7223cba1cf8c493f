//! Comparison and formatting of the host names in secrets.

use std::net::IpAddr;
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

/// Returns `true` if two host names are the same. The comparison ignores letter case, a final dot
/// and the brackets around an IPv6 address.
pub(crate) fn same(one: &str, other: &str) -> bool {
    bare(one).eq_ignore_ascii_case(bare(other))
}

/// Returns `true` if two hosts are the same machine: they have the same name, or their names
/// resolve to a common address (for example because of a CNAME).
pub(crate) async fn is_same_machine(one: &str, other: &str) -> bool {
    if same(one, other) {
        return true;
    }
    let (one, other) = tokio::join!(addresses(one), addresses(other));
    one.iter().any(|address| other.contains(address))
}

async fn addresses(host: &str) -> Vec<IpAddr> {
    // The timeout is short. A name that does not resolve counts as another machine.
    let found = timeout(Duration::from_secs(2), lookup_host((bare(host), 0))).await;
    found.ok().and_then(Result::ok).into_iter().flatten().map(|address| address.ip()).collect()
}

/// Returns the host in the form for a resolver or a TLS certificate check: without brackets and
/// final dot.
pub(crate) fn bare(host: &str) -> &str {
    let host = host.trim();
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host)
}

/// Returns `host:port`, with brackets around an IPv6 address.
pub fn endpoint(host: &str, port: u16) -> String {
    let host = bare(host);
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_host_ignores_spelling() {
        assert!(same("DB.example.com.", "db.example.com"));
        assert!(same("[::1]", "::1"));
        assert!(!same("db.example.com", "db2.example.com"));
        assert_eq!(endpoint("::1", 5432), "[::1]:5432");
    }
}
