//! A session of a user, and the ways to run statements in it.

use rotation_database::EngineError;
use rotation_database::sync::Statement;
use tiberius::{Client, FromSql, Row, ToSql};
use tokio::net::TcpStream;
use tokio_util::compat::Compat;

use crate::accepted::Accepted;
use crate::edition::{EDITION, is_azure_database};
use crate::failure::failure;
use crate::prelogin::RecordingStream;
use crate::principal::SessionPrincipal;

const CATALOG_REMEDY: &str = "As an administrator of the database: USE [master]; GRANT VIEW ANY \
                               DEFINITION to the user of this session.";

/// A session of a user that has logged in.
#[derive(Debug)]
pub struct Session {
    client: Client<Compat<RecordingStream<TcpStream>>>,
    accepted: Accepted,
    /// The account that the session belongs to, once the server has been asked.
    account: Option<SessionPrincipal>,
    /// `true` for a server without logins for the sync, once the server has been asked.
    is_azure_database: Option<bool>,
}

impl Session {
    pub(crate) fn new(client: Client<Compat<RecordingStream<TcpStream>>>) -> Self {
        Self { client, accepted: Accepted::None, account: None, is_azure_database: None }
    }

    /// Returns the account that the session belongs to, once the server has been asked.
    pub(crate) fn account(&self) -> Option<&SessionPrincipal> {
        self.account.as_ref()
    }

    pub(crate) fn set_account(&mut self, account: SessionPrincipal) {
        self.account = Some(account);
    }

    pub(crate) fn set_azure_database(&mut self, is_azure_database: bool) {
        self.is_azure_database = Some(is_azure_database);
    }

    /// Returns `true` for the editions of [`is_azure_database`].
    pub(crate) async fn is_azure_database(&mut self) -> Result<bool, EngineError> {
        if let Some(known) = self.is_azure_database {
            return Ok(known);
        }
        let rows =
            self.rows("read the edition of the server", &format!("SELECT {EDITION}"), &[]).await?;
        let row = rows.first().ok_or_else(|| unexpected("the server returned no row"))?;
        let is_azure_database = is_azure_database(column(row, 0)?);
        self.set_azure_database(is_azure_database);
        Ok(is_azure_database)
    }

    /// Sets the DDL triggers that this session may fire.
    pub(crate) fn accepting(self, accepted: Accepted) -> Self {
        Self { accepted, ..self }
    }

    /// Returns the DDL triggers that this session may fire.
    pub(crate) fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Sets the lock timeout. By default, statements wait for locks without a limit.
    pub(crate) async fn begin(&mut self) -> Result<(), EngineError> {
        self.run("set the lock timeout of the session", "SET LOCK_TIMEOUT 4000").await
    }

    /// Runs a statement that requires no specific privilege.
    pub(crate) async fn run(&mut self, action: &str, statement: &str) -> Result<(), EngineError> {
        self.execute(&Statement::unprivileged(action, statement)).await
    }

    /// Runs a statement that changes something.
    pub(crate) async fn execute(&mut self, statement: &Statement) -> Result<(), EngineError> {
        let Statement { action, sql, remedy } = statement;
        self.try_run(sql).await.map_err(|error| failure(&error, action, remedy.as_deref()))
    }

    /// Runs a statement, and returns the driver's error if it fails.
    pub(crate) async fn try_run(&mut self, statement: &str) -> tiberius::Result<()> {
        self.client.simple_query(statement).await?.into_results().await.map(drop)
    }

    /// Reads the rows of one query of the catalog.
    pub(crate) async fn rows(
        &mut self,
        action: &str,
        query: &str,
        parameters: &[&str],
    ) -> Result<Vec<Row>, EngineError> {
        Ok(self.results(action, query, parameters).await?.into_iter().next().unwrap_or_default())
    }

    /// Reads the rows of several queries.
    pub(crate) async fn results(
        &mut self,
        action: &str,
        queries: &str,
        parameters: &[&str],
    ) -> Result<Vec<Vec<Row>>, EngineError> {
        // Every user may query the catalog, which only shows the visible rows. Callers check before
        // that all rows are visible.
        self.try_results(queries, parameters)
            .await
            .map_err(|error| failure(&error, action, Some(CATALOG_REMEDY)))
    }

    /// Reads the rows of several queries, and returns the driver's error if that fails.
    pub(crate) async fn try_results(
        &mut self,
        queries: &str,
        parameters: &[&str],
    ) -> tiberius::Result<Vec<Vec<Row>>> {
        let parameters: Vec<&dyn ToSql> =
            parameters.iter().map(|parameter| parameter as &dyn ToSql).collect();
        self.client.query(queries, &parameters).await?.into_results().await
    }

    pub(crate) async fn close(self) {
        // The work is done, so a failure of the connection no longer matters.
        let _ = self.client.close().await;
    }
}

/// Returns a column that is never null.
pub(crate) fn column<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, EngineError> {
    nullable(row, index)?.ok_or_else(|| unexpected("a value is missing"))
}

/// Returns a column that may be null.
pub(crate) fn nullable<'a, T: FromSql<'a>>(
    row: &'a Row,
    index: usize,
) -> Result<Option<T>, EngineError> {
    row.try_get(index).map_err(|_| unexpected("a value has another type than expected"))
}

/// Returns a text column that is never null.
pub(crate) fn text(row: &Row, index: usize) -> Result<String, EngineError> {
    column::<&str>(row, index).map(str::to_owned)
}

/// Returns a text column that may be null.
pub(crate) fn nullable_text(row: &Row, index: usize) -> Result<Option<String>, EngineError> {
    Ok(nullable::<&str>(row, index)?.map(str::to_owned))
}

/// Returns a boolean that the query has converted to an `int`.
pub(crate) fn flag(row: &Row, index: usize) -> Result<bool, EngineError> {
    Ok(column::<i32>(row, index)? != 0)
}

/// Creates the error for an unexpected answer of the catalog. The answers determine the privileges
/// that the sync revokes, so the sync fails instead of guessing.
pub(crate) fn unexpected(message: &str) -> EngineError {
    EngineError::Failed {
        action: "read the catalog".into(),
        code: "protocol".into(),
        message: message.into(),
    }
}
