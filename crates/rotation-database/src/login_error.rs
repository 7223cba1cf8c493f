//! Why a login failed: the heart of a strategy's decisions.

use std::io;

use rotation::mask;
use rotation::operator::store;
use rustls::CertificateError;

use crate::engine_error::EngineError;
use crate::host::endpoint;

/// One login attempt that failed. `message` is the server's or the driver's message, masked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// User or password are wrong: the only case in which another password may help.
    #[error("refused: {message}")]
    Refused {
        /// The server's message.
        message: String,
    },
    /// The account is locked.
    #[error("the account is locked: {message}")]
    Locked {
        /// The server's message.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The account or its password has expired.
    #[error("the account or its password has expired: {message}")]
    Expired {
        /// The server's message.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The account exists and may not log in.
    #[error("the account may not log in: {message}")]
    NotPermitted {
        /// The server's message.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The server's access rules reject the client's address, user or kind of connection.
    #[error("the server's access rules reject this client: {message}")]
    ClientRejected {
        /// The server's message.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The database in the secret does not exist.
    #[error("the database does not exist: {message}")]
    NoSuchDatabase {
        /// The server's message.
        message: String,
    },
    /// The user may not enter the database in the secret.
    #[error("the user may not connect to the database: {message}")]
    DatabaseDenied {
        /// The server's message.
        message: String,
        /// The remedy for an administrator.
        remedy: String,
    },
    /// The server runs the session as another account than that of the user.
    #[error(
        "the server runs the session of {user} as the account {account}, whose password is not the secret's"
    )]
    OtherAccount {
        /// The user that has logged in.
        user: String,
        /// The account, as the server names it.
        account: String,
    },
    /// The server has no connection to spare.
    #[error("the server has too many connections: {message}")]
    TooManyConnections {
        /// The server's message.
        message: String,
    },
    /// The server is starting, stopping or recovering.
    #[error("the server takes no logins at the moment: {message}")]
    NotReady {
        /// The server's message.
        message: String,
    },
    /// The host name does not resolve.
    #[error("the host name does not resolve: {message}")]
    NameNotFound {
        /// The resolver's words.
        message: String,
    },
    /// Nothing listens on the port.
    #[error("nothing listens on that port: {message}")]
    PortClosed {
        /// The message of the operating system.
        message: String,
    },
    /// No TCP connection came about in time.
    #[error("no answer to the attempt to connect, for {seconds} s")]
    ConnectTimeout {
        /// How long it was tried, in seconds.
        seconds: u64,
    },
    /// The server accepts connections and then says nothing.
    #[error("the server accepts the connection and then does not answer, for {seconds} s")]
    Silent {
        /// How long it was waited for, in seconds.
        seconds: u64,
    },
    /// The connection broke off, or the network refuses.
    #[error("the connection failed: {message}")]
    Network {
        /// The system's or the driver's words.
        message: String,
    },
    /// The server has no TLS.
    #[error("the server offers no TLS")]
    TlsNotOffered {
        /// `true` if the engine's protocol keeps a password secret without TLS. Where it does not,
        /// `TLS_MODE=prefer` changes nothing.
        keeps_password: bool,
    },
    /// The server's listener has redirected a verified connection to an address without TLS.
    #[error(
        "the connection is not encrypted: the server's listener redirected it, and the session uses {protocol}"
    )]
    TlsLost {
        /// The protocol that the server reports.
        protocol: String,
    },
    /// The server's certificate comes from an authority that is not trusted.
    #[error("the server's certificate is not from a trusted authority: {message}")]
    TlsUntrusted {
        /// The TLS library's words.
        message: String,
    },
    /// The server's certificate is for another name.
    #[error("the server's certificate is for another name: {message}")]
    TlsWrongName {
        /// The TLS library's words.
        message: String,
    },
    /// The server's certificate has expired, or is not valid yet.
    #[error("the server's certificate is out of its time: {message}")]
    TlsExpired {
        /// The TLS library's words.
        message: String,
    },
    /// Any other failure of TLS.
    #[error("the TLS handshake failed: {message}")]
    Tls {
        /// The TLS library's words.
        message: String,
    },
    /// The server asked for a password that it, or whoever stands in its place, could read.
    #[error("without TLS, the server asks for {asked}")]
    ReadablePassword {
        /// What it asked for.
        asked: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// Whoever answers has not shown that it is the server.
    #[error("the server did not prove that it knows the user's password: {message}")]
    ServerNotProven {
        /// What it did instead.
        message: String,
    },
    /// The server demands something that this side cannot do.
    #[error("the server demands something that is not supported: {message}")]
    Unsupported {
        /// What it demands.
        message: String,
    },
    /// The way to the driver is a file, and cannot be made.
    #[error("no file can be made in {folder}: {message}")]
    TemporaryFolder {
        /// Where, on the machine of the function.
        folder: String,
        /// The message of the operating system.
        message: String,
    },
    /// What the other side says is not what a server says there: it may be none.
    #[error("protocol: {message}")]
    Protocol {
        /// What is wrong with it.
        message: String,
    },
    /// Any other error that the server tells.
    #[error("{code}: {message}")]
    Other {
        /// The server's error code.
        code: String,
        /// The words.
        message: String,
    },
}

impl LoginError {
    /// Tells the failures of a connection apart, down to what TLS found.
    pub fn from_io(error: &io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::from_tls(tls);
        }
        let message = message(error.to_string());
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::PortClosed { message },
            _ => Self::Network { message },
        }
    }

    /// Tells the failures of TLS apart.
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

    /// Tells the failures of a certificate apart by the words of rustls's `CertificateError`, for
    /// drivers that pass on nothing else. The tests see it when those change.
    pub fn from_certificate_words(words: &str) -> Self {
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

    /// Looks for a failure of TLS or of the connection among an error's causes.
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

    /// A query that belongs to the login failed.
    pub(crate) fn from_query(error: EngineError) -> Self {
        match error {
            EngineError::Disconnected { cause, .. } => cause,
            EngineError::AccountExpired { message, remedy } => Self::Expired { message, remedy },
            EngineError::Failed { code, message, .. } => Self::Other { code, message },
            other => Self::Other { code: other.error_type().into(), message: other.to_string() },
        }
    }

    /// A file that the login needs cannot be made.
    pub fn no_file(error: &io::Error) -> Self {
        Self::TemporaryFolder {
            folder: std::env::temp_dir().display().to_string(),
            message: error.to_string(),
        }
    }

    /// What the server has said does not belong where it stands.
    pub fn protocol(words: impl Into<String>) -> Self {
        Self::Protocol { message: message(words.into()) }
    }

    /// Returns `true` if another password could be accepted where this one failed.
    pub(crate) fn other_password_may_help(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Returns `true` if a new password for the account ends it: the password is wrong or has
    /// expired.
    pub(crate) fn new_password_helps(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Expired { .. })
    }

    /// Returns `true` if the server has accepted the password: it tells no one else that it has
    /// expired.
    pub(crate) fn proves_password(&self) -> bool {
        matches!(self, Self::Expired { .. })
    }

    /// Returns `true` if it is about this account and no other: locked, expired, not let in.
    pub(crate) fn is_of_the_account(&self) -> bool {
        matches!(
            self,
            Self::Locked { .. }
                | Self::Expired { .. }
                | Self::NotPermitted { .. }
                | Self::DatabaseDenied { .. }
        )
    }

    /// Returns `true` if the remedy may be an edit of the secret.
    pub(crate) fn is_remedied_in_the_secret(&self) -> bool {
        matches!(
            self,
            Self::ClientRejected { .. }
                | Self::NoSuchDatabase { .. }
                | Self::NameNotFound { .. }
                | Self::PortClosed { .. }
                | Self::TlsNotOffered { .. }
                | Self::TlsLost { .. }
                | Self::TlsWrongName { .. }
                | Self::ReadablePassword { .. }
        )
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
            Self::NameNotFound { .. } => "HostNameNotFound",
            Self::PortClosed { .. } => "ConnectionRefused",
            Self::ConnectTimeout { .. } => "ConnectTimeout",
            Self::Silent { .. } => "DatabaseSilent",
            Self::Network { .. } => "ConnectionFailed",
            Self::TlsNotOffered { .. } | Self::TlsLost { .. } => "TlsNotOffered",
            Self::TlsUntrusted { .. } => "TlsUntrustedAuthority",
            Self::TlsWrongName { .. } => "TlsWrongName",
            Self::TlsExpired { .. } => "TlsCertificateExpired",
            Self::Tls { .. } => "TlsFailed",
            Self::ReadablePassword { .. } => "ReadablePasswordRefused",
            Self::ServerNotProven { .. } => "ServerNotProven",
            Self::Unsupported { .. } => "AuthenticationUnsupported",
            Self::TemporaryFolder { .. } => "TemporaryFolderUnusable",
            Self::Protocol { .. } | Self::Other { .. } => "LoginFailed",
        }
    }

    pub(crate) fn remedy(&self, host: &str, port: u16) -> String {
        let place = endpoint(host, port);
        match self {
            Self::Refused { .. } => format!("Store the password that the database accepts: {}.", store()),
            Self::Locked { remedy, .. }
            | Self::Expired { remedy, .. }
            | Self::NotPermitted { remedy, .. }
            | Self::ClientRejected { remedy, .. }
            | Self::DatabaseDenied { remedy, .. } => remedy.clone(),
            Self::NoSuchDatabase { .. } => "Correct \"dbname\" in the secret.".into(),
            Self::OtherAccount { user, .. } => format!(
                "Find out what maps the login of {user} to another account (an anonymous account or a proxy user of \
                 MySQL, where SELECT USER(), CURRENT_USER() shows both; a directory service; a pooler or a proxy in \
                 front of the server), and name in \"username\" a user that logs in as itself."
            ),
            Self::TooManyConnections { .. } => {
                "Nothing, if it passes: the rotation is repeated. Otherwise raise the server's or the user's connection limit.".into()
            }
            Self::NotReady { .. } => "Nothing, if it passes: the rotation is repeated.".into(),
            Self::NameNotFound { .. } => format!(
                "Correct \"host\" in the secret ({host}), or let the function's VPC resolve it (private hosted zone, DNS settings)."
            ),
            Self::PortClosed { .. } => format!("Correct \"host\" and \"port\" in the secret ({place}), and see that the server is running."),
            Self::ConnectTimeout { .. } => format!(
                "Let the function reach {place}: its subnets, its security group's outbound rule, the database's inbound rule."
            ),
            Self::Silent { .. } => format!(
                "See what listens on {place} and whether it is healthy: something takes the connection and then hangs \
                 (a proxy without its server, another protocol, a server out of resources)."
            ),
            Self::Network { .. } => format!("Check the network path to {place} and the server's own log."),
            Self::TlsNotOffered { keeps_password: false } => "Turn TLS on at the server. Or, if the network is trusted with the \
                password itself: \"ssl\": false in the secret. (TLS_MODE=prefer does not help: the password would be readable.)"
                .into(),
            Self::TlsNotOffered { keeps_password: true } => "Turn TLS on at the server. Or accept a connection without: \"ssl\": false in the secret \
                (never TLS), or TLS_MODE=prefer on the function (TLS where offered)."
                .into(),
            Self::TlsLost { .. } => "Let the listener redirect to TCPS addresses only: give every node of the database a \
                TCPS endpoint (LOCAL_LISTENER, LISTENER_NETWORKS), and name the listener's TCPS port in the secret. Or, if \
                the network is trusted: \"ssl\": false and a port without TLS in the secret."
                .into(),
            Self::TlsUntrusted { .. } => "If the authority is your own, give its certificate to the function in TLS_CA_FILE (PEM). \
                Otherwise somebody may stand between the function and the server."
                .into(),
            Self::TlsWrongName { .. } => format!(
                "Use in \"host\" a name that the server's certificate holds (for RDS its own endpoint, not a CNAME): now it is {host}."
            ),
            Self::TlsExpired { .. } => "Renew the server's certificate (RDS: apply the new CA in the instance's settings).".into(),
            Self::Tls { .. } => "Compare the TLS versions and ciphers that the server allows (TLS 1.2 or 1.3 is needed).".into(),
            Self::ReadablePassword { remedy, .. } => (*remedy).into(),
            Self::ServerNotProven { .. } => format!(
                "Find out what answers on {place} before anything else: somebody may stand between the function and the \
                 server. Without TLS, a server that lets everybody in (pg_hba.conf: trust) looks the same: turn TLS on."
            ),
            Self::Unsupported { .. } => "Let the server ask for a password in a supported way.".into(),
            Self::TemporaryFolder { folder, .. } => format!(
                "Make room in {folder}, or let the function write there (TMPDIR names another folder)."
            ),
            Self::Protocol { .. } => format!(
                "See what listens on {place}: it may be no such server, or something in between that does not pass everything on."
            ),
            Self::Other { .. } => "Read the server's message, and its log.".into(),
        }
    }
}

/// Masks words from outside.
fn message(text: String) -> String {
    mask(&text).into_owned()
}
