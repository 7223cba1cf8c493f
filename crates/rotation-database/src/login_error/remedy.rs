//! The next action of the operator for each error.

use rotation::operator::store;

use super::LoginError;
use crate::host::endpoint;

impl LoginError {
    pub(crate) fn remedy(&self, host: &str, port: u16) -> String {
        let endpoint = endpoint(host, port);
        match self {
            Self::Refused { .. } => {
                format!("Store the password that the database accepts: {}.", store())
            }
            Self::Locked { remedy, .. }
            | Self::Expired { remedy, .. }
            | Self::NotPermitted { remedy, .. }
            | Self::ClientRejected { remedy, .. }
            | Self::DatabaseDenied { remedy, .. } => remedy.clone(),
            Self::NoSuchDatabase { .. } => "Correct \"dbname\" in the secret.".into(),
            Self::OtherAccount { user, .. } => format!(
                "Find out what maps the login of {user} to another account: an anonymous account \
                 or a proxy user of MySQL (SELECT USER(), CURRENT_USER() shows both), a directory \
                 service, or a pooler or a proxy in front of the server. Then set \"username\" in \
                 the secret to a user that logs in as itself."
            ),
            Self::TooManyConnections { .. } => {
                "If the error is temporary, wait: Secrets Manager retries the rotation. Otherwise \
                 raise the connection limit of the server or the user."
                    .into()
            }
            Self::NotReady { .. } => {
                "Wait until the server is available: Secrets Manager retries the rotation.".into()
            }
            Self::DnsFailed { .. } => format!(
                "Correct \"host\" in the secret ({host}), or configure the function's VPC to \
                 resolve it (private hosted zone, DNS settings)."
            ),
            Self::NoListener { .. } => format!(
                "Correct \"host\" and \"port\" in the secret ({endpoint}), and check that the \
                 server is running."
            ),
            Self::ConnectTimeout { .. } => format!(
                "Allow the function to connect to {endpoint}: check the routes of its subnets, the \
                 outbound rules of its security group, and the inbound rules of the database's \
                 security group."
            ),
            Self::Silent { .. } => format!(
                "Check what listens on {endpoint} and whether it is healthy. Possible causes are a \
                 proxy that hangs because it cannot reach its server, a server for another \
                 protocol, and a server that is out of resources."
            ),
            Self::Network { .. } => {
                format!("Check the network path to {endpoint}, and the server's log.")
            }
            Self::TlsNotOffered { keeps_password: false } => "Turn TLS on at the server. Or, if \
                you trust the network with the cleartext password, set \"ssl\": false in the \
                secret. (TLS_MODE=prefer does not help, because the password would be sent in \
                cleartext.)"
                .into(),
            Self::TlsNotOffered { keeps_password: true } => "Turn TLS on at the server. Or allow \
                an unencrypted connection: set \"ssl\": false in the secret (never use TLS), or \
                TLS_MODE=prefer on the function (use TLS if the server offers it)."
                .into(),
            Self::TlsLost { .. } => "Configure the listener to redirect only to TCPS addresses: \
                give every node of the database a TCPS endpoint (LOCAL_LISTENER, \
                LISTENER_NETWORKS), and set \"port\" in the secret to the listener's TCPS port. \
                Or, if you trust the network, set \"ssl\": false and a port without TLS in the \
                secret."
                .into(),
            Self::Redirected { target, cause } => redirect_remedy(target, cause),
            Self::RedirectedAgain { first, .. } => format!(
                "Set the server's connection policy to Proxy, or find out why {first} does not \
                 have the database. Leave \"host\" and \"port\" in the secret as they are."
            ),
            Self::TlsUntrusted { .. } => "If the server uses your own CA, set TLS_CA_FILE on the \
                function to a PEM file with its CA certificate. Otherwise check for an attacker \
                between the function and the server."
                .into(),
            Self::TlsWrongName { .. } => format!(
                "Set \"host\" in the secret to a name in the server's certificate (for RDS, the \
                 instance's or cluster's own endpoint, not a CNAME). It is now {host}."
            ),
            Self::TlsExpired { .. } => "Renew the server's certificate (for RDS, apply the new CA \
                in the instance's settings)."
                .into(),
            Self::Tls { .. } => "Check the TLS versions and cipher suites that the server allows. \
                The function needs TLS 1.3, or TLS 1.2 with an ECDHE cipher suite and AES-GCM or \
                ChaCha20-Poly1305. For the SSL option of RDS for Oracle, set SQLNET.SSL_VERSION \
                to 1.2 and SQLNET.CIPHER_SUITE to TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, because \
                its default suite is not among them."
                .into(),
            Self::CleartextPasswordRequested { remedy, .. } => (*remedy).into(),
            Self::Query { remedy, .. } => remedy.clone(),
            Self::ServerNotAuthenticated { .. } => format!(
                "First find out what answers on {endpoint}: an attacker may be between the \
                 function and the server. Without TLS, a server that accepts logins without a \
                 password (trust in pg_hba.conf) causes the same error; turn TLS on."
            ),
            Self::Unsupported { .. } => {
                "Configure the server or the account to use a supported authentication method."
                    .into()
            }
            Self::ReleaseUnsupported { oldest, .. } => format!(
                "Upgrade the server to release {oldest} or newer. Until then, turn off the \
                 rotation of the secret (aws secretsmanager cancel-rotate-secret --secret-id \
                 SECRET), and change the password yourself."
            ),
            Self::TemporaryFolder { folder, .. } => format!(
                "Free space in {folder}, or allow the function to write there. TMPDIR can name \
                 another directory."
            ),
            Self::Protocol { .. } => format!(
                "Check what listens on {endpoint}: it may be another kind of server, or a proxy \
                 that does not forward all data."
            ),
            Self::Other { .. } => {
                "See the server's message above, and the log of the server, or of the pooler or \
                 proxy in front of it."
                    .into()
            }
        }
    }
}

/// Returns the remedy for a failed connection to the server to which the client was redirected. Its
/// address is not stored in the secret, because it changes whenever the database moves.
fn redirect_remedy(target: &str, cause: &LoginError) -> String {
    let leave = "Leave \"host\" and \"port\" in the secret as they are: the address changes";
    match cause {
        LoginError::DnsFailed { .. }
        | LoginError::NoListener { .. }
        | LoginError::ConnectTimeout { .. }
        | LoginError::Network { .. } => format!(
            "Allow the function to resolve and to connect to {target}, too (a server of Azure SQL \
             Database redirects its clients to ports 11000 to 11999 of its region). Or set the \
             server's connection policy to Proxy. {leave}."
        ),
        _ => format!(
            "Find out what answers on {target}: an attacker may be between the function and the \
             server. The certificate must be for this name and from a trusted CA. Or set the \
             server's connection policy to Proxy. {leave}."
        ),
    }
}
