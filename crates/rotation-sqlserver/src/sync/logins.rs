//! Reads the state of the base login and of the alternate login.

use rotation_database::{EngineError, PasswordRequest};
use tiberius::Row;

use super::Users;
use crate::quote::identifier;
use crate::session::{column, flag, nullable_text, text};

/// The state of a login with a password.
#[derive(Debug, Clone)]
pub(crate) struct LoginState {
    /// The name as the server spells it.
    pub(crate) name: String,
    pub(crate) id: i32,
    pub(crate) sid: Vec<u8>,
    pub(crate) is_disabled: bool,
    pub(crate) is_locked: bool,
    /// `true` if the password must be changed at the next login.
    pub(crate) must_change: bool,
    pub(crate) options: Options,
}

/// The options of `CREATE LOGIN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    database: Option<String>,
    language: Option<String>,
    checks_policy: bool,
    checks_expiration: bool,
}

impl Options {
    /// Returns the options that a login in use gets now, on the way to `wanted`. Its password must
    /// not expire, and wrong passwords must not lock it, so neither check is turned on yet.
    pub(crate) fn while_in_use(&self, wanted: &Self) -> Self {
        Self {
            checks_policy: wanted.checks_policy && self.checks_policy,
            checks_expiration: wanted.checks_expiration && self.checks_expiration,
            ..wanted.clone()
        }
    }

    /// Returns the clauses for `CREATE LOGIN` and `ALTER LOGIN`.
    pub(crate) fn clauses(&self) -> String {
        let on = |on: bool| if on { "ON" } else { "OFF" };
        let named = |option: &str, name: &Option<String>| match name {
            Some(name) => format!("{option} = {}, ", identifier(name)),
            None => String::new(),
        };
        format!(
            "{}{}CHECK_POLICY = {}, CHECK_EXPIRATION = {}",
            named("DEFAULT_DATABASE", &self.database),
            named("DEFAULT_LANGUAGE", &self.language),
            on(self.checks_policy),
            on(self.checks_expiration)
        )
    }
}

/// The base login and the alternate login, if they exist.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    pub(crate) base: Option<LoginState>,
    pub(crate) alternate: Option<LoginState>,
}

impl<R: PasswordRequest> Users<'_, R> {
    /// Reads the logins of the request. The server compares names by its collation.
    pub(crate) async fn logins(&mut self) -> Result<Logins, EngineError> {
        const QUERY: &str = "SELECT l.name, CAST(l.principal_id AS int), l.sid, \
            CAST(l.is_disabled AS int), \
            CAST(COALESCE(LOGINPROPERTY(l.name, 'IsLocked'), 0) AS int), l.default_database_name, \
            l.default_language_name, CAST(l.is_policy_checked AS int), \
            CAST(l.is_expiration_checked AS int), \
            CASE WHEN l.name = @P1 THEN 1 ELSE 0 END, \
            CAST(COALESCE(LOGINPROPERTY(l.name, 'IsMustChange'), 0) AS int) \
            FROM [master].sys.sql_logins l WHERE l.name IN (@P1, @P2)";
        let base = self.request.base();
        let names = [base, self.request.alternate().unwrap_or(base)];
        let mut logins = Logins::default();
        for row in self.session.rows("look for the logins", QUERY, &names).await? {
            let which = if flag(&row, 9)? { &mut logins.base } else { &mut logins.alternate };
            *which = Some(login(&row)?);
        }
        Ok(logins)
    }
}

fn login(row: &Row) -> Result<LoginState, EngineError> {
    Ok(LoginState {
        name: text(row, 0)?,
        id: column(row, 1)?,
        sid: column::<&[u8]>(row, 2)?.to_vec(),
        is_disabled: flag(row, 3)?,
        is_locked: flag(row, 4)?,
        must_change: flag(row, 10)?,
        options: Options {
            database: nullable_text(row, 5)?,
            language: nullable_text(row, 6)?,
            checks_policy: flag(row, 7)?,
            checks_expiration: flag(row, 8)?,
        },
    })
}
