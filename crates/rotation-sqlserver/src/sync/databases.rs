//! The databases in which the two logins have users.

use std::collections::BTreeMap;
use std::time::Duration;

use rotation_database::{EngineError, SyncRequest};
use tiberius::Row;
use tiberius::error::Error;
use tokio::time::sleep;

use super::Users;
use super::database_list::OpenDatabase;
use super::state::{UserState, user};
use crate::failure::{NO_SUCH_DATABASE, failure};
use crate::principal::AUTHENTICATED_BY_SERVER;
use crate::quote::{binary, identifier};
use crate::session::{column, nullable, text, unexpected};

/// The users of the two logins in one database.
#[derive(Debug, Default)]
pub(crate) struct DatabaseUsers {
    pub(crate) base: Option<UserState>,
    pub(crate) alternate: Option<UserState>,
    /// `true` if the database is READ_ONLY, so that its users cannot be changed.
    pub(crate) is_read_only: bool,
    /// A user with the name of the alternate login that does not belong to it.
    pub(crate) namesake: Option<Namesake>,
}

impl DatabaseUsers {
    /// Returns the users of both logins, if their rights can be compared. The owner of a database
    /// has all rights there.
    pub(crate) fn pair(&self) -> Option<(&UserState, &UserState)> {
        let alternate = self.alternate.as_ref().filter(|alternate| !alternate.is_dbo());
        self.base.as_ref().zip(alternate)
    }
}

/// A user, role or other principal of a database with the name of the alternate login.
#[derive(Debug)]
pub(crate) struct Namesake {
    pub(crate) name: String,
    /// The security identifier of its login, if it is the user of a login.
    pub(crate) login_sid: Option<Vec<u8>>,
}

/// Reads a principal: name, id, security identifier, schema, language, type, authentication type.
fn namesake(row: &Row, first: usize) -> Result<Namesake, EngineError> {
    let is_user_of_login = text(row, first + 5)?.trim_end() == "S"
        && column::<i32>(row, first + 6)? == AUTHENTICATED_BY_SERVER;
    let sid = nullable::<&[u8]>(row, first + 2)?;
    let login_sid = sid.filter(|_| is_user_of_login).map(<[u8]>::to_vec);
    Ok(Namesake { name: text(row, first)?, login_sid })
}

/// The number of retries if databases cannot be read.
const MAX_RETRIES: usize = 2;
/// The pause before a retry.
const RETRY_PAUSE: Duration = Duration::from_millis(300);

impl Users<'_, SyncRequest<'_>> {
    /// Returns every database in which one of the two logins has a user.
    ///
    /// A database that cannot be read is an error, because its missing privileges would be unknown.
    /// Snapshots and databases that are copies from another server are left out, because their
    /// users come from the original.
    pub(crate) async fn users(
        &mut self,
        base: &[u8],
        alternate: &[u8],
        notes: &mut Vec<String>,
    ) -> Result<BTreeMap<String, DatabaseUsers>, EngineError> {
        // A database can be created or dropped between the two queries.
        for _ in 0..MAX_RETRIES {
            match self.read_databases(base, alternate, notes).await {
                Err(EngineError::Disconnected { action, cause }) => {
                    return Err(EngineError::Disconnected { action, cause });
                }
                Err(_) => sleep(RETRY_PAUSE).await,
                Ok(users) => return Ok(users),
            }
        }
        self.read_databases(base, alternate, notes).await
    }

    async fn read_databases(
        &mut self,
        base: &[u8],
        alternate: &[u8],
        notes: &mut Vec<String>,
    ) -> Result<BTreeMap<String, DatabaseUsers>, EngineError> {
        notes.clear();
        let open = self.open_databases(notes).await?;
        self.read_users(&open, base, alternate).await
    }

    /// Reads the users in all databases in one round trip. Each database has a result of its own,
    /// because a single result cannot mix their collations.
    async fn read_users(
        &mut self,
        databases: &[OpenDatabase],
        base: &[u8],
        alternate: &[u8],
    ) -> Result<BTreeMap<String, DatabaseUsers>, EngineError> {
        let (base, alternate) = (binary(base), binary(alternate));
        let select = |database: &OpenDatabase| {
            format!(
                "SELECT CASE WHEN p.sid = {base} THEN 1 WHEN p.sid = {alternate} THEN 2 ELSE 3 \
                 END, p.name, CAST(p.principal_id AS int), p.sid, p.default_schema_name, \
                 p.default_language_name, p.type, CAST(p.authentication_type AS int) FROM \
                 {}.sys.database_principals p WHERE p.sid IN ({base}, {alternate}) OR p.name = @P1",
                identifier(&database.name)
            )
        };
        let query = databases.iter().map(select).collect::<Vec<_>>().join("; ");
        let parameters = [self.request.alternate];
        let failed = |error: &Error| failure(error, "find the users in every database", None);
        let results = match self.session.try_results(&query, &parameters).await {
            Ok(results) => results,
            // One database was dropped in the meantime. The databases are then read one by one,
            // without it.
            Err(Error::Server(error)) if error.code() == NO_SUCH_DATABASE => {
                let mut results = Vec::new();
                for database in databases {
                    results.push(
                        match self.session.try_results(&select(database), &parameters).await {
                            Ok(rows) => rows.into_iter().next().unwrap_or_default(),
                            Err(Error::Server(error)) if error.code() == NO_SUCH_DATABASE => {
                                Vec::new()
                            }
                            Err(error) => return Err(failed(&error)),
                        },
                    );
                }
                results
            }
            Err(error) => return Err(failed(&error)),
        };
        if results.len() != databases.len() {
            return Err(unexpected("the server did not return a result for every database"));
        }
        let mut found = BTreeMap::new();
        for (database, rows) in databases.iter().zip(results) {
            let mut users =
                DatabaseUsers { is_read_only: database.is_read_only, ..DatabaseUsers::default() };
            for row in rows {
                match column::<i32>(&row, 0)? {
                    1 => users.base = Some(user(&row, 1)?),
                    2 => users.alternate = Some(user(&row, 1)?),
                    _ => users.namesake = Some(namesake(&row, 1)?),
                }
            }
            if users.base.is_some() || users.alternate.is_some() {
                found.insert(database.name.clone(), users);
            }
        }
        Ok(found)
    }
}
