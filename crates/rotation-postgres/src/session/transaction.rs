//! The only way to run a statement: in a transaction that begins by pinning the session's settings.
//!
//! Others may set what a session begins with: the owner of the database (`ALTER DATABASE … SET`)
//! and the role itself (`ALTER ROLE … SET`). With a `search_path` of theirs, an operator as
//! harmless as `=` is a function of theirs, which a master's session would run with the master's
//! privileges. So a [`Session`] by itself runs nothing, and the first message of every transaction
//! pins:
//!
//! - `search_path`: functions, operators, types and tables are those of `pg_catalog`. Temporary
//!   objects, which would otherwise come first, come last.
//! - `role`: the session acts as the role that logged in.
//! - `standard_conforming_strings`: a backslash in a literal is a backslash.
//! - whether the transaction may write (`default_transaction_read_only`). One that only looks may
//!   not, so that not even foreign code could change anything.
//! - time-outs, so that no lock is waited for or held for long, and `synchronous_commit`, so that
//!   an acknowledged change is on disk.
//!
//! With `LOCAL`: in a pooler's transaction mode, the next transaction may be in another session.
//! `client_encoding`, `DateStyle` and `TimeZone` come with the start-up message, which outranks
//! both kinds of settings. Not pinned, because they act before the first statement: libraries that
//! the server loads (`session_preload_libraries` is for superusers; `local_preload_libraries` only
//! loads what an administrator has put into `plugins`), and `login` event triggers of PostgreSQL 17
//! and later. Event triggers, which only superusers create, do not fire for roles.

use rotation_database::EngineError;
use rotation_database::sync::Statement;
use sqlx::postgres::PgRow;
use zeroize::Zeroizing;

use super::{Identity, Session};
use crate::failure::of_password;
use crate::password_form::StorageSettings;

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// It changes something, as the role that logged in.
    Change,
    /// It looks at something, as the role that logged in.
    Look,
    /// It looks at something as the role that the session acts as (`ALTER ROLE … SET role`).
    LookAsActing,
}

impl Access {
    fn begin(self) -> String {
        let mode = if self == Self::Change { "READ WRITE" } else { "READ ONLY" };
        let role = if self == Self::LookAsActing { "" } else { "SET LOCAL role = none; " };
        // No expression is evaluated before the search path is pinned.
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED {mode}; SET LOCAL search_path = pg_catalog, pg_temp; {role}\
             SET LOCAL standard_conforming_strings = on; \
             SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '4s'; \
             SET LOCAL idle_in_transaction_session_timeout = '15s'; \
             SELECT pg_catalog.set_config(s.name, '0', true) FROM pg_catalog.pg_settings s \
                 WHERE s.name = 'transaction_timeout'; \
             SELECT pg_catalog.set_config('synchronous_commit', 'on', true) \
                 WHERE pg_catalog.current_setting('synchronous_commit') IN ('off', 'local')"
        )
    }
}

/// A transaction in which no setting counts that others may have chosen. It ends with
/// [`Transaction::commit`]; otherwise the next one, or the end of the session, rolls it back.
pub(crate) struct Transaction<'a> {
    session: &'a mut Session,
}

impl Session {
    /// Begins a transaction.
    pub(crate) async fn begin(&mut self, access: Access) -> Result<Transaction<'_>, EngineError> {
        const ACTION: &str = "begin a transaction";
        let rollback = if self.is_in_transaction { "ROLLBACK; " } else { "" };
        self.is_in_transaction = true;
        self.simple(ACTION, &format!("{rollback}{}", access.begin()), "").await?;
        Ok(Transaction { session: self })
    }

    /// Returns the role and the server of the session. The server is asked once.
    pub(crate) async fn identity(&mut self) -> Result<&Identity, EngineError> {
        let identity = match self.identity.take() {
            Some(identity) => identity,
            None => self.ask_identity().await?,
        };
        Ok(self.identity.insert(identity))
    }

    /// Asks in a whole transaction, sent as one message. Returns the texts of the row.
    pub(crate) async fn ask(
        &mut self,
        action: &str,
        select: &str,
    ) -> Result<Vec<Option<String>>, EngineError> {
        let begin = Access::LookAsActing.begin();
        self.simple(action, &format!("{begin}; {select}; COMMIT"), "").await
    }

    async fn ask_identity(&mut self) -> Result<Identity, EngineError> {
        const ACTION: &str = "ask which role has logged in";
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
                message: "no role".into(),
            }),
        }
    }
}

impl Transaction<'_> {
    pub(crate) fn version(&self) -> u32 {
        self.session.origin.version
    }

    /// Executes a change. If the privilege for it is missing, the transaction stays usable, so that
    /// the privileges for the following changes can be checked too.
    pub(crate) async fn change(&mut self, statement: &Statement) -> Result<(), EngineError> {
        let Statement { action, sql, remedy } = statement;
        let message = format!("SAVEPOINT change; {sql}; RELEASE SAVEPOINT change");
        let done = self.session.simple(action, &message, remedy).await.map(drop);
        if matches!(done, Err(EngineError::PrivilegeMissing { .. })) {
            self.session.simple(action, "ROLLBACK TO SAVEPOINT change", "").await?;
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

    /// Makes the changes last.
    pub(crate) async fn commit(self) -> Result<(), EngineError> {
        self.session.simple("commit the changes", "COMMIT", "").await?;
        self.session.is_in_transaction = false;
        Ok(())
    }

    /// Ends the transaction with a password.
    ///
    /// `remedy` is what an administrator does when the privilege for it is missing.
    pub(crate) async fn set_password_and_commit(
        self,
        user: &str,
        messages: Vec<Zeroizing<String>>,
        remedy: &str,
    ) -> Result<(), EngineError> {
        let action = format!("set the password of {user}");
        for message in messages {
            self.session.simple(&action, &message, remedy).await.map_err(of_password)?;
        }
        self.session.is_in_transaction = false;
        Ok(())
    }
}
