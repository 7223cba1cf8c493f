//! A session, whose first statement sets everything that other users could have configured
//! differently.

use std::mem;

use rotation_database::sync::Statement;
use rotation_database::{EngineError, Login, LoginError};
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Connection, MySqlConnection, Row};
use zeroize::Zeroizing;

use crate::account::Account;
use crate::authenticate::Method;
use crate::failure::number::ACCESS_DENIED;
use crate::failure::{failure, number_of, rejected_behind_proxy};
use crate::login::LoggedIn;
use crate::quote::Literals;

/// A session of a user that has logged in.
pub struct Session {
    link: Link,
    /// `true` if the function is for MariaDB.
    is_mariadb: bool,
    /// `true` if the greeting of the server reports MariaDB.
    greets_as_mariadb: bool,
    greets_as_maxscale: bool,
    /// The connection id in the greeting.
    greeted_as: u32,
    /// The account and the server, or `None` before the server was asked.
    identity: Option<Identity>,
    method: Method,
    is_encrypted: bool,
    is_pinned: bool,
}

/// The account and the server of a session, as the server reports them. A value that it does not
/// report is `None`.
struct Identity {
    /// The account that the server runs the session as.
    account: Account,
    version: Option<String>,
    read_only: Option<String>,
    innodb_read_only: Option<String>,
    connection: Option<String>,
}

/// The connection of a session. The driver takes over at the first statement, because most logins
/// only check a password.
enum Link {
    Bare(LoggedIn),
    Driver(MySqlConnection),
    Lost,
}

impl Session {
    pub(crate) async fn log_in(login: &Login<'_>, is_mariadb: bool) -> Result<Self, LoginError> {
        let logged_in = LoggedIn::over_new_connection(login).await?;
        Ok(Self {
            is_mariadb,
            greets_as_mariadb: is_version_of_mariadb(logged_in.version()),
            greets_as_maxscale: logged_in.version().to_ascii_lowercase().contains("maxscale"),
            greeted_as: logged_in.connection(),
            identity: None,
            method: logged_in.method,
            is_encrypted: logged_in.is_encrypted,
            is_pinned: false,
            link: Link::Bare(logged_in),
        })
    }

    pub(crate) fn is_mariadb(&self) -> bool {
        self.is_mariadb
    }

    /// Returns the method with which the server authenticated the user.
    pub(crate) fn method(&self) -> Method {
        self.method
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// Returns the statement with which every session starts. It sets how the server reads names,
    /// literals and bytes, which `init_connect`, a global `sql_mode` and a server that ignores the
    /// character set of its clients can all change. It also limits the time that statements wait
    /// for a lock (the default is a year).
    fn pin(&self) -> &'static str {
        match self.greets_as_mariadb {
            false => "SET SESSION sql_mode = '', lock_wait_timeout = 4, NAMES utf8mb4; ",
            // MariaDB ignores lock_wait_timeout when it waits for a global read lock.
            true => {
                "SET SESSION sql_mode = '', lock_wait_timeout = 4, max_statement_time = 4, NAMES \
                 utf8mb4; "
            }
        }
    }

    /// Returns the account as which the server runs this session.
    pub(crate) async fn account(&mut self) -> Result<Account, EngineError> {
        Ok(self.identity().await?.account.clone())
    }

    /// Returns the account and the server of the session. Asks the server only once.
    async fn identity(&mut self) -> Result<&Identity, EngineError> {
        let identity = match self.identity.take() {
            Some(identity) => identity,
            None => self.ask_identity().await?,
        };
        Ok(self.identity.insert(identity))
    }

    async fn ask_identity(&mut self) -> Result<Identity, EngineError> {
        const ACTION: &str = "read the account that has logged in";
        const QUERY: &str = "SELECT CURRENT_USER(), VERSION(), @@GLOBAL.read_only, \
                             @@GLOBAL.innodb_read_only, CONCAT(CONNECTION_ID())";
        let rows = match self.results(QUERY).await {
            Ok(rows) => rows,
            Err(error) if number_of(&error) == Some(ACCESS_DENIED) => {
                return Err(EngineError::Disconnected {
                    action: ACTION.into(),
                    cause: rejected_behind_proxy(&error),
                });
            }
            Err(error) => return Err(failure(&error, ACTION, None)),
        };
        let value = |at| rows.first().and_then(|row| text(row, at));
        let account =
            value(0).and_then(|user| Account::from_current_user(&user)).ok_or_else(|| {
                EngineError::Failed {
                    action: ACTION.into(),
                    code: "protocol".into(),
                    message: "the server did not return the account".into(),
                }
            })?;
        Ok(Identity {
            account,
            version: value(1),
            read_only: value(2),
            innodb_read_only: value(3),
            connection: value(4),
        })
    }

    /// Checks that the server is of the kind that this function is for, and that it is writable.
    ///
    /// A privileged session may write to a read-only server, but the primary never gets the change.
    pub(crate) async fn check_writable(&mut self) -> Result<(), EngineError> {
        let is_mariadb = self.is_mariadb;
        let Identity { version, read_only, innodb_read_only, .. } = self.identity().await?;
        if let Some(version) = version
            && is_version_of_mariadb(version) != is_mariadb
        {
            let (own, found) = if is_mariadb { ("MariaDB", "MySQL") } else { ("MySQL", "MariaDB") };
            let name = found.to_ascii_lowercase();
            return Err(EngineError::NeedsDecision {
                what: format!("this function is for {own}, but the server is {found} {version}"),
                remedy: format!(
                    "Rotate the secret with the function for {found} (rotation-{name}), and set \
                     \"engine\": \"{name}\" in the secret and in the master secret."
                ),
            });
        }
        for (variable, value) in [("read_only", read_only), ("innodb_read_only", innodb_read_only)]
        {
            if let Some(value) = value
                && !["", "0", "OFF"].contains(&value.as_str())
            {
                return Err(EngineError::not_writable(format!("{variable} is {value}")));
            }
        }
        Ok(())
    }

    /// Returns `true` if the server reports another connection ID than the greeting, which has 32
    /// bits of it.
    pub(crate) async fn has_other_connection(&mut self) -> Result<bool, EngineError> {
        let number = self.identity().await?.connection.as_ref().map(|text| text.parse::<u64>());
        Ok(number
            .and_then(Result::ok)
            .is_some_and(|number| number & u64::from(u32::MAX) != u64::from(self.greeted_as)))
    }

    pub(crate) fn greets_as_maxscale(&self) -> bool {
        self.greets_as_maxscale
    }

    /// Returns `true` if a session whose password has expired belongs to an account of `user`.
    ///
    /// In such a session, MariaDB only allows `SET`. The statement fails on purpose if the account
    /// belongs to another user.
    pub(crate) async fn expired_session_belongs_to(
        &mut self,
        user: &str,
    ) -> Result<bool, EngineError> {
        const SEVERAL_ROWS: u16 = 1242;
        let statement = format!(
            "SET @rotation_account = IF(BINARY LEFT(CURRENT_USER(), CHAR_LENGTH(CURRENT_USER()) \
             - LOCATE('@', REVERSE(CURRENT_USER()))) = {}, 1, (SELECT 1 UNION ALL SELECT 2))",
            Literals::BackslashEscapes.quote(user)
        );
        match self.try_run(&statement).await {
            Ok(()) => Ok(true),
            Err(error) if number_of(&error) == Some(SEVERAL_ROWS) => Ok(false),
            Err(error) => Err(failure(&error, "read the account that has logged in", None)),
        }
    }

    /// Returns `true` if a role is active in the session. Servers before MySQL 8 have no roles.
    pub(crate) async fn has_active_role(&mut self) -> bool {
        let query = "SELECT CONVERT(CURRENT_ROLE() USING utf8mb4)";
        let rows = self.rows("read the active roles", query).await.unwrap_or_default();
        rows.first().and_then(|row| text(row, 0)).is_some_and(|role| role != "NONE")
    }

    /// Activates every role of the session's account, if the server supports that. Returns the
    /// roles that are not active.
    ///
    /// A granted role has no effect until it is active. Only the session itself or the account's
    /// default roles can activate it. In MariaDB, only one role can be active at a time.
    pub(crate) async fn activate_roles(&mut self) -> Result<Vec<String>, EngineError> {
        if !self.greets_as_mariadb {
            // MySQL 5.7 has no roles.
            let _ = self.run("activate the roles", "SET ROLE ALL").await;
            return Ok(Vec::new());
        }
        if self.has_active_role().await {
            return Ok(Vec::new());
        }
        let query =
            "SELECT CONVERT(ROLE_NAME USING utf8mb4) FROM information_schema.APPLICABLE_ROLES";
        let rows = self.rows("read the roles of the session", query).await.unwrap_or_default();
        let mut roles: Vec<_> = rows.iter().filter_map(|row| text(row, 0)).collect();
        roles.sort();
        roles.dedup();
        Ok(roles)
    }

    async fn driver(&mut self) -> sqlx::Result<&mut MySqlConnection> {
        self.link = match mem::replace(&mut self.link, Link::Lost) {
            Link::Bare(bare) => Link::Driver(bare.driver().await.map_err(io_error)?),
            other => other,
        };
        match &mut self.link {
            Link::Driver(connection) => Ok(connection),
            _ => Err(io_error(LoginError::Network { message: "it is already lost".into() })),
        }
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
    pub(crate) async fn try_run(&mut self, statement: &str) -> sqlx::Result<()> {
        self.results(statement).await.map(drop)
    }

    /// Reads the rows of a query that requires no specific privilege.
    pub(crate) async fn rows(
        &mut self,
        action: &str,
        query: &str,
    ) -> Result<Vec<MySqlRow>, EngineError> {
        self.rows_or(action, query, None).await
    }

    /// Reads rows. `remedy` is the remedy if the privilege for it is missing.
    pub(crate) async fn rows_or(
        &mut self,
        action: &str,
        query: &str,
        remedy: Option<&str>,
    ) -> Result<Vec<MySqlRow>, EngineError> {
        self.results(query).await.map_err(|error| failure(&error, action, remedy))
    }

    /// Sends a statement, after the settings of [`Self::pin`] if it is the first one of the
    /// session. Every other function that runs a statement calls this one.
    ///
    /// Statements use the text protocol, because the server logs a statement that it prepares
    /// before it has parsed it.
    async fn results(&mut self, statement: &str) -> sqlx::Result<Vec<MySqlRow>> {
        let pin = if self.is_pinned { "" } else { self.pin() };
        let text = Zeroizing::new([pin, statement].concat());
        let sql = AssertSqlSafe(text.as_str().to_owned());
        // Boxed, because the compiler limits how deeply futures can be nested.
        let driver = Box::pin(self.driver()).await?;
        let rows = Box::pin(sqlx::raw_sql(sql).fetch_all(driver)).await?;
        self.is_pinned = true;
        Ok(rows)
    }

    pub(crate) async fn close(self) {
        match self.link {
            Link::Bare(logged_in) => logged_in.close().await,
            // The work is done, so a failure of the connection no longer matters.
            Link::Driver(connection) => drop(Box::pin(connection.close()).await),
            Link::Lost => {}
        }
    }
}

/// Returns `true` if a version belongs to MariaDB, such as `10.11.6-MariaDB`.
fn is_version_of_mariadb(version: &str) -> bool {
    version.to_ascii_lowercase().contains("mariadb")
}

/// Wraps a login error in the driver's error type, which has no variant for it. [`failure`] unwraps
/// it.
fn io_error(error: LoginError) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::other(error))
}

/// Returns a column of any string type as text.
pub(crate) fn text(row: &MySqlRow, column: usize) -> Option<String> {
    let bytes: Vec<u8> = row.try_get_unchecked(column).ok()?;
    String::from_utf8(bytes).ok()
}
