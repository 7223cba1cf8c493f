//! A session. It runs statements only in a [`Transaction`].

mod transaction;

use std::mem;

use rotation_database::{EngineError, Login, LoginError};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};

use crate::failure::failure;
use crate::form_setting::PasswordForm;
use crate::login::LoggedIn;
use crate::origin::Origin;
use crate::password_form::StorageSettings;

pub(crate) use transaction::{Access, Transaction};

/// A session of a user that has logged in.
pub struct Session {
    link: Link,
    origin: Origin,
    /// The server's answer, once it has been asked.
    identity: Option<Identity>,
    /// A transaction has begun, and it is not known to have ended.
    is_in_transaction: bool,
    password_form: PasswordForm,
}

/// Statements without parameters need no driver, which costs as much as one of them: a user's own
/// change is made of such.
enum Link {
    Bare(LoggedIn),
    Driver(PgConnection),
    Lost,
}

/// The role and the server of a session, as the server reports them.
#[derive(Debug)]
pub(crate) struct Identity {
    /// The role that has logged in: a pooler can log in as another role than its client named.
    pub role: String,
    /// The server is a standby, which takes no changes.
    pub is_standby: bool,
    /// Another process serves the session than the login named: a pooler or a proxy stands between.
    pub is_pooled: bool,
    /// How the server stores new passwords.
    pub storage: StorageSettings,
}

impl Session {
    pub(crate) fn new(logged_in: LoggedIn, login: &Login<'_>, password_form: PasswordForm) -> Self {
        let origin = Origin {
            host: login.host.to_owned(),
            port: login.port,
            user: login.user.to_owned(),
            database: login.database.map(str::to_owned),
            tls: login.tls,
            authorities: login.authorities.clone(),
            method: logged_in.method(),
            version: logged_in.version(),
            process: logged_in.process(),
        };
        Self {
            link: Link::Bare(logged_in),
            origin,
            identity: None,
            is_in_transaction: false,
            password_form,
        }
    }

    /// How the session sends new passwords to the server.
    pub(crate) fn password_form(&self) -> PasswordForm {
        self.password_form
    }

    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    async fn driver(&mut self, action: &str) -> Result<&mut PgConnection, EngineError> {
        let failed = |cause| EngineError::Disconnected { action: action.to_owned(), cause };
        let Origin { port, user, database, .. } = &self.origin;
        self.link = match mem::replace(&mut self.link, Link::Lost) {
            Link::Bare(bare) => {
                Link::Driver(bare.driver(*port, user, database.as_deref()).await.map_err(failed)?)
            }
            other => other,
        };
        match &mut self.link {
            Link::Driver(connection) => Ok(connection),
            _ => Err(failed(LoginError::Network { message: "it was lost before".into() })),
        }
    }

    /// Runs statements that have no parameters, and gives the texts of the last row.
    async fn simple(
        &mut self,
        action: &str,
        statements: &str,
        remedy: &str,
    ) -> Result<Vec<Option<String>>, EngineError> {
        if let Link::Bare(logged_in) = &mut self.link {
            let done = logged_in.query(action, statements, remedy).await;
            if matches!(done, Err(EngineError::Disconnected { .. })) {
                self.link = Link::Lost;
            }
            return done;
        }
        let failed = |error| failure(&error, action, remedy);
        let sql = AssertSqlSafe(statements.to_owned());
        // Boxed, since the compiler limits how deep futures may be nested in one another.
        let driver = Box::pin(self.driver(action)).await?;
        let rows = Box::pin(sqlx::raw_sql(sql).fetch_all(driver)).await.map_err(failed)?;
        let Some(row) = rows.last() else { return Ok(Vec::new()) };
        // Texts of whatever type: that is the form of a simple query's answer.
        (0..row.len()).map(|at| row.try_get_unchecked(at).map_err(failed)).collect()
    }

    /// Reads rows. Parameters are texts.
    async fn rows(
        &mut self,
        action: &str,
        query: &'static str,
        parameters: &[&str],
    ) -> Result<Vec<PgRow>, EngineError> {
        let query =
            parameters.iter().fold(sqlx::query(query), |query, parameter| query.bind(*parameter));
        let driver = Box::pin(self.driver(action)).await?;
        let rows = Box::pin(query.persistent(false).fetch_all(driver)).await;
        rows.map_err(|error| failure(&error, action, ""))
    }

    pub(crate) async fn close(self) {
        match self.link {
            Link::Bare(logged_in) => logged_in.leave().await,
            // The work is done; a connection that breaks now breaks nothing.
            Link::Driver(connection) => drop(Box::pin(connection.close()).await),
            Link::Lost => {}
        }
    }
}
