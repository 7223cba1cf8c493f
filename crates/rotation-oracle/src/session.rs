//! A session.

use std::time::Duration;

use oracledb::{Connection, Error, ToDbValue};
use rotation_database::{EngineError, TlsUse};

use crate::driver::{self, Trouble};
use crate::failure;

/// How long one answer may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// A session of a user that has logged in.
pub struct Session {
    /// `None` when a call has died with it.
    connection: Option<Connection>,
    tls: TlsUse,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// A row of texts.
pub(crate) type Texts = Vec<Option<String>>;

impl Session {
    pub(crate) fn new(connection: Connection, tls: TlsUse) -> Self {
        Self { connection: Some(connection), tls }
    }

    pub(crate) fn tls(&self) -> TlsUse {
        self.tls
    }

    /// What the server has added to the login: ORA-28002 says that the password expires soon.
    pub(crate) fn warning(&self) -> Option<String> {
        self.connection.as_ref()?.last_warning().ok()?
    }

    /// Hands the connection to the driver's thread and takes it back.
    pub(crate) async fn call<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Trouble> {
        let Some(connection) = self.connection.take() else {
            return Err(Trouble::Panic("the session has ended before".into()));
        };
        let (connection, result) = driver::run(move || {
            let result = connection.set_call_timeout(Some(CALL_TIMEOUT)).and_then(|()| call(&connection));
            Ok((connection, result))
        })
        .await?;
        self.connection = Some(connection);
        result.map_err(Trouble::Error)
    }

    /// Runs a statement; `remedy` is what an administrator does when the privilege for it is missing.
    pub(crate) async fn run_or(
        &mut self,
        doing: &str,
        statement: &str,
        remedy: &str,
    ) -> Result<(), EngineError> {
        self.try_run(statement).await.map_err(|trouble| failure::statement(&trouble, doing, remedy))
    }

    /// Runs a statement and leaves its failure to the caller.
    pub(crate) async fn try_run(&mut self, statement: &str) -> Result<(), Trouble> {
        let statement = statement.to_owned();
        self.call(move |connection| connection.execute(&statement, &[]).map(drop)).await
    }

    /// Reads rows of texts.
    pub(crate) async fn rows(
        &mut self,
        doing: &str,
        query: &str,
        parameters: &[&str],
    ) -> Result<Vec<Texts>, EngineError> {
        self.rows_or(doing, query, parameters, "").await
    }

    /// Reads rows of texts; `remedy` is what an administrator does when the privilege for it is missing.
    pub(crate) async fn rows_or(
        &mut self,
        doing: &str,
        query: &str,
        parameters: &[&str],
        remedy: &str,
    ) -> Result<Vec<Texts>, EngineError> {
        let read = self.try_rows(query, parameters).await;
        read.map_err(|trouble| failure::statement(&trouble, doing, remedy))
    }

    /// Reads rows of texts and leaves a failure to the caller.
    pub(crate) async fn try_rows(&mut self, query: &str, parameters: &[&str]) -> Result<Vec<Texts>, Trouble> {
        let query = query.to_owned();
        let parameters: Vec<String> = parameters.iter().map(|text| (*text).to_owned()).collect();
        self.call(move |connection| {
            let bound: Vec<&dyn ToDbValue> = parameters.iter().map(|text| text as &dyn ToDbValue).collect();
            let mut rows = Vec::new();
            for row in connection.query(&query, &bound)? {
                let row = row?;
                let texts = (0..row.columns().len()).map(|column| row.get::<Option<String>>(column));
                rows.push(texts.collect::<Result<Texts, Error>>()?);
            }
            Ok(rows)
        })
        .await
    }

    pub(crate) async fn close(mut self) {
        // The work is done; a connection that breaks now breaks nothing.
        if let Some(mut connection) = self.connection.take() {
            let _ = driver::run(move || connection.close()).await;
        }
    }
}
