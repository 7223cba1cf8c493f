//! Passwords that a master sets.

use aws_lc_rs::rand;
use rotation_database::{Copied, EngineError, PasswordReset, PasswordSet, administrator};
use tiberius::error::Error;

use crate::alternate::Step;
use crate::failure::{USED_BEFORE, failure};
use crate::logins::LoginNow;
use crate::own_password::password;
use crate::quote::{binary, identifier};
use crate::scope::Scope;
use crate::session::{Session, unexpected};

/// Sets the password of a login or a contained user and nothing else.
pub(crate) async fn set_password(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<PasswordSet, EngineError> {
    session.begin().await?;
    let copy = reset.alone();
    let mut step = Step { session, copy: &copy, only_looks: false, copied: Copied::default() };
    if let Some(database) = step.contained_in().await? {
        step.password_of_contained(Scope::Database(&database)).await?;
    } else {
        let base = step.logins().await?.base;
        let base = base.ok_or_else(|| EngineError::NoSuchUser { user: reset.user.to_owned() })?;
        step.password_of_login(&base, None).await?;
    }
    Ok(step.copied.password)
}

impl Step<'_> {
    /// An administrator has given it a password that must be changed: as long as that is so, `CHECK_EXPIRATION` cannot be
    /// turned off (15128), and only another password ends it.
    pub(crate) async fn lift_must_change(&mut self, alternate: &LoginNow) -> Result<(), EngineError> {
        let name = identifier(&alternate.name);
        let statement = format!("ALTER LOGIN {name} WITH PASSWORD = {}", password(&unknown_password()?)?);
        let remedy = self.alter_any_login();
        self.session.run_or(&format!("give {} a password", alternate.name), &statement, &remedy).await
    }

    pub(crate) async fn password_of_contained(&mut self, scope: Scope<'_>) -> Result<(), EngineError> {
        let statement = format!(
            "ALTER USER {} WITH PASSWORD = {}",
            identifier(self.copy.turn),
            password(self.copy.password.expose())?
        );
        let remedy = self.make_owner(scope);
        self.set_password(&statement, &remedy).await
    }

    pub(crate) async fn password_of_login(
        &mut self,
        base: &LoginNow,
        alternate: Option<&LoginNow>,
    ) -> Result<(), EngineError> {
        let turn = if self.copy.is_alternates_turn() { alternate } else { Some(base) };
        let turn = turn.ok_or_else(|| unexpected("the login is not there"))?;
        if self.copy.is_alternates_turn() && base.is_disabled {
            return Err(EngineError::NeedsDecision {
                what: format!("{} is disabled, so {} gets no password", base.name, turn.name),
                remedy: administrator(&format!(
                    "ALTER LOGIN {} ENABLE, or stop rotating the secret",
                    identifier(&base.name)
                )),
            });
        }
        let name = identifier(&turn.name);
        let unlock = if turn.is_locked { " UNLOCK" } else { "" };
        let statement =
            format!("ALTER LOGIN {name} WITH PASSWORD = {}{unlock}", password(self.copy.password.expose())?);
        let remedy = self.alter_any_login();
        self.set_password(&statement, &remedy).await?;
        if turn.is_locked && self.copied.password == PasswordSet::InHistory {
            return Err(EngineError::NeedsDecision {
                what: format!(
                    "{} is locked, and the server's history of passwords does not let the password that would unlock it be set \
                     once more",
                    turn.name
                ),
                remedy: administrator(&format!(
                    "ALTER LOGIN {name} WITH CHECK_POLICY = OFF; ALTER LOGIN {name} WITH CHECK_POLICY = ON, which unlocks it"
                )),
            });
        }
        if turn.is_locked {
            self.copied
                .notes
                .push(format!("{} was locked after too many wrong passwords, and is unlocked.", turn.name));
        }
        if self.copy.is_alternates_turn() && turn.is_disabled {
            self.session
                .run_or(&format!("enable {}", turn.name), &format!("ALTER LOGIN {name} ENABLE"), &remedy)
                .await?;
            self.copied.changes.push(format!("{} enabled", turn.name));
        }
        Ok(())
    }

    async fn set_password(&mut self, statement: &str, remedy: &str) -> Result<(), EngineError> {
        match self.session.try_run(statement).await {
            Err(Error::Server(refused)) if refused.code() == USED_BEFORE => {
                self.copied.password = PasswordSet::InHistory;
                Ok(())
            }
            done => done
                .map_err(|error| failure(&error, &format!("set the password of {}", self.copy.turn), remedy)),
        }
    }
}

/// A password that nobody will ever know, of every kind of character that a policy asks for.
pub(crate) fn unknown_password() -> Result<String, EngineError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| unexpected("the system gives no random numbers"))?;
    Ok(format!("aA1!{}", binary(&bytes)))
}
