//! The only way to run a statement: in a transaction that begins by fixing the session's settings.
//!
//! Other users can choose the settings with which a session begins: the owner of the database
//! (`ALTER DATABASE … SET`) and the role itself (`ALTER ROLE … SET`). With a `search_path` of an
//! attacker, even the operator `=` is a function of the attacker, which a session of the master
//! user would run with the privileges of the master user. A [`Session`] therefore cannot run
//! statements itself, and the first message of every transaction fixes these settings:
//!
//! - `search_path`: Functions, operators, types and tables are those of `pg_catalog`. Temporary
//!   objects come last. Without the setting, they would come first.
//! - `role`: The session acts as the role that logged in.
//! - `standard_conforming_strings`: A backslash in a literal is a backslash.
//! - The access mode (`default_transaction_read_only`): A transaction that only reads cannot write,
//!   so that not even an attacker's code could change anything.
//! - Timeouts, so that the transaction neither waits for a lock nor holds one for long, and
//!   `synchronous_commit`, so that an acknowledged change is on disk.
//!
//! The settings are `LOCAL`, because in a pooler's transaction mode the next transaction may be in
//! another session. `client_encoding`, `DateStyle` and `TimeZone` are in the startup message, which
//! takes precedence over both kinds of settings.
//!
//! Two things act before the first statement and cannot be fixed:
//!
//! - Libraries that the server loads. Only superusers can set `session_preload_libraries`, and
//!   `local_preload_libraries` only loads libraries that an administrator has put into `plugins`.
//! - `login` event triggers of PostgreSQL 17 and later. Only superusers can create event triggers.
//!   Other event triggers do not fire for statements on roles.

use rotation_database::EngineError;
use rotation_database::sync::Statement;
use sqlx::postgres::PgRow;
use zeroize::Zeroizing;

use super::{Identity, Session};
use crate::failure::of_password;
use crate::stored_form::StorageSettings;

/// The purpose of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// The transaction writes as the role that logged in.
    Change,
    /// The transaction reads as the role that logged in.
    Look,
    /// The transaction reads as the role that the session acts as (`ALTER ROLE … SET role`).
    ReadAsRole,
}

impl Access {
    fn begin(self) -> String {
        let mode = if self == Self::Change { "READ WRITE" } else { "READ ONLY" };
        let role = if self == Self::ReadAsRole { "" } else { "SET LOCAL role = none; " };
        // The server must not evaluate any expression before the search path is set.
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED {mode}; SET LOCAL search_path = pg_catalog, \
             pg_temp; {role}SET LOCAL standard_conforming_strings = on; SET LOCAL \
             statement_timeout = '10s'; SET LOCAL lock_timeout = '4s'; SET LOCAL \
             idle_in_transaction_session_timeout = '15s'; SELECT pg_catalog.set_config(s.name, \
             '0', true) FROM pg_catalog.pg_settings s WHERE s.name = 'transaction_timeout'; SELECT \
             pg_catalog.set_config('synchronous_commit', 'on', true) WHERE \
             pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')"
        )
    }
}

/// A transaction in which settings that other users have chosen do not apply. It ends with
/// [`Transaction::commit`]. Otherwise, the next transaction or the end of the session rolls it
/// back.
pub(crate) struct Transaction<'a> {
    session: &'a mut Session,
}

impl Session {
    /// Begins a transaction, after it has rolled back one that is still open.
    pub(crate) async fn begin(&mut self, access: Access) -> Result<Transaction<'_>, EngineError> {
        const ACTION: &str = "begin a transaction";
        let opening = self.opening(access);
        self.simple(ACTION, &opening, None).await?;
        Ok(Transaction { session: self })
    }

    /// Returns the statements that begin a transaction, after one that is still open was rolled
    /// back. The transaction counts as open from now on, even if a statement fails.
    fn opening(&mut self, access: Access) -> String {
        let is_open = std::mem::replace(&mut self.is_in_transaction, true);
        format!("{}{}", if is_open { "ROLLBACK; " } else { "" }, access.begin())
    }

    /// Returns the role and the server of the session. Asks the server only once.
    pub(crate) async fn identity(&mut self) -> Result<&Identity, EngineError> {
        let identity = match self.identity.take() {
            Some(identity) => identity,
            None => self.ask_identity().await?,
        };
        Ok(self.identity.insert(identity))
    }

    /// Runs a query in a transaction of its own, which is sent as one message. Returns the texts of
    /// the row.
    pub(crate) async fn ask(
        &mut self,
        action: &str,
        select: &str,
    ) -> Result<Vec<Option<String>>, EngineError> {
        let opening = self.opening(Access::ReadAsRole);
        let texts = self.simple(action, &format!("{opening}; {select}; COMMIT"), None).await?;
        self.is_in_transaction = false;
        Ok(texts)
    }

    async fn ask_identity(&mut self) -> Result<Identity, EngineError> {
        const ACTION: &str = "read the role that has logged in";
        const SELECT: &str = "SELECT session_user::pg_catalog.text, \
            pg_catalog.pg_is_in_recovery()::pg_catalog.text, \
            pg_catalog.pg_backend_pid()::pg_catalog.text, \
            pg_catalog.current_setting('password_encryption'), \
            pg_catalog.current_setting('scram_iterations', true)";
        match self.ask(ACTION, SELECT).await?.as_slice() {
            [Some(role), Some(standby), Some(process), Some(encryption), iterations] => {
                Ok(Identity {
                    role: role.clone(),
                    is_standby: standby == "true",
                    is_pooled: self.origin.process.is_none_or(|named| process.parse() != Ok(named)),
                    storage: StorageSettings::of(encryption, iterations.as_deref()),
                })
            }
            _ => Err(EngineError::Failed {
                action: ACTION.into(),
                code: "protocol".into(),
                message: "the server did not return the role".into(),
            }),
        }
    }
}

impl Transaction<'_> {
    pub(crate) fn version(&self) -> Option<u32> {
        self.session.origin.version
    }

    /// Executes a change. If the privilege for it is missing, the transaction stays usable, so that
    /// the privileges for the following changes can be checked too.
    pub(crate) async fn change(&mut self, statement: &Statement) -> Result<(), EngineError> {
        let Statement { action, sql, remedy } = statement;
        let message = format!("SAVEPOINT change; {sql}; RELEASE SAVEPOINT change");
        let done = self.session.simple(action, &message, remedy.as_deref()).await.map(drop);
        if matches!(done, Err(EngineError::PrivilegeMissing { .. })) {
            self.session.simple(action, "ROLLBACK TO SAVEPOINT change", None).await?;
        }
        done
    }

    /// Reads rows. Parameters are texts.
    pub(crate) async fn rows(
        &mut self,
        action: &str,
        query: &'static str,
        parameters: &[&str],
    ) -> Result<Vec<PgRow>, EngineError> {
        self.session.rows(action, query, parameters).await
    }

    /// Commits the changes and ends the transaction.
    pub(crate) async fn commit(self) -> Result<(), EngineError> {
        self.session.simple("commit the changes", "COMMIT", None).await?;
        self.session.is_in_transaction = false;
        Ok(())
    }

    /// Sets a password, commits the transaction and begins another one, all in one message. So a
    /// pooler in transaction mode does not give the connection to the server to another client, and
    /// the next change does not need a new login of the pooler.
    ///
    /// `remedy` is the remedy if the privilege to set the password is missing.
    pub(crate) async fn set_password_and_begin(
        &mut self,
        user: &str,
        mut messages: Vec<Zeroizing<String>>,
        remedy: &str,
    ) -> Result<(), EngineError> {
        let action = format!("set the password of {user}");
        if let Some(last) = messages.last_mut() {
            *last = Zeroizing::new([last.as_str(), "; ", &Access::Change.begin()].concat());
        }
        for message in messages {
            self.session.simple(&action, &message, Some(remedy)).await.map_err(of_password)?;
        }
        Ok(())
    }

    /// Sets a password and commits the transaction.
    ///
    /// `remedy` is the remedy if the privilege to set the password is missing.
    pub(crate) async fn set_password_and_commit(
        self,
        user: &str,
        messages: Vec<Zeroizing<String>>,
        remedy: &str,
    ) -> Result<(), EngineError> {
        let action = format!("set the password of {user}");
        for message in messages {
            self.session.simple(&action, &message, Some(remedy)).await.map_err(of_password)?;
        }
        self.session.is_in_transaction = false;
        Ok(())
    }
}
