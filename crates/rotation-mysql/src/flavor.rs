//! The two kinds of servers: MySQL and MariaDB.

use rotation_database::{EngineSpec, MARIADB, MYSQL};

/// The kind of server that a function is for.
pub trait Flavor: Send + Sync + 'static {
    /// The schema of the secrets.
    const SPEC: &'static EngineSpec;
    /// `true` for MariaDB. The SQL of the two servers differs.
    const IS_MARIADB: bool;
}

/// The flavor of MySQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct IsMySql;

/// The flavor of MariaDB.
#[derive(Debug, Clone, Copy, Default)]
pub struct IsMariaDb;

impl Flavor for IsMySql {
    const SPEC: &'static EngineSpec = &MYSQL;
    const IS_MARIADB: bool = false;
}

impl Flavor for IsMariaDb {
    const SPEC: &'static EngineSpec = &MARIADB;
    const IS_MARIADB: bool = true;
}
