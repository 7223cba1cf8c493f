//! The engine for MySQL and MariaDB: logs in, changes passwords and syncs an alternate user.

mod account;
mod administer;
mod authenticate;
mod create_user;
mod ed25519;
mod failure;
mod flavor;
mod grants;
mod greeting;
#[doc(hidden)]
pub mod inspect;
mod login;
mod native_hash;
mod own_password;
mod packet;
mod plugin;
mod preflight;
mod proxy;
mod quote;
mod refusal;
mod second_password;
mod session;
mod stored;
mod sync;
mod tokens;

use std::marker::PhantomData;

use rotation_database::{
    Changed, Engine, EngineError, EngineSpec, Login, LoginError, MasterTask, PasswordChange,
    PasswordReset, PasswordSet, Pooler, SessionAccount, SyncReport, SyncRequest,
};

pub use account::Account;
pub use ed25519::public_key as ed25519_public_key;
pub use flavor::{Flavor, IsMariaDb, IsMySql};
pub use native_hash::native_hash;
pub use quote::{Literals, identifier};
pub use session::Session;

/// The engine for both servers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Adapter<F>(PhantomData<F>);

/// MySQL and Aurora MySQL.
pub type MySql = Adapter<IsMySql>;
/// MariaDB, including MariaDB on RDS.
pub type MariaDb = Adapter<IsMariaDb>;

impl<F: Flavor> Engine for Adapter<F> {
    const SPEC: &'static EngineSpec = F::SPEC;
    type Session = Session;

    async fn log_in(&self, login: &Login<'_>) -> Result<Session, LoginError> {
        Session::log_in(login, F::IS_MARIADB).await
    }
}

impl rotation_database::Session for Session {
    async fn session_account(&mut self, user: &str) -> Result<SessionAccount, EngineError> {
        let account = match self.account().await {
            Err(EngineError::AccountExpired { .. })
                if self.expired_session_belongs_to(user).await? =>
            {
                let name = format!("{user} (expired)");
                return Ok(SessionAccount { id: name.clone(), name, is_of_user: true, note: None });
            }
            account => account?,
        };
        let note = (account.host != "%").then(|| {
            format!(
                "Only {account} is rotated. Accounts of {user} for other hosts keep their \
                 passwords. The strategy of alternating users sets the password of all of them."
            )
        });
        Ok(SessionAccount {
            note,
            id: account.to_string(),
            name: account.to_string(),
            // The server compares the names of users byte for byte.
            is_of_user: account.user == user,
        })
    }

    async fn check_writable(&mut self) -> Result<(), EngineError> {
        Session::check_writable(self).await
    }

    async fn find_pooler(&mut self, user: &str) -> Option<Pooler> {
        // An error can be ignored here: if it persists, the next statement reports it.
        let proxy = proxy::find(self).await.ok().flatten()?;
        Some(Pooler::HasOwnCopy(proxy.has_own_copy(user)))
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
        own_password::may_change(self, change).await
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
        sync::check_password_reset(self, reset).await
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
