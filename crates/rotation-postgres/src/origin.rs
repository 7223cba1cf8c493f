//! The origin of a session.

use rotation_database::{CaCertificates, TlsUse};

use crate::authenticate::Method;

/// The server and the user of a login, and the way in which the server authenticated the user.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: Option<String>,
    pub tls: TlsUse,
    pub authorities: CaCertificates,
    pub method: Method,
    /// The version of the server, such as 150004 or 180001, or `None` if the server does not report
    /// it. An unknown version is less than every known one.
    pub version: Option<u32>,
    /// The id of the server process that the server reported at login.
    pub process: Option<u32>,
}
