//! A session of a user, and the ways to run statements in it.

use oracledb::{Connection, Error, ToDbValue};
use rotation_database::sync::Statement;
use rotation_database::{EngineError, Login, TlsUse};

use crate::driver::{self, CALL_TIMEOUT, DriverError};
use crate::failure;
use crate::release::Release;

/// A session of a user that has logged in.
pub struct Session {
    /// `None` if a call has ended the connection.
    connection: Option<Connection>,
    release: Release,
    tls: TlsUse,
    /// The user that the session belongs to, once the server has been asked.
    account: Option<String>,
    /// The role of its database: `PRIMARY`, or that of a standby.
    role: Option<String>,
    /// `true` if [`Session::begin`] has run.
    has_begun: bool,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("tls", &self.tls).finish_non_exhaustive()
    }
}

/// A row of texts.
pub(crate) type Texts = Vec<Option<String>>;

impl Session {
    pub(crate) fn new(connection: Connection, release: Release, login: &Login<'_>) -> Self {
        Self {
            connection: Some(connection),
            release,
            tls: login.tls,
            account: None,
            role: None,
            has_begun: false,
        }
    }

    /// Reads the network protocol, the user and the database role of this session. Returns the
    /// protocol.
    ///
    /// A listener can redirect the connection to another address, and the driver uses the protocol
    /// that the redirect names. The driver does not report that.
    pub(crate) async fn read_identity(&mut self) -> Result<Option<String>, DriverError> {
        const QUERY: &str = "SELECT SYS_CONTEXT('USERENV', 'NETWORK_PROTOCOL'), \
                             SYS_CONTEXT('USERENV', 'SESSION_USER'), SYS_CONTEXT('USERENV', \
                             'DATABASE_ROLE') FROM SYS.DUAL";
        let row = self.try_rows(QUERY, &[]).await?.into_iter().next().unwrap_or_default();
        let mut values = row.into_iter();
        let protocol = values.next().flatten();
        self.account = values.next().flatten();
        self.role = values.next().flatten();
        Ok(protocol)
    }

    /// Returns the user of the session, as the dictionary spells it.
    pub(crate) async fn account(&mut self) -> Result<String, EngineError> {
        const ACTION: &str = "read the user of the session";
        if self.account.is_none() {
            self.read_identity().await.map_err(|error| failure::statement(&error, ACTION, None))?;
        }
        self.account.clone().ok_or_else(|| EngineError::Failed {
            action: ACTION.into(),
            code: "protocol".into(),
            message: "the server did not return the user".into(),
        })
    }

    /// Checks that the database is not a standby.
    pub(crate) async fn check_writable(&mut self) -> Result<(), EngineError> {
        self.account().await?;
        match &self.role {
            Some(role) if role != "PRIMARY" => {
                Err(EngineError::not_writable(format!("its role is {role}")))
            }
            _ => Ok(()),
        }
    }

    /// Sets everything that other users could have changed in a session of the master user, before
    /// its first statement.
    ///
    /// A logon trigger can change the current schema and the comparison of texts. A name without an
    /// owner then refers to an object of the owner of that schema. In `SYS`, users cannot create
    /// objects.
    pub(crate) async fn begin(&mut self) -> Result<(), EngineError> {
        if self.has_begun {
            return Ok(());
        }
        const FIX_SESSION: &str =
            "ALTER SESSION SET CURRENT_SCHEMA = SYS NLS_COMP = BINARY NLS_SORT = BINARY";
        self.execute(&Statement::unprivileged("set the session's schema", FIX_SESSION)).await?;
        self.has_begun = true;
        Ok(())
    }

    pub(crate) fn tls(&self) -> TlsUse {
        self.tls
    }

    pub(crate) fn release(&self) -> Release {
        self.release
    }

    /// Returns the warning that the server sent at login. ORA-28002 reports that the password
    /// expires soon.
    pub(crate) fn warning(&self) -> Option<String> {
        self.connection.as_ref()?.last_warning().ok()?
    }

    /// Runs a call on the driver's thread, which has the connection during the call.
    pub(crate) async fn call<T: Send + 'static>(
        &mut self,
        call: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, DriverError> {
        let Some(connection) = self.connection.take() else {
            return Err(DriverError::Ended("the session has already ended"));
        };
        let (connection, result) = driver::run(move || {
            let result =
                connection.set_call_timeout(Some(CALL_TIMEOUT)).and_then(|()| call(&connection));
            Ok((connection, result))
        })
        .await?;
        self.connection = Some(connection);
        result.map_err(DriverError::Error)
    }

    /// Runs a statement that changes something.
    pub(crate) async fn execute(&mut self, statement: &Statement) -> Result<(), EngineError> {
        let Statement { action, sql, remedy } = statement;
        self.try_run(sql)
            .await
            .map_err(|error| failure::statement(&error, action, remedy.as_deref()))
    }

    /// Runs a statement, and returns the driver's error if it fails.
    pub(crate) async fn try_run(&mut self, statement: &str) -> Result<(), DriverError> {
        let statement = statement.to_owned();
        self.call(move |connection| connection.execute(&statement, &[]).map(drop)).await
    }

    /// Reads rows of texts.
    pub(crate) async fn rows(
        &mut self,
        action: &str,
        query: &str,
        parameters: &[&str],
    ) -> Result<Vec<Texts>, EngineError> {
        self.rows_or(action, query, parameters, None).await
    }

    /// Reads rows of texts. `remedy` is the remedy if the privilege for it is missing.
    pub(crate) async fn rows_or(
        &mut self,
        action: &str,
        query: &str,
        parameters: &[&str],
        remedy: Option<&str>,
    ) -> Result<Vec<Texts>, EngineError> {
        let read = self.try_rows(query, parameters).await;
        read.map_err(|error| failure::statement(&error, action, remedy))
    }

    /// Reads rows of texts, and returns the driver's error if that fails.
    pub(crate) async fn try_rows(
        &mut self,
        query: &str,
        parameters: &[&str],
    ) -> Result<Vec<Texts>, DriverError> {
        let query = query.to_owned();
        let parameters: Vec<String> = parameters.iter().map(|text| (*text).to_owned()).collect();
        self.call(move |connection| {
            let bound: Vec<&dyn ToDbValue> =
                parameters.iter().map(|text| text as &dyn ToDbValue).collect();
            let mut rows = Vec::new();
            for row in connection.query(&query, &bound)? {
                let row = row?;
                let texts =
                    (0..row.columns().len()).map(|column| row.get::<Option<String>>(column));
                rows.push(texts.collect::<Result<Texts, Error>>()?);
            }
            Ok(rows)
        })
        .await
    }

    pub(crate) async fn close(mut self) {
        // The work is done, so a failure of the connection no longer matters.
        if let Some(mut connection) = self.connection.take() {
            let _ = driver::run(move || connection.close()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Returns the words after `FROM` and `JOIN` that are names, not placeholders or quoted users.
    fn sources(code: &str) -> impl Iterator<Item = &str> {
        code.split("FROM ").skip(1).chain(code.split("JOIN ").skip(1)).filter_map(|rest| {
            let word =
                rest.split(|c: char| !c.is_ascii_alphanumeric() && !"_.$".contains(c)).next()?;
            word.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(word)
        })
    }

    /// A name without an owner can refer to an object of the current schema or to a synonym.
    #[test]
    fn every_query_names_the_owner_of_its_views() {
        assert_eq!(
            sources("SELECT a FROM dual, FROM \\\"U\\\" FROM {user}").collect::<Vec<_>>(),
            ["dual"]
        );
        let mut count = 0;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let folders = [source.clone(), source.join("sync")];
        let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
        for path in files.map(|file| file.unwrap().path()).filter(|path| path.is_file()) {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for word in sources(code) {
                assert!(word.starts_with("SYS."), "{word} in {}", path.display());
                count += 1;
            }
        }
        assert!(count > 10, "{count} queries were found");
    }
}
