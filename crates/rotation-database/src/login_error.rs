//! The errors of a login, on which the decisions of the strategies depend.

mod meaning;
mod remedy;

use std::io;

use rotation::mask;
use rustls::CertificateError;

/// The reason why a login attempt failed. `message` is the server's or the driver's message,
/// redacted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The server rejects the user or the password. Only in this case may another password help.
    #[error("user or password rejected: {message}")]
    Refused {
        /// The message with which the server rejects the login, redacted.
        message: String,
    },
    /// The account is locked.
    #[error("the account is locked: {message}")]
    Locked {
        /// The message with which the server reports the lock, redacted.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The account or its password has expired.
    #[error("the account or its password has expired: {message}")]
    Expired {
        /// The message of the server, redacted, or the setting that shows the expiry.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The account exists but is not allowed to log in.
    #[error("the account is not allowed to log in: {message}")]
    NotPermitted {
        /// The message with which the server denies the login, redacted.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The server's access rules reject the client's address, user or kind of connection.
    #[error("the server's access rules reject this client: {message}")]
    ClientRejected {
        /// The message of the server, redacted, or the rule in the function's words.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The database in the secret does not exist.
    #[error("the database does not exist: {message}")]
    NoSuchDatabase {
        /// The message of the server, redacted, or the reason why the name is invalid.
        message: String,
    },
    /// The user is not allowed to connect to the database in the secret.
    #[error("the user is not allowed to connect to the database: {message}")]
    DatabaseDenied {
        /// The message with which the server denies access to the database, redacted.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The server runs the session as another account than that of the user.
    #[error(
        "the server runs the session of {user} as the account {account}, which does not use the \
         secret's password"
    )]
    OtherAccount {
        /// The user that has logged in.
        user: String,
        /// The account, as the server names it.
        account: String,
    },
    /// The connection limit of the server or the user is reached.
    #[error("the server has too many connections: {message}")]
    TooManyConnections {
        /// The message of the server about the limit, redacted.
        message: String,
    },
    /// The server is starting, stopping or recovering.
    #[error("the server does not accept logins at the moment: {message}")]
    NotReady {
        /// The message of the server about its state, redacted.
        message: String,
    },
    /// The host name does not resolve.
    #[error("the host name does not resolve: {message}")]
    DnsFailed {
        /// The message of the resolver.
        message: String,
    },
    /// Nothing listens on the port.
    #[error("no server listens on the port: {message}")]
    NoListener {
        /// The message of the operating system.
        message: String,
    },
    /// The TCP connection could not be opened in time.
    #[error("could not connect within {seconds} s: the server did not respond")]
    ConnectTimeout {
        /// The timeout, in seconds.
        seconds: u64,
    },
    /// The server accepts the connection but does not respond.
    #[error("the server accepted the connection but did not respond within {seconds} s")]
    Silent {
        /// The timeout, in seconds.
        seconds: u64,
    },
    /// The connection was closed, or the network reported an error.
    #[error("the connection failed: {message}")]
    Network {
        /// The message of the operating system or the driver.
        message: String,
    },
    /// The server does not offer TLS.
    #[error("the server does not offer TLS")]
    TlsNotOffered {
        /// `true` if the engine's protocol does not send the password in cleartext without TLS. If
        /// it does, `TLS_MODE=prefer` has no effect.
        keeps_password: bool,
    },
    /// The server's listener has redirected a verified connection to an address without TLS.
    #[error(
        "the connection is not encrypted: the server's listener redirected it, and the session \
         uses {protocol}"
    )]
    TlsLost {
        /// The protocol that the server reports.
        protocol: String,
    },
    /// The server has redirected the client to another server, to which the connection failed.
    #[error("the server redirected the client to {target}, and there: {cause}")]
    Redirected {
        /// The address of the other server.
        target: String,
        /// The error of the connection to the other server.
        cause: Box<LoginError>,
    },
    /// The server to which the client was redirected has redirected it again.
    #[error("the server redirected the client to {first}, which redirected it again to {second}")]
    RedirectedAgain {
        /// The address of the server that has redirected the client again.
        first: String,
        /// The address that was not followed.
        second: String,
    },
    /// The server's certificate was not issued by a trusted CA.
    #[error("the server's certificate is not trusted: {message}")]
    TlsUntrusted {
        /// The message of the TLS library.
        message: String,
    },
    /// The server's certificate is for another name.
    #[error("the server's certificate is for another host name: {message}")]
    TlsWrongName {
        /// The message of the TLS library.
        message: String,
    },
    /// The server's certificate has expired, or is not valid yet.
    #[error("the server's certificate has expired or is not valid yet: {message}")]
    TlsExpired {
        /// The message of the TLS library.
        message: String,
    },
    /// Any other TLS error.
    #[error("the TLS handshake failed: {message}")]
    Tls {
        /// The message of the TLS library.
        message: String,
    },
    /// The server requests a password that it, or an attacker in its place, could read.
    #[error("without TLS, the server asks for {asked}")]
    CleartextPasswordRequested {
        /// The form of the password that the server requests.
        asked: &'static str,
        /// The next action for the operator, in complete sentences.
        remedy: &'static str,
    },
    /// The server has not authenticated itself, so it may be an attacker.
    #[error("the server did not prove that it knows the user's password: {message}")]
    ServerNotAuthenticated {
        /// The response that the server sent instead.
        message: String,
    },
    /// The server requires an authentication method that is not supported.
    #[error("the server requires something that is not supported: {message}")]
    Unsupported {
        /// The unsupported requirement, redacted, in the words of the server or the function.
        message: String,
    },
    /// The release of the server is too old.
    #[error(
        "the server's release {release} is not supported: the oldest supported one is {oldest}"
    )]
    ReleaseUnsupported {
        /// The release, as the server or the driver reports it.
        release: String,
        /// The oldest supported release.
        oldest: &'static str,
    },
    /// The driver needs a temporary file or socket, which could not be created.
    #[error("could not create a file in {folder}: {message}")]
    TemporaryFolder {
        /// The directory on the machine of the function.
        folder: String,
        /// The message of the operating system.
        message: String,
    },
    /// The response violates the protocol, so the other side may not be a server of this engine.
    #[error("protocol error: {message}")]
    Protocol {
        /// The way in which the response violates the protocol, redacted.
        message: String,
    },
    /// A query that is part of the login failed.
    #[error("{message}")]
    Query {
        /// The identifier of the error of the query.
        error_type: &'static str,
        /// The message of the error, in which passwords are redacted.
        message: String,
        /// The next action for the operator, in complete sentences.
        remedy: String,
    },
    /// Any other error that the server reports.
    #[error("{code}: {message}")]
    Other {
        /// The server's error code.
        code: String,
        /// The message of the server or of a failed query, in which passwords are redacted.
        message: String,
    },
}

impl LoginError {
    /// Classifies a connection error, including a TLS error inside it.
    pub fn from_io(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::from_tls(tls);
        }
        let message = message(error.to_string());
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::NoListener { message },
            _ => Self::Network { message },
        }
    }

    /// Classifies a TLS error.
    pub fn from_tls(error: &rustls::Error) -> Self {
        let message = message(error.to_string());
        match error {
            rustls::Error::InvalidCertificate(certificate) => match certificate {
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => Self::TlsWrongName { message },
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. } => Self::TlsExpired { message },
                _ => Self::TlsUntrusted { message },
            },
            _ => Self::Tls { message },
        }
    }

    /// Classifies a certificate error by the message of rustls's `CertificateError`, for drivers
    /// that return only the message. The tests fail if rustls changes these messages.
    pub fn from_certificate_message(words: &str) -> Self {
        let message = message(words.to_owned());
        if words.starts_with("certificate not valid for name") || words == "NotValidForName" {
            Self::TlsWrongName { message }
        } else if words.starts_with("certificate expired")
            || words.starts_with("certificate not valid yet")
        {
            Self::TlsExpired { message }
        } else {
            Self::TlsUntrusted { message }
        }
    }

    /// Classifies an error by the first TLS or I/O error among its causes.
    pub fn from_any(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(tls) = error.downcast_ref::<rustls::Error>() {
                return Self::from_tls(tls);
            }
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return Self::from_io(io);
            }
            cause = error.source();
        }
        Self::protocol(error.to_string())
    }

    /// Creates the error for a temporary file that could not be created.
    pub fn no_file(error: &io::Error) -> Self {
        Self::TemporaryFolder {
            folder: std::env::temp_dir().display().to_string(),
            message: error.to_string(),
        }
    }

    /// Creates the error for a response that violates the protocol.
    pub fn protocol(words: impl Into<String>) -> Self {
        Self::Protocol { message: message(words.into()) }
    }

    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "CredentialsRefused",
            Self::Locked { .. } => "AccountLocked",
            Self::Expired { .. } => "AccountExpired",
            Self::NotPermitted { .. } => "LoginNotPermitted",
            Self::ClientRejected { .. } => "ClientRejected",
            Self::NoSuchDatabase { .. } => "DatabaseNotFound",
            Self::DatabaseDenied { .. } => "DatabaseAccessDenied",
            Self::OtherAccount { .. } => "NeedsDecision",
            Self::TooManyConnections { .. } => "TooManyConnections",
            Self::NotReady { .. } => "DatabaseNotReady",
            Self::DnsFailed { .. } => "HostNameNotFound",
            Self::NoListener { .. } => "ConnectionRefused",
            Self::ConnectTimeout { .. } => "ConnectTimeout",
            Self::Silent { .. } => "DatabaseSilent",
            Self::Network { .. } => "ConnectionFailed",
            Self::TlsNotOffered { .. } | Self::TlsLost { .. } => "TlsNotOffered",
            Self::Redirected { cause, .. } => cause.error_type(),
            Self::RedirectedAgain { .. } => "RedirectedAgain",
            Self::TlsUntrusted { .. } => "TlsUntrustedAuthority",
            Self::TlsWrongName { .. } => "TlsWrongName",
            Self::TlsExpired { .. } => "TlsCertificateExpired",
            Self::Tls { .. } => "TlsFailed",
            Self::CleartextPasswordRequested { .. } => "ReadablePasswordRefused",
            Self::ServerNotAuthenticated { .. } => "ServerNotProven",
            Self::Unsupported { .. } => "AuthenticationUnsupported",
            Self::ReleaseUnsupported { .. } => "ReleaseUnsupported",
            Self::TemporaryFolder { .. } => "TemporaryFolderUnusable",
            Self::Query { error_type, .. } => error_type,
            Self::Protocol { .. } | Self::Other { .. } => "LoginFailed",
        }
    }
}

/// Redacts a message of a server or a library.
fn message(text: String) -> String {
    mask(&text).into_owned()
}
