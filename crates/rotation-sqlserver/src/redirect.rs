//! The redirect of a client to another server.
//!
//! The gateway of Azure SQL Database answers a login with the address of the worker that has the
//! database ([connection policy][policy]). The address changes whenever the database moves, so it
//! must not be stored in the secret: the function follows the redirect at each login.
//!
//! [policy]: https://learn.microsoft.com/azure/azure-sql/database/connectivity-connection-policy

use std::time::Duration;

use rotation_database::{LoginError, endpoint};

/// The timeout for a connection to the other server. It ends before the timeout of the whole login,
/// so that the error names the other server.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The server to which the client is redirected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Redirect {
    /// The name that the certificate of the other server must have.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The name of an instance, which the client sends back in its first packet.
    pub(crate) instance: Option<String>,
}

impl Redirect {
    /// Reads the address. `server` is a host, or a host and an instance with a backslash between
    /// them.
    pub(crate) fn to(server: &str, port: u16) -> Self {
        let (host, instance) = match server.split_once('\\') {
            Some((host, instance)) => (host, Some(instance.to_owned())),
            None => (server, None),
        };
        Self { host: host.to_owned(), port, instance }
    }

    /// Returns the error of a login to the other server, with its address. The errors about the
    /// account do not depend on the address.
    pub(crate) fn explain(&self, cause: LoginError) -> LoginError {
        match cause {
            LoginError::DnsFailed { .. }
            | LoginError::NoListener { .. }
            | LoginError::ConnectTimeout { .. }
            | LoginError::Network { .. }
            | LoginError::TlsNotOffered { .. }
            | LoginError::TlsUntrusted { .. }
            | LoginError::TlsWrongName { .. }
            | LoginError::TlsExpired { .. }
            | LoginError::Tls { .. }
            | LoginError::Protocol { .. } => {
                LoginError::Redirected { target: self.to_string(), cause: Box::new(cause) }
            }
            cause => cause,
        }
    }
}

impl std::fmt::Display for Redirect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&endpoint(&self.host, self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instance_is_not_part_of_host() {
        let plain = Redirect::to("worker.example.com", 11_003);
        assert_eq!((plain.host.as_str(), plain.instance.as_deref()), ("worker.example.com", None));
        let named = Redirect::to("worker.example.com\\f00d", 1433);
        assert_eq!(named.host, "worker.example.com");
        assert_eq!(named.instance.as_deref(), Some("f00d"));
        assert_eq!(named.to_string(), "worker.example.com:1433");
    }

    #[test]
    fn only_errors_of_connection_name_other_server() {
        let redirect = Redirect::to("worker", 11_003);
        let refused = LoginError::Refused { message: "no".into() };
        assert_eq!(redirect.explain(refused.clone()), refused);
        let silent = LoginError::ConnectTimeout { seconds: 3 };
        assert!(matches!(redirect.explain(silent), LoginError::Redirected { .. }));
    }
}
