//! Which of the two servers.

use rotation_database::{EngineSpec, MARIADB, MYSQL};

/// Which of the two servers a function is for.
pub trait Flavor: Send + Sync + 'static {
    /// The schema of its secrets.
    const SPEC: &'static EngineSpec;
    /// Where the two differ in their SQL.
    const IS_MARIADB: bool;
}

/// MySQL.
#[derive(Debug, Clone, Copy, Default)]
pub struct IsMySql;

/// MariaDB.
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
