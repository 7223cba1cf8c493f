//! A session, and the statements that every change needs.

use std::mem;

use rotation_database::{Authorities, EngineError, Login, LoginError, Password, TlsUse};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use zeroize::Zeroizing;

use crate::authenticate::Method;
use crate::failure::{failure, of_password};
use crate::login::LoggedIn;
use crate::password_form::StorageSettings;
use crate::quote::{identifier, literal};
use crate::verifier::{Encryption, verifier};

/// A session of a user that has logged in.
pub struct Session {
    link: Link,
    origin: Origin,
}

/// Statements without parameters need no driver, which costs as much as one of them: a user's own change is made of such.
enum Link {
    Bare(LoggedIn),
    Driver(PgConnection),
    Lost,
}

/// Where a session has logged in, as whom, and what the server demanded.
#[derive(Debug)]
pub(crate) struct Origin {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: Option<String>,
    pub tls: TlsUse,
    pub authorities: Authorities,
    pub method: Method,
    /// 150004, 180001, …; 0 if the server does not report its version.
    pub version: u32,
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
    pub(crate) fn new(logged_in: LoggedIn, login: &Login<'_>) -> Self {
        let origin = Origin {
            host: login.host.to_owned(),
            port: login.port,
            user: login.user.to_owned(),
            database: login.database.map(str::to_owned),
            tls: login.tls,
            authorities: login.authorities.clone(),
            method: logged_in.method(),
            version: logged_in.version(),
        };
        Self { link: Link::Bare(logged_in), origin }
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    async fn driver(&mut self, doing: &str) -> Result<&mut PgConnection, EngineError> {
        let failed = |cause| EngineError::Disconnected { doing: doing.to_owned(), cause };
        let Origin { port, user, database, .. } = &self.origin;
        self.link = match mem::replace(&mut self.link, Link::Lost) {
            Link::Bare(bare) => {
                Link::Driver(bare.driver(*port, user, database.as_deref()).await.map_err(failed)?)
            }
            other => other,
        };
        match &mut self.link {
            Link::Driver(connection) => Ok(connection),
            _ => Err(failed(LoginError::Network { said: "it was lost before".into() })),
        }
    }

    pub(crate) fn version(&self) -> u32 {
        self.origin.version
    }

    /// Runs statements that have no parameters, and gives the texts of the last row.
    async fn simple(
        &mut self,
        doing: &str,
        statements: &str,
        remedy: &str,
    ) -> Result<Vec<Option<String>>, EngineError> {
        if let Link::Bare(logged_in) = &mut self.link {
            let done = logged_in.query(doing, statements, remedy).await;
            if matches!(done, Err(EngineError::Disconnected { .. })) {
                self.link = Link::Lost;
            }
            return done;
        }
        let failed = |error| failure(&error, doing, remedy);
        let sql = AssertSqlSafe(statements.to_owned());
        let rows = sqlx::raw_sql(sql).fetch_all(self.driver(doing).await?).await.map_err(failed)?;
        let Some(row) = rows.last() else { return Ok(Vec::new()) };
        // Texts of whatever type: that is the form of a simple query's answer.
        (0..row.len()).map(|at| row.try_get_unchecked(at).map_err(failed)).collect()
    }

    /// Begins a transaction in which nothing of the role's own settings counts, and returns the
    /// server's settings for new passwords.
    pub(crate) async fn begin(&mut self) -> Result<StorageSettings, EngineError> {
        const DOING: &str = "begin a transaction";
        let settings = self.simple(DOING, BEGIN, "").await?;
        let [Some(encryption), iterations] = settings.as_slice() else {
            let said = "no settings".into();
            return Err(EngineError::Failed { doing: DOING.into(), code: "protocol".into(), said });
        };
        Ok(StorageSettings::of(encryption, iterations.as_deref()))
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
        self.simple(doing, statement, remedy).await.map(drop)
    }

    /// Reads rows. Parameters are texts.
    pub(crate) async fn rows(
        &mut self,
        doing: &str,
        query: &'static str,
        parameters: &[&str],
    ) -> Result<Vec<PgRow>, EngineError> {
        let query = parameters.iter().fold(sqlx::query(query), |query, parameter| query.bind(*parameter));
        let rows = query.persistent(false).fetch_all(self.driver(doing).await?).await;
        rows.map_err(|error| failure(&error, doing, ""))
    }

    /// Ends the transaction with a password. It is set as a verifier: neither the wire nor the server's log ever holds it.
    ///
    /// `remedy` is what an administrator does when the privilege for it is missing.
    pub(crate) async fn set_password_and_commit(
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
        // In one message: the server need not wait for the second.
        let literal = Zeroizing::new(literal(&verifier));
        let parts = ["ALTER ROLE ", &identifier(user), " PASSWORD ", &literal, "; COMMIT"];
        let statement = Zeroizing::new(parts.concat());
        self.simple(&doing, &statement, remedy).await.map(drop).map_err(of_password)
    }

    pub(crate) async fn close(self) {
        match self.link {
            Link::Bare(logged_in) => logged_in.leave().await,
            // The work is done; a connection that breaks now breaks nothing.
            Link::Driver(connection) => drop(connection.close().await),
            Link::Lost => {}
        }
    }
}
