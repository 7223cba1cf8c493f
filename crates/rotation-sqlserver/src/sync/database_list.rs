//! The list of the server's databases, and the databases that stop a sync.

use rotation_database::{EngineError, administrator};

use super::Users;
use crate::quote::identifier;
use crate::session::{flag, nullable_text, text, unexpected};

/// The database in which Amazon RDS keeps its own procedures.
const RDS_DATABASE: &str = "rdsadmin";

/// Returns `true` if a database has only users of the system. Only administrators can enter
/// `model`, and `rdsadmin` and similar databases belong to Amazon.
fn is_system_database(database: &str) -> bool {
    database == "model" || database.starts_with(RDS_DATABASE)
}

/// Two queries: the databases that the master user sees, and those that it does not see.
///
/// - Only the primary replica is writable. This property can be read without a privilege.
/// - [`sys.databases`][databases] does not show an OFFLINE database to a login that has neither
///   `ALTER ANY DATABASE` nor `CREATE DATABASE`. [`sys.master_files`][files] shows its files to a
///   login with `VIEW ANY DEFINITION`. The primary file of a database has the ID 1.
/// - Left out are the files of snapshots (sparse) and of the server's own hidden databases. Those
///   have the highest IDs: 32767 for the [Resource] database, and 32761 and 32762 for the
///   templates of contained availability groups.
///
/// [databases]: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-databases-transact-sql
/// [files]: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-master-files-transact-sql
/// [Resource]: https://learn.microsoft.com/sql/relational-databases/databases/resource-database
const DATABASES: &str = "SELECT d.name, d.state_desc, CAST(COALESCE(HAS_DBACCESS(d.name), 0) AS \
                         int), CAST(CASE WHEN d.replica_id IS NULL THEN 0 WHEN \
                         DATABASEPROPERTYEX(d.name, 'Updateability') = 'READ_WRITE' THEN 0 ELSE 1 \
                         END AS int) FROM [master].sys.databases d WHERE d.source_database_id IS \
                         NULL AND d.name <> N'tempdb'; SELECT DB_NAME(f.database_id), \
                         CAST(f.database_id AS nvarchar(12)), f.name FROM \
                         [master].sys.master_files f WHERE f.file_id = 1 AND f.is_sparse = 0 AND \
                         f.database_id < 32700 AND NOT EXISTS (SELECT d.database_id FROM \
                         [master].sys.databases d WHERE d.database_id = f.database_id)";

impl Users<'_> {
    /// Returns the names of the databases whose users can be read.
    pub(super) async fn open_databases(
        &mut self,
        notes: &mut Vec<String>,
    ) -> Result<Vec<String>, EngineError> {
        let results = self.session.results("find the databases", DATABASES, &[]).await?;
        let [visible, hidden] = results.as_slice() else {
            return Err(unexpected("the queries about databases did not return two results"));
        };
        let (mut open, mut offline, mut closed) = (Vec::new(), Vec::new(), Vec::new());
        let mut is_rds = false;
        for row in visible {
            let (name, state) = (text(row, 0)?, text(row, 1)?);
            let (may_enter, is_copy) = (flag(row, 2)?, flag(row, 3)?);
            is_rds |= name == RDS_DATABASE;
            match (state.as_str(), may_enter) {
                _ if is_copy => {
                    notes.push(format!("Database {name} was skipped: it is a secondary replica."));
                }
                ("ONLINE", true) => open.push(name),
                ("RESTORING", _) => {
                    notes.push(format!("Database {name} was skipped: it is being restored."));
                }
                ("ONLINE", false) if is_system_database(&name) => {}
                ("ONLINE", false) => closed.push(name),
                _ => offline.push(format!("{name} ({state})")),
            }
        }
        for row in hidden {
            offline.push(match nullable_text(row, 0)? {
                Some(name) => format!("{name} (not visible, probably OFFLINE)"),
                None => format!(
                    "the database with the ID {} and the primary file {} (not visible, probably \
                     OFFLINE)",
                    text(row, 1)?,
                    text(row, 2)?
                ),
            });
        }
        if !closed.is_empty() {
            return Err(self.cannot_enter(&closed, is_rds));
        }
        if !offline.is_empty() {
            return Err(self.is_offline(&offline));
        }
        Ok(open)
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
                "ALTER DATABASE … SET ONLINE, or drop or detach databases that are not needed",
            ),
        }
    }
}
