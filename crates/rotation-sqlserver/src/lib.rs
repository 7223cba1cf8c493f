//! The SQL Server engine: logs in, changes passwords and syncs an alternate user.

mod accepted;
mod edition;
mod failure;
mod login;
mod master_permissions;
mod own_password;
mod preflight;
mod prelogin;
mod principal;
mod quote;
mod redirect;
mod scope;
mod session;
mod session_account;
mod sid;
mod sync;
mod triggers;

use accepted::Accepted;
use principal::SessionPrincipal;
use rotation::settings::Source;
use rotation_database::{
    Changed, Engine, EngineError, EngineSpec, Login, LoginError, MasterTask, PasswordChange,
    PasswordReset, PasswordSet, SQLSERVER, SessionAccount, SyncReport, SyncRequest,
};

pub use quote::{identifier, literal};
pub use session::Session;

/// SQL Server, on RDS or elsewhere.
#[derive(Debug, Clone, Default)]
pub struct SqlServer {
    accepted: Accepted,
}

impl Engine for SqlServer {
    const SPEC: &'static EngineSpec = &SQLSERVER;
    type Session = Session;

    fn configure(&mut self, source: Source<'_>) -> rotation::Result<()> {
        self.accepted = Accepted::read(source)?;
        Ok(())
    }

    async fn log_in(&self, login: &Login<'_>) -> Result<Session, LoginError> {
        Ok(login::log_in(login).await?.accepting(self.accepted.clone()))
    }
}

impl rotation_database::Session for Session {
    async fn session_account(&mut self, user: &str) -> Result<SessionAccount, EngineError> {
        let account = session_account::of_session(self, user).await?;
        let SessionPrincipal { principal, name, is_of_user, .. } = account.clone();
        self.set_account(account);
        Ok(SessionAccount { id: principal.id(), name, is_of_user, note: None })
    }

    async fn change_password(
        &mut self,
        change: &PasswordChange<'_>,
    ) -> Result<Changed, EngineError> {
        own_password::change(self, change).await
    }

    async fn check_password_change(
        &mut self,
        change: &PasswordChange<'_>,
    ) -> Result<(), EngineError> {
        own_password::check(self, change).await.map(drop)
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
        sync::passwords::set_password(self, reset).await
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
