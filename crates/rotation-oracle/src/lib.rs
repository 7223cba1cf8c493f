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
mod release;
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
}

impl rotation_database::Session for Session {
    async fn session_account(&mut self, user: &str) -> Result<SessionAccount, EngineError> {
        let account = self.account().await?;
        let is_of_user = Name::written(user).is_some_and(|user| user.as_str() == account);
        Ok(SessionAccount { is_of_user, id: account.clone(), name: account, note: None })
    }

    async fn check_writable(&mut self) -> Result<(), EngineError> {
        Session::check_writable(self).await
    }

    async fn change_password(
        &mut self,
        change: &PasswordChange<'_>,
    ) -> Result<Changed, EngineError> {
        own_password::change(self, change).await
    }

    async fn check_password_change(
        &mut self,
        _change: &PasswordChange<'_>,
    ) -> Result<(), EngineError> {
        common_user::check_own_password(self).await?;
        own_password::check_writable(self).await
    }

    async fn sync_users(&mut self, request: &SyncRequest<'_>) -> Result<SyncReport, EngineError> {
        sync::sync(self, request).await
    }

    async fn differences(&mut self, request: &SyncRequest<'_>) -> Result<Vec<String>, EngineError> {
        sync::differences(self, request).await
    }

    async fn set_password(
        &mut self,
        reset: &PasswordReset<'_>,
    ) -> Result<PasswordSet, EngineError> {
        sync::set_password(self, reset).await
    }

    async fn check_password_reset(&mut self, reset: &PasswordReset<'_>) -> Result<(), EngineError> {
        match Name::written(reset.user) {
            Some(user) => common_user::check_password_of(self, &user).await,
            None => Err(EngineError::NoSuchUser { user: reset.user.to_owned() }),
        }
    }

    async fn missing_privileges(
        &mut self,
        master: &str,
        task: MasterTask<'_>,
    ) -> Result<Vec<EngineError>, EngineError> {
        preflight::missing_privileges(self, master, task).await
    }

    async fn ungrantable_privileges(
        &mut self,
        request: &SyncRequest<'_>,
    ) -> Result<Vec<EngineError>, EngineError> {
        sync::ungrantable_privileges(self, request).await
    }

    async fn close(self) {
        Session::close(self).await;
    }
}
