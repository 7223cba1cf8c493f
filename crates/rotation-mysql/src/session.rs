//! A session.

use rotation_database::EngineError;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row};

use crate::account::Account;
use crate::failure::failure;
use crate::quote::Literals;

/// A session of a user that has logged in.
#[derive(Debug)]
pub struct Session {
    connection: MySqlConnection,
    is_mariadb: bool,
}

impl Session {
    pub(crate) fn new(connection: MySqlConnection, is_mariadb: bool) -> Self {
        Self { connection, is_mariadb }
    }

    pub(crate) fn is_mariadb(&self) -> bool {
        self.is_mariadb
    }

    /// Who really logged in, and how the session reads literals. From here on no statement waits long for a lock: the
    /// server's default is a year.
    pub(crate) async fn begin(&mut self) -> Result<(Account, Literals), EngineError> {
        const DOING: &str = "ask which account has logged in";
        let query =
            format!("{}; SELECT CURRENT_USER(), CONVERT(@@sql_mode USING utf8mb4)", self.set_session(""));
        let rows = self.rows(DOING, &query).await?;
        let unexpected = || EngineError::Failed {
            doing: DOING.into(),
            code: "protocol".into(),
            said: "no account".into(),
        };
        let row = rows.first().ok_or_else(unexpected)?;
        let (user, mode) = (text(row, 0).ok_or_else(unexpected)?, text(row, 1).ok_or_else(unexpected)?);
        Ok((Account::from_current_user(&user).ok_or_else(unexpected)?, Literals::of(&mode)))
    }

    /// Whether a role adds to what the session may do.
    pub(crate) async fn has_active_role(&mut self) -> Result<bool, EngineError> {
        let query = "SELECT CONVERT(CURRENT_ROLE() USING utf8mb4)";
        let rows = self.rows("ask which roles are active", query).await?;
        Ok(rows.first().and_then(|row| text(row, 0)).is_some_and(|role| role != "NONE"))
    }

    /// Sets variables of the session, and that no statement waits long.
    pub(crate) fn set_session(&self, more: &str) -> String {
        // MariaDB waits for a global read lock whatever lock_wait_timeout says.
        let statement_time = if self.is_mariadb { ", max_statement_time = 4" } else { "" };
        format!("SET SESSION {more}lock_wait_timeout = 4{statement_time}")
    }

    /// Runs a statement that needs no privilege of its own.
    pub(crate) async fn run(&mut self, doing: &str, statement: &str) -> Result<(), EngineError> {
        self.run_or(doing, statement, "").await
    }

    /// Runs a statement; `remedy` is what an administrator does when the privilege for it is missing.
    pub(crate) async fn run_or(
        &mut self,
        doing: &str,
        statement: &str,
        remedy: &str,
    ) -> Result<(), EngineError> {
        self.try_run(statement).await.map_err(|error| failure(&error, doing, remedy))
    }

    /// Runs a statement and leaves its failure to the caller.
    pub(crate) async fn try_run(&mut self, statement: &str) -> sqlx::Result<()> {
        // The text protocol: what a server prepares, it logs before it has understood it.
        let sql = AssertSqlSafe(statement.to_owned());
        sqlx::raw_sql(sql).execute(&mut self.connection).await.map(drop)
    }

    /// Reads rows.
    pub(crate) async fn rows(&mut self, doing: &str, query: &str) -> Result<Vec<MySqlRow>, EngineError> {
        self.rows_or(doing, query, "").await
    }

    /// Reads rows; `remedy` is what an administrator does when the privilege for it is missing.
    pub(crate) async fn rows_or(
        &mut self,
        doing: &str,
        query: &str,
        remedy: &str,
    ) -> Result<Vec<MySqlRow>, EngineError> {
        let sql = AssertSqlSafe(query.to_owned());
        let rows = sqlx::raw_sql(sql).fetch_all(&mut self.connection).await;
        rows.map_err(|error| failure(&error, doing, remedy))
    }

    pub(crate) async fn close(self) {
        // The work is done; a connection that breaks now breaks nothing.
        let _ = self.connection.close().await;
    }
}

/// A column as text, whatever string type it has.
pub(crate) fn text(row: &MySqlRow, column: usize) -> Option<String> {
    let bytes: Vec<u8> = row.try_get_unchecked(column).ok()?;
    String::from_utf8(bytes).ok()
}
