//! The PostgreSQL engine: logs in, changes passwords and syncs an alternate role.

mod acts_as;
mod administer;
mod ahead;
mod authenticate;
mod failure;
mod login;
mod messages;
mod new_password;
mod origin;
mod own_password;
mod password_form;
mod pooler;
mod preflight;
mod quote;
mod refusal;
mod scram;
mod session;
mod start_tls;
mod stored_form;
mod sync;
mod verifier;

use rotation::settings::Source;
use rotation_database::{
    CaCertificates, Changed, Engine, EngineError, EngineSpec, Login, LoginError, MasterTask,
    POSTGRES, Password, PasswordChange, PasswordReset, PasswordSet, Pooler, Server, SessionAccount,
    SyncReport, SyncRequest, UserPair,
};

use login::LoggedIn;
use password_form::PasswordForm;

pub use quote::{identifier, literal};
pub use session::Session;
pub use verifier::{Encryption, verifier};

/// PostgreSQL and Aurora PostgreSQL.
#[derive(Debug, Default)]
pub struct Postgres {
    ahead: ahead::Preconnect,
    password_form: PasswordForm,
}

impl Engine for Postgres {
    const SPEC: &'static EngineSpec = &POSTGRES;
    type Session = Session;

    fn configure(&mut self, source: Source<'_>) -> rotation::Result<()> {
        self.password_form = PasswordForm::read(source)?;
        Ok(())
    }

    fn prepare(&self, authorities: &CaCertificates) {
        authorities.prepare();
    }

    fn preconnect(&self, server: &Server) {
        self.ahead.begin(server);
    }

    fn close_preconnection(&self) {
        self.ahead.end();
    }

    async fn log_in(&self, login: &Login<'_>) -> Result<Session, LoginError> {
        let logged_in = LoggedIn::over(self.ahead.take(login).await?, login).await?;
        Ok(Session::new(logged_in, login, self.password_form))
    }
}

impl rotation_database::Session for Session {
    async fn session_account(&mut self, user: &str) -> Result<SessionAccount, EngineError> {
        let role = self.identity().await?.role.clone();
        // The server compares names byte for byte. It truncates longer names, which secrets cannot
        // contain.
        Ok(SessionAccount {
            is_of_user: role == user,
            name: identifier(&role),
            id: role,
            note: None,
        })
    }

    async fn check_writable(&mut self) -> Result<(), EngineError> {
        match self.identity().await?.is_standby {
            true => Err(EngineError::not_writable("it is a standby (pg_is_in_recovery)")),
            false => new_password::check_cleartext_is_safe(self).await,
        }
    }

    async fn find_pooler(&mut self, user: &str) -> Option<Pooler> {
        pooler::find(self, user).await
    }

    async fn check_pooler_reads_passwords(
        &mut self,
        user: &str,
        password: &Password,
    ) -> Result<(), EngineError> {
        pooler::check_password_lookup(self, user, password, &own_password::remedy(user)).await
    }

    async fn check_alternate_usable(&mut self, pair: &UserPair) -> Result<(), EngineError> {
        acts_as::check_acts_as_base(self, pair).await
    }

    async fn change_password(
        &mut self,
        change: &PasswordChange<'_>,
    ) -> Result<Changed, EngineError> {
        own_password::change(self, change).await
    }

    async fn sync_users(&mut self, request: &SyncRequest<'_>) -> Result<SyncReport, EngineError> {
        sync::sync(self, request).await
    }

    async fn differences(&mut self, request: &SyncRequest<'_>) -> Result<Vec<String>, EngineError> {
        sync::differences(self, request).await
    }

    async fn ungrantable_privileges(
        &mut self,
        request: &SyncRequest<'_>,
    ) -> Result<Vec<EngineError>, EngineError> {
        sync::ungrantable_privileges(self, request).await
    }

    async fn set_password(
        &mut self,
        reset: &PasswordReset<'_>,
    ) -> Result<PasswordSet, EngineError> {
        sync::set_password(self, reset).await
    }

    async fn missing_privileges(
        &mut self,
        master: &str,
        task: MasterTask<'_>,
    ) -> Result<Vec<EngineError>, EngineError> {
        preflight::missing_privileges(self, master, task).await
    }

    async fn close(self) {
        Session::close(self).await;
    }
}
