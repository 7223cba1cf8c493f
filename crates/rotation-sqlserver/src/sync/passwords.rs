//! Sets passwords of other users as the master user.

use aws_lc_rs::rand;
use rotation_database::sync::Statement;
use rotation_database::{
    EngineError, PasswordRequest, PasswordReset, PasswordSet, SyncReport, administrator,
};
use tiberius::error::Error;

use super::logins::LoginState;
use super::{Home, UserState, Users, login_remedy, owner_remedy};
use crate::failure::{USED_BEFORE, failure};
use crate::own_password::password;
use crate::principal::Kind;
use crate::quote::{binary, identifier};
use crate::scope::Scope;
use crate::session::{Session, unexpected};

/// Sets the password of a login or a contained user, and changes nothing else.
pub(crate) async fn set_password(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<PasswordSet, EngineError> {
    session.begin().await?;
    let mut users = Users::new(session, reset);
    let mut report = SyncReport::default();
    let missing = || EngineError::NoSuchUser { user: reset.user.to_owned() };
    if let Home::Database(database) = users.home().await? {
        let scope = Scope::Database(&database);
        let user = users.contained_user(scope).await?.ok_or_else(missing)?;
        users.check_proven(Kind::ContainedUser, &user.sid, None)?;
        users.sids.push(user.sid);
        users.check_triggers(scope).await?;
        users.password_of_contained(scope, &mut report).await?;
    } else {
        let base = users.logins().await?.base.ok_or_else(missing)?;
        users.check_proven(Kind::Login, &base.sid, None)?;
        users.sids.push(base.sid.clone());
        users.check_triggers(Scope::Server).await?;
        users.password_of_login(&base, None, &mut report).await?;
    }
    Ok(report.password)
}

/// Returns the errors with which [`set_password`] would fail now, because it would fire DDL
/// triggers of the application's users.
pub(crate) async fn blocking_triggers(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    session.begin().await?;
    let mut users = Users::collecting_errors(session, reset);
    if let Home::Database(database) = users.home().await? {
        let scope = Scope::Database(&database);
        if let Some(user) = users.contained_user(scope).await? {
            users.sids.push(user.sid);
            users.check_triggers(scope).await?;
        }
    } else if let Some(base) = users.logins().await?.base {
        users.sids.push(base.sid);
        users.check_triggers(Scope::Server).await?;
    }
    Ok(users.trigger_errors)
}

impl<R: PasswordRequest> Users<'_, R> {
    /// Returns the contained user whose password is set. Fails if the master user cannot see the
    /// triggers that could run in the user's database.
    async fn contained_user(&mut self, scope: Scope<'_>) -> Result<Option<UserState>, EngineError> {
        self.check_visible_in_database().await?;
        self.read_user(scope, self.request.base()).await
    }

    pub(crate) async fn password_of_contained(
        &mut self,
        scope: Scope<'_>,
        report: &mut SyncReport,
    ) -> Result<(), EngineError> {
        let statement = format!(
            "ALTER USER {} WITH PASSWORD = {}",
            identifier(self.request.target()),
            password(self.request.password().expose())?
        );
        let remedy = owner_remedy(self.request.master(), scope);
        report.password = self.set_password(&statement, &remedy).await?;
        Ok(())
    }

    pub(crate) async fn password_of_login(
        &mut self,
        base: &LoginState,
        alternate: Option<&LoginState>,
        report: &mut SyncReport,
    ) -> Result<(), EngineError> {
        let target = if self.request.is_alternate_target() { alternate } else { Some(base) };
        let target = target.ok_or_else(|| unexpected("the login is not there"))?;
        if self.request.is_alternate_target() && base.is_disabled {
            return Err(EngineError::NeedsDecision {
                what: format!("{} is disabled, so {} gets no password", base.name, target.name),
                remedy: administrator(&format!(
                    "ALTER LOGIN {} ENABLE, or stop rotating the secret",
                    identifier(&base.name)
                )),
            });
        }
        let name = identifier(&target.name);
        let unlock = if target.is_locked { " UNLOCK" } else { "" };
        let statement = format!(
            "ALTER LOGIN {name} WITH PASSWORD = {}{unlock}",
            password(self.request.password().expose())?
        );
        let remedy = login_remedy(self.request.master());
        report.password = self.set_password(&statement, &remedy).await?;
        if target.is_locked && report.password == PasswordSet::InHistory {
            return Err(EngineError::NeedsDecision {
                what: format!(
                    "{} is locked, and the server's password history does not allow to set its \
                     password again, which would unlock it",
                    target.name
                ),
                remedy: administrator(&format!(
                    "ALTER LOGIN {name} WITH CHECK_POLICY = OFF; ALTER LOGIN {name} WITH \
                     CHECK_POLICY = ON, which unlocks it"
                )),
            });
        }
        if target.is_locked {
            report.notes.push(format!(
                "{} was locked after too many wrong passwords, and is unlocked.",
                target.name
            ));
        }
        if self.request.is_alternate_target() && target.is_disabled {
            self.check_triggers(Scope::Server).await?;
            let action = format!("enable {}", target.name);
            let enable = Statement::new(action, format!("ALTER LOGIN {name} ENABLE"), &remedy);
            self.session.execute(&enable).await?;
            report.changes.push(format!("{} enabled", target.name));
        }
        Ok(())
    }

    async fn set_password(
        &mut self,
        statement: &str,
        remedy: &str,
    ) -> Result<PasswordSet, EngineError> {
        match self.session.try_run(statement).await {
            Err(Error::Server(refused)) if refused.code() == USED_BEFORE => {
                Ok(PasswordSet::InHistory)
            }
            Ok(()) => Ok(PasswordSet::Now),
            Err(error) => Err(failure(
                &error,
                &format!("set the password of {}", self.request.target()),
                Some(remedy),
            )),
        }
    }
}

/// Generates a random password that is stored nowhere. It has every kind of character that a policy
/// may require.
pub(crate) fn random_password() -> Result<String, EngineError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| unexpected("could not generate random numbers"))?;
    Ok(format!("aA1!{}", binary(&bytes)))
}
