//! The list of the server's databases, and the databases that stop a sync.

use std::collections::BTreeSet;

use rotation_database::{EngineError, SyncRequest, administrator};
use tiberius::Row;

use super::Users;
use crate::master_permissions::{READ_DATABASE, without_implied};
use crate::quote::identifier;
use crate::scope::Scope;
use crate::session::{flag, nullable_text, text, unexpected};

/// The value of `user_access_desc` of a database that every user of the database can enter.
const MULTI_USER: &str = "MULTI_USER";

/// The database in which Amazon RDS keeps its own procedures.
const RDS_DATABASE: &str = "rdsadmin";

/// Returns `true` if a database has only users of the system. Only administrators can enter
/// `model`, and `rdsadmin` and similar databases belong to Amazon.
fn is_system_database(database: &str) -> bool {
    database == "model" || database.starts_with(RDS_DATABASE)
}

/// A database whose users can be read.
#[derive(Debug)]
pub(super) struct OpenDatabase {
    pub(super) name: String,
    /// `true` if its users cannot be changed.
    pub(super) is_read_only: bool,
}

/// The databases of the server, by what the master user can do with them. A name in `offline` has
/// the reason.
#[derive(Debug, Default)]
struct Found {
    open: Vec<OpenDatabase>,
    offline: Vec<String>,
    closed: Vec<String>,
    /// The databases whose definitions are denied to the master user, and the permissions that it
    /// lacks there.
    denied: Vec<(String, Vec<&'static str>)>,
    is_rds: bool,
}

/// Two queries: the databases that the master user sees, and those that it does not see.
///
/// - Only the primary replica is writable. This property can be read without a privilege. It is a
///   `sql_variant`, and [two of them][variant] are equal only if their collations are equal. So it
///   is converted to a text before the comparison.
/// - A permission on the server can be denied in a database. An older server returns `NULL` for
///   `VIEW SECURITY DEFINITION`, which SQL Server 2022 has introduced.
/// - [`sys.databases`][databases] does not show an OFFLINE database to a login that has neither
///   `ALTER ANY DATABASE` nor `CREATE DATABASE`. [`sys.master_files`][files] shows its files to a
///   login with `VIEW ANY DEFINITION`. The primary file of a database has the ID 1.
/// - Left out are the files of snapshots (sparse) and of the server's own hidden databases. Those
///   have the highest IDs: 32767 for the [Resource] database, and 32761 and 32762 for the
///   templates of contained availability groups.
///
/// [variant]: https://learn.microsoft.com/sql/t-sql/data-types/sql-variant-transact-sql
/// [databases]: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-databases-transact-sql
/// [files]: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-master-files-transact-sql
/// [Resource]: https://learn.microsoft.com/sql/relational-databases/databases/resource-database
const DATABASES: &str = "SELECT d.name, d.state_desc, COALESCE(d.user_access_desc, N''), \
                         CAST(COALESCE(HAS_DBACCESS(d.name), 0) AS int), CAST(CASE WHEN \
                         d.replica_id IS NULL THEN 0 WHEN CAST(DATABASEPROPERTYEX(d.name, \
                         N'Updateability') AS nvarchar(128)) = N'READ_WRITE' THEN 0 ELSE 1 END AS \
                         int), CAST(COALESCE(d.is_in_standby, 0) AS int), \
                         CAST(COALESCE(d.is_read_only, 0) AS int), \
                         CAST(COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(d.name), 'DATABASE', 'VIEW \
                         DEFINITION'), 0) AS int), \
                         CAST(COALESCE(HAS_PERMS_BY_NAME(QUOTENAME(d.name), 'DATABASE', 'VIEW \
                         SECURITY DEFINITION'), 1) AS int) FROM [master].sys.databases d WHERE \
                         d.source_database_id IS NULL AND d.name <> N'tempdb'; SELECT \
                         DB_NAME(f.database_id), CAST(f.database_id AS nvarchar(12)), f.name FROM \
                         [master].sys.master_files f WHERE f.file_id = 1 AND f.is_sparse = 0 AND \
                         f.database_id < 32700 AND NOT EXISTS (SELECT d.database_id FROM \
                         [master].sys.databases d WHERE d.database_id = f.database_id)";

impl Found {
    /// Adds a row of the first query. Returns why the database is skipped.
    fn add(&mut self, row: &Row) -> Result<Option<String>, EngineError> {
        let (name, state, access) = (text(row, 0)?, text(row, 1)?, text(row, 2)?);
        let (may_enter, is_replica, is_standby) = (flag(row, 3)?, flag(row, 4)?, flag(row, 5)?);
        let is_read_only = flag(row, 6)?;
        let mut lacking = Vec::new();
        for (index, permission) in (7..).zip(READ_DATABASE) {
            if !flag(row, index)? {
                lacking.push(*permission);
            }
        }
        let lacking = without_implied(lacking);
        let reads_all = lacking.is_empty();
        self.is_rds |= name == RDS_DATABASE;
        let skipped = |why: &str| Some(format!("Database {name} was skipped: {why}."));
        match state.as_str() {
            _ if is_replica => return Ok(skipped("it is a secondary replica")),
            _ if is_standby => {
                return Ok(skipped(
                    "it is a standby database, whose users come from another server",
                ));
            }
            "RESTORING" => return Ok(skipped("it is being restored")),
            "ONLINE" if is_system_database(&name) && !(may_enter && reads_all) => {}
            "ONLINE" if may_enter && !reads_all => self.denied.push((name, lacking)),
            "ONLINE" if may_enter => self.open.push(OpenDatabase { name, is_read_only }),
            "ONLINE" if access == MULTI_USER => self.closed.push(name),
            "ONLINE" => self.offline.push(format!("{name} ({access})")),
            _ => self.offline.push(format!("{name} ({state})")),
        }
        Ok(None)
    }

    /// Adds a row of the second query.
    fn add_hidden(&mut self, row: &Row) -> Result<(), EngineError> {
        self.offline.push(match nullable_text(row, 0)? {
            Some(name) => format!("{name} (not visible, probably OFFLINE)"),
            None => format!(
                "the database with the ID {} and the primary file {} (not visible, probably \
                 OFFLINE)",
                text(row, 1)?,
                text(row, 2)?
            ),
        });
        Ok(())
    }
}

impl Users<'_, SyncRequest<'_>> {
    /// Returns the databases whose users can be read.
    pub(super) async fn open_databases(
        &mut self,
        notes: &mut Vec<String>,
    ) -> Result<Vec<OpenDatabase>, EngineError> {
        let results = self.session.results("find the databases", DATABASES, &[]).await?;
        let [visible, hidden] = results.as_slice() else {
            return Err(unexpected("the queries about databases did not return two results"));
        };
        let mut found = Found::default();
        for row in visible {
            notes.extend(found.add(row)?);
        }
        for row in hidden {
            found.add_hidden(row)?;
        }
        if !found.closed.is_empty() {
            return Err(self.cannot_enter(&found.closed, found.is_rds));
        }
        if !found.offline.is_empty() {
            return Err(self.is_offline(&found.offline));
        }
        if !found.denied.is_empty() {
            return Err(self.cannot_read(&found.denied));
        }
        Ok(found.open)
    }

    fn cannot_enter(&self, databases: &[String], is_rds: bool) -> EngineError {
        let master = identifier(self.request.master);
        let user = format!(
            "USE {}; CREATE USER {master} FOR LOGIN {master}",
            databases.first().map(|name| identifier(name)).unwrap_or_default()
        );
        // RDS rejects a grant of CONNECT ANY DATABASE.
        let remedy = match is_rds {
            true => format!(
                "as a member of db_owner in each of these databases, {user} (a new password of the \
                 RDS instance's master user makes that user a member of db_owner again)"
            ),
            false => format!(
                "USE [master]; GRANT CONNECT ANY DATABASE TO {master}. Or in each database: {user}"
            ),
        };
        EngineError::PrivilegeMissing {
            action: format!("find users of {} in {}", self.request.base, databases.join(", ")),
            message: format!("{} may not connect to it", self.request.master),
            remedy: administrator(&remedy),
        }
    }

    fn is_offline(&self, databases: &[String]) -> EngineError {
        EngineError::NeedsDecision {
            what: format!(
                "users of {} in {} cannot be read, and their privileges would be missing in {}",
                self.request.base,
                databases.join(", "),
                self.request.alternate
            ),
            remedy: administrator(
                "ALTER DATABASE … SET ONLINE (SET MULTI_USER, if it is SINGLE_USER or \
                 RESTRICTED_USER), or drop or detach databases that are not needed",
            ),
        }
    }

    fn cannot_read(&self, databases: &[(String, Vec<&str>)]) -> EngineError {
        let master = identifier(self.request.master);
        let names: Vec<_> = databases.iter().map(|(name, _)| name.as_str()).collect();
        let lacking: BTreeSet<_> = databases.iter().flat_map(|(_, lacking)| lacking).collect();
        let lacking: Vec<_> = lacking.into_iter().copied().collect();
        let grants: Vec<_> = databases
            .iter()
            .map(|(name, lacking)| {
                let enter = Scope::Database(name).enter();
                format!("{enter}GRANT {} TO {master}", lacking.join(", "))
            })
            .collect();
        EngineError::lacks(
            format!("read the privileges of {} in {}", self.request.base, names.join(", ")),
            self.request.master,
            &lacking.join(", "),
            administrator(&format!(
                "{} (if it is denied to a role of the master user, also REVOKE it there)",
                grants.join("; ")
            )),
        )
    }
}
