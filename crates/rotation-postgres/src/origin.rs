//! The origin of a session.

use rotation_database::{CaCertificates, TlsUse};

use crate::authenticate::Method;

/// Where a session has logged in, as whom, and what the server demanded.
#[derive(Debug)]
pub(crate) struct Origin {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: Option<String>,
    pub tls: TlsUse,
    pub authorities: CaCertificates,
    pub method: Method,
    /// 150004, 180001, …; 0 if the server does not report its version.
    pub version: u32,
    /// The process that the server named as the session's.
    pub process: Option<u32>,
}
