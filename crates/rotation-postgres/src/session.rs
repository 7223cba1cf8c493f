//! A session, and the statements that every change needs.

use std::num::NonZeroU32;

use rotation_database::{Authorities, EngineError, Login, Password, TlsUse};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::failure::{failure, password_failure};
use crate::quote::{identifier, literal};
use crate::scram::{DEFAULT_ITERATIONS, MOST_ITERATIONS};
use crate::verifier::{Encryption, verifier};

/// A session of a user that has logged in.
#[derive(Debug)]
pub struct Session {
    connection: PgConnection,
    origin: Origin,
}

/// Where a session has logged in.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    host: String,
    port: u16,
    database: Option<String>,
    tls: TlsUse,
    authorities: Authorities,
}

impl Origin {
    pub(crate) fn of(login: &Login<'_>) -> Self {
        Self {
            host: login.host.to_owned(),
            port: login.port,
            database: login.database.map(str::to_owned),
            tls: login.tls,
            authorities: login.authorities.clone(),
        }
    }

    /// A login of somebody at the same place.
    pub(crate) fn login<'a>(&'a self, user: &'a str, password: &'a Password) -> Login<'a> {
        Login {
            host: &self.host,
            port: self.port,
            user,
            password,
            database: self.database.as_deref(),
            tls: self.tls,
            authorities: &self.authorities,
        }
    }
}

/// Makes a transaction independent of what the role's own settings (`ALTER ROLE … SET`) made of the session: who it
/// acts as, how literals are read, what it sees and whether it may write, how long it waits for a lock, for how long others
/// wait should this function be gone without a word, and that a change which is acknowledged is on disk. `LOCAL`: behind a
/// pooler the session may be somebody else's next.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SET LOCAL role = none; SET LOCAL search_path = pg_catalog; SET LOCAL standard_conforming_strings = on; \
    SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '4s'; \
    SET LOCAL idle_in_transaction_session_timeout = '15s'; \
    SELECT set_config('synchronous_commit', 'on', true) \
        WHERE current_setting('synchronous_commit') IN ('off', 'local'); \
    SELECT current_setting('password_encryption'), current_setting('scram_iterations', true)";

impl Session {
    pub(crate) fn new(connection: PgConnection, origin: Origin) -> Self {
        Self { connection, origin }
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// 150004, 180001, …; 0 when the server does not say.
    pub(crate) fn version(&self) -> u32 {
        self.connection.server_version_num().unwrap_or(0)
    }

    /// Begins a transaction in which nothing of the role's own settings counts, and learns what form of password the
    /// server stores.
    pub(crate) async fn begin(&mut self) -> Result<Encryption, EngineError> {
        const DOING: &str = "begin a transaction";
        let failed = |error| failure(&error, DOING, "");
        let rows = sqlx::raw_sql(BEGIN).fetch_all(&mut self.connection).await.map_err(failed)?;
        let unexpected = || EngineError::Failed {
            doing: DOING.into(),
            code: "protocol".into(),
            said: "no settings".into(),
        };
        let row: &PgRow = rows.last().ok_or_else(unexpected)?;
        let encryption: String = row.try_get(0).map_err(failed)?;
        let iterations: Option<String> = row.try_get(1).map_err(failed)?;
        let iterations = iterations.and_then(|text| text.parse::<NonZeroU32>().ok());
        Ok(match encryption.as_str() {
            "md5" | "on" => Encryption::Md5,
            // The server takes fewer than it would use itself; its next login must not take longer than a login may.
            _ => Encryption::ScramSha256(iterations.unwrap_or(DEFAULT_ITERATIONS).min(MOST_ITERATIONS)),
        })
    }

    /// Makes the transaction's changes last.
    pub(crate) async fn commit(&mut self) -> Result<(), EngineError> {
        self.run("commit the changes", "COMMIT").await
    }

    /// Ends a transaction that may be tried once more.
    pub(crate) async fn fit_to_go_on<T>(&mut self, done: Result<T, EngineError>) -> Result<T, EngineError> {
        if matches!(done, Err(EngineError::Overtaken { .. })) {
            self.run("end a transaction", "ROLLBACK").await?;
        }
        done
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
        let sql = AssertSqlSafe(statement.to_owned());
        let done = sqlx::raw_sql(sql).execute(&mut self.connection).await;
        done.map(drop).map_err(|error| failure(&error, doing, remedy))
    }

    /// Reads rows. Parameters are texts.
    pub(crate) async fn rows(
        &mut self,
        doing: &str,
        query: &'static str,
        parameters: &[&str],
    ) -> Result<Vec<PgRow>, EngineError> {
        let query = parameters.iter().fold(sqlx::query(query), |query, parameter| query.bind(*parameter));
        let rows = query.persistent(false).fetch_all(&mut self.connection).await;
        rows.map_err(|error| failure(&error, doing, ""))
    }

    /// Sets a password as a verifier: neither the wire nor the server's log ever holds the password.
    ///
    /// `remedy` is what an administrator does when the privilege for it is missing.
    pub(crate) async fn set_password(
        &mut self,
        user: &str,
        password: &Password,
        encryption: Encryption,
        remedy: &str,
    ) -> Result<(), EngineError> {
        let doing = format!("set the password of {user}");
        let verifier = verifier(user, password, encryption).map_err(|said| EngineError::Failed {
            doing: doing.clone(),
            code: "verifier".into(),
            said: said.into(),
        })?;
        let statement = format!("ALTER ROLE {} PASSWORD {}", identifier(user), literal(&verifier));
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut self.connection).await;
        done.map(drop).map_err(|error| password_failure(&error, &doing, remedy))
    }

    pub(crate) async fn close(self) {
        // The work is done; a connection that breaks now breaks nothing.
        let _ = self.connection.close().await;
    }
}
