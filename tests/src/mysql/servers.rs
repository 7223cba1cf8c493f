//! The MySQL and MariaDB servers of a test run: their start and their addresses.

use std::ops::Deref;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Result;
use serde::{Deserialize, Serialize};
use test_servers::mysql::{Kind, Options, SUPERUSER, Server, find};
use test_servers::{Certificates, Installation};

use super::VARIABLE;
use crate::discovery::{self, ServerAddress};
use crate::server::{NAMES, SUPERUSER_PASSWORD};

/// The address of a server of this run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    /// The host, the port and the superuser.
    pub address: ServerAddress,
    /// `true` if the server is MariaDB, not MySQL.
    pub is_mariadb: bool,
    /// The folder with the server's logs, if this machine has it.
    pub logs: Option<PathBuf>,
    /// The server's programs, with which a test starts more servers of the same version.
    pub installation: Option<Installation>,
}

impl Deref for Address {
    type Target = ServerAddress;

    fn deref(&self) -> &ServerAddress {
        &self.address
    }
}

/// A server that this process has started.
#[derive(Debug)]
pub struct Started {
    /// The address of the server.
    pub address: Address,
    _server: Server,
}

/// Returns the usual options of a temporary server.
///
/// # Errors
/// Returns an error if no certificate can be created.
pub fn options() -> Result<Options> {
    Ok(Options {
        certificates: Some(Certificates::for_names(&NAMES)?),
        arguments: Vec::new(),
        password: SUPERUSER_PASSWORD.to_owned(),
    })
}

/// Starts the servers that are wanted and installed, unless a URL names a server instead.
///
/// # Errors
/// Returns an error if a server does not start.
pub async fn start_all(mysql: bool, mariadb: bool) -> Result<Vec<Started>> {
    let mut started = Vec::new();
    for (kind, wanted, url, installation) in [
        (Kind::MariaDb, mariadb, "MARIADB_TEST_URL", find(Kind::MariaDb)),
        (Kind::MySql, mysql, "MYSQL_TEST_URL", find(Kind::MySql)),
    ] {
        if !wanted || std::env::var_os(url).is_some() {
            continue;
        }
        if let Some(installation) = installation {
            started.push(start(&installation, kind, options()?).await?);
        }
    }
    Ok(started)
}

/// Starts a server and sets the password of its superuser.
///
/// # Errors
/// Returns an error if the server does not start.
pub async fn start(installation: &Installation, kind: Kind, options: Options) -> Result<Started> {
    let server = Server::start(installation, kind, options)?;
    server.secure().await?;
    let root = if installation.root.is_some() { "Debian sid" } else { "this system" };
    let address = ServerAddress {
        label: format!("{} of {root}", kind.display()),
        host: "localhost".into(),
        port: server.port,
        superuser: SUPERUSER.into(),
        password: server.options.password.clone(),
        authority: server
            .options
            .certificates
            .as_ref()
            .map(|certificates| certificates.authority.clone()),
    };
    let address = Address {
        address,
        is_mariadb: kind == Kind::MariaDb,
        logs: Some(server.data()),
        installation: Some(installation.clone()),
    };
    Ok(Started { address, _server: server })
}

/// Returns the servers of this run, of both kinds.
pub(super) async fn addresses() -> Result<Vec<Address>> {
    static OWN: OnceLock<Vec<Started>> = OnceLock::new();
    let own = start_all(true, true);
    let mut addresses =
        discovery::started(VARIABLE, &OWN, own, |started| started.address.clone()).await?;
    for (variable, is_mariadb) in [("MYSQL_TEST_URL", false), ("MARIADB_TEST_URL", true)] {
        if let Some(address) = ServerAddress::by_url(variable, 3306, "ssl-ca")? {
            addresses.push(Address { address, is_mariadb, logs: None, installation: None });
        }
    }
    Ok(addresses)
}
