//! The Oracle engine: logs in, changes passwords and syncs an alternate user.

mod common_user;
mod decision;
mod descriptor;
mod driver;
mod failure;
mod login;
mod name;
mod own_password;
mod preflight;
mod probe;
mod session;
mod sync;
mod wallet;

use rotation_database::{
    Changed, Engine, EngineError, EngineSpec, Login, LoginError, MasterTask, ORACLE,
    PasswordChange, PasswordReset, PasswordSet, SessionAccount, SyncReport, SyncRequest,
};

pub use name::Name;
pub use session::Session;

/// Oracle Database, on RDS or elsewhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct Oracle;

impl Engine for Oracle {
    const SPEC: &'static EngineSpec = &ORACLE;
    type Session = Session;

    async fn log_in(&self, login: &Login<'_>) -> Result<Session, LoginError> {
        login::log_in(login).await
    }

    async fn session_account(
        &self,
        session: &mut Session,
        user: &str,
    ) -> Result<SessionAccount, EngineError> {
        let account = session.account().await?;
        let is_of_user = Name::written(user).is_some_and(|user| user.as_str() == account);
        Ok(SessionAccount { is_of_user, id: account.clone(), name: account, note: None })
    }

    async fn check_writable(&self, session: &mut Session) -> Result<(), EngineError> {
        session.check_writable().await
    }

    async fn change_password(
        &self,
        session: &mut Session,
        change: &PasswordChange<'_>,
    ) -> Result<Changed, EngineError> {
        own_password::change(session, change).await
    }

    async fn check_password_change(
        &self,
        session: &mut Session,
        _change: &PasswordChange<'_>,
    ) -> Result<(), EngineError> {
        common_user::check_own_password(session).await
    }

    async fn sync_users(
        &self,
        master: &mut Session,
        request: &SyncRequest<'_>,
    ) -> Result<SyncReport, EngineError> {
        sync::sync(master, request).await
    }

    async fn differences(
        &self,
        master: &mut Session,
        request: &SyncRequest<'_>,
    ) -> Result<Vec<String>, EngineError> {
        sync::differences(master, request).await
    }

    async fn set_password(
        &self,
        master: &mut Session,
        reset: &PasswordReset<'_>,
    ) -> Result<PasswordSet, EngineError> {
        sync::set_password(master, reset).await
    }

    async fn check_password_reset(
        &self,
        master: &mut Session,
        reset: &PasswordReset<'_>,
    ) -> Result<(), EngineError> {
        match Name::written(reset.user) {
            Some(user) => common_user::check_password_of(master, &user).await,
            None => Err(EngineError::NoSuchUser { user: reset.user.to_owned() }),
        }
    }

    async fn missing(
        &self,
        master: &mut Session,
        name: &str,
        task: MasterTask<'_>,
    ) -> Result<Vec<EngineError>, EngineError> {
        preflight::missing(master, name, task).await
    }

    async fn ungrantable_privileges(
        &self,
        master: &mut Session,
        request: &SyncRequest<'_>,
    ) -> Result<Vec<EngineError>, EngineError> {
        sync::ungrantable_privileges(master, request).await
    }

    async fn log_out(&self, session: Session) {
        session.close().await;
    }
}
