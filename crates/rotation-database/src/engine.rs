//! The interface that a database engine implements, and the types that a strategy passes to it.

use std::future::Future;

use rotation::Password;
use rotation::settings::Source;

use crate::engine_error::EngineError;
use crate::login_error::LoginError;
use crate::schema::EngineSpec;
use crate::sync::{PasswordReset, PasswordSet, SyncReport, SyncRequest};
use crate::tls::CaCertificates;
use crate::user_pair::{MasterTask, UserPair};

/// A kind of database server, and how a function logs in to it.
///
/// A strategy decides which credential is used, and when. An engine and its sessions perform one
/// operation at a time and report precisely what failed. The strategy also applies the timeouts: an
/// implementation may simply wait. An engine with a blocking driver runs it in
/// `tokio::task::spawn_blocking`, so that the strategy can stop waiting.
pub trait Engine: Send + Sync + 'static {
    /// Describes the secrets and the limits of this engine.
    const SPEC: &'static EngineSpec;

    /// The session of a user, in which all statements run.
    type Session: Session;

    /// Reads the settings of this engine. By default, an engine has no settings of its own.
    ///
    /// # Errors
    /// [`rotation::Error::Setting`] with the name of the variable that cannot be used.
    fn configure(&mut self, _source: Source<'_>) -> rotation::Result<()> {
        Ok(())
    }

    /// Prepares for the first login while the function waits for its first event, for example by
    /// reading CA certificates. The default does nothing.
    fn prepare(&self, _authorities: &CaCertificates) {}

    /// Preconnects to the server of the previous login over verified TLS, while the function reads
    /// the versions of the secret. No credential is sent. The default does nothing.
    fn preconnect(&self, _server: &Server) {}

    /// Closes a preconnected connection that was not used, at the end of a step.
    fn close_preconnection(&self) {}

    /// Logs in with exactly one attempt. A driver that accepts an open connection gets it from
    /// [`crate::dial`].
    fn log_in(
        &self,
        login: &Login<'_>,
    ) -> impl Future<Output = Result<Self::Session, LoginError>> + Send;
}

/// An authenticated session: how a server changes passwords and syncs two users.
///
/// Before its first statement, a session sets everything that another user may have set for it,
/// such as a search path or SQL modes. Otherwise, the owner of a database could make a master user
/// run code.
pub trait Session: Sized + Send {
    /// Asks the server which account the session belongs to, and if it is the account of `user`.
    ///
    /// A successful login does not prove that the password is that of `user`. The server may run
    /// the session as another account: an anonymous account or a proxy user of MySQL, or a login
    /// that a directory or a pooler maps.
    fn session_account(
        &mut self,
        user: &str,
    ) -> impl Future<Output = Result<SessionAccount, EngineError>> + Send;

    /// Checks that an application can use the alternate user in place of the base user. The default
    /// checks nothing.
    fn check_alternate_usable(
        &mut self,
        _pair: &UserPair,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// Checks that the server is writable: that it is not a replica, a standby or read-only. A
    /// master user may be allowed to write to such a server, but the primary does not receive the
    /// change. The default checks nothing, because the server itself rejects the statement.
    fn check_writable(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// Finds a pooler or a proxy between the function and the server, and what can be known of it
    /// without a change. Returns `None` if the session runs on the server itself, or if every
    /// such proxy reads the server's accounts. The default detects none.
    fn find_pooler(&mut self, _user: &str) -> impl Future<Output = Option<Pooler>> + Send {
        async { None }
    }

    /// Checks that a [`Pooler::Unknown`] looks passwords up in the server, so that it accepts a new
    /// password of `user` immediately. `password` is the current one. A pooler with its own copy is
    /// an error. The default checks nothing.
    fn check_pooler_reads_passwords(
        &mut self,
        _user: &str,
        _password: &Password,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// Changes the password of the session's own user. The statement must not contain the password
    /// in a form that the server writes to its log.
    fn change_password(
        &mut self,
        change: &PasswordChange<'_>,
    ) -> impl Future<Output = Result<Changed, EngineError>> + Send;

    /// Checks for preflight that [`Session::change_password`] would succeed, without changing
    /// anything. The default checks nothing.
    fn check_password_change(
        &mut self,
        _change: &PasswordChange<'_>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// Syncs the alternate user with the base user, and sets the password of the target user.
    /// Creates the alternate user if it is the target and does not exist.
    ///
    /// The password is set *last*, or everything is set at once. An interrupted sync must leave a
    /// user that cannot log in, not a user that can log in without its privileges.
    fn sync_users(
        &mut self,
        request: &SyncRequest<'_>,
    ) -> impl Future<Output = Result<SyncReport, EngineError>> + Send;

    /// Returns the changes that [`Session::sync_users`] would make if the alternate user were the
    /// target, one phrase for each. Returns an empty list if the two users are in sync.
    fn differences(
        &mut self,
        request: &SyncRequest<'_>,
    ) -> impl Future<Output = Result<Vec<String>, EngineError>> + Send;

    /// Sets the password of a user, and changes nothing else.
    fn set_password(
        &mut self,
        reset: &PasswordReset<'_>,
    ) -> impl Future<Output = Result<PasswordSet, EngineError>> + Send;

    /// Checks for preflight that [`Session::set_password`] would succeed, without changing
    /// anything. The default checks nothing.
    fn check_password_reset(
        &mut self,
        _reset: &PasswordReset<'_>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// Returns the privileges that the user `master` lacks for a task, as far as they can be read
    /// without changing anything. Each is an [`EngineError::PrivilegeMissing`] with the statement
    /// that grants it.
    fn missing_privileges(
        &mut self,
        master: &str,
        task: MasterTask<'_>,
    ) -> impl Future<Output = Result<Vec<EngineError>, EngineError>> + Send;

    /// Returns the changes of [`Session::differences`] that the master user is certainly not
    /// allowed to make. Each is an [`EngineError::PrivilegeMissing`] with the statement that grants
    /// the privilege.
    fn ungrantable_privileges(
        &mut self,
        _request: &SyncRequest<'_>,
    ) -> impl Future<Output = Result<Vec<EngineError>, EngineError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Closes the session and its connection. A failure is not reported, because the session is no
    /// longer needed.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// The server of a previous login, for a preconnection.
#[derive(Debug, Clone)]
pub struct Server {
    /// Host name or address, without brackets.
    pub host: String,
    /// The TCP port of the previous login.
    pub port: u16,
    /// The trusted CA certificates.
    pub authorities: CaCertificates,
}

/// The server, the user and the credential of one login.
#[derive(Debug)]
pub struct Login<'a> {
    /// Host name or address, without brackets.
    pub host: &'a str,
    /// The TCP port, as the secret, the engine's default or RDS gives it.
    pub port: u16,
    /// The user name, as the secret spells it.
    pub user: &'a str,
    /// The password to try, from a version of the secret or from the master secret.
    pub password: &'a Password,
    /// The database, or the service name on Oracle.
    pub database: Option<&'a str>,
    /// The use of TLS for this login.
    pub tls: TlsUse,
    /// The trusted CA certificates.
    pub authorities: &'a CaCertificates,
}

/// A pooler or a proxy between the function and the server.
#[derive(Debug)]
pub enum Pooler {
    /// It has its own copy of the user's password, as the error says.
    HasOwnCopy(EngineError),
    /// Only a change of the stored password shows whether it looks passwords up in the server.
    Unknown,
}

/// The account to which a session belongs, as the server reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAccount {
    /// The identifier of the account, unique on the server.
    pub id: String,
    /// The name of the account, for messages.
    pub name: String,
    /// `true` if it is the account of the user in question.
    pub is_of_user: bool,
    /// A note for the operator when a single user changes the password of this account.
    pub note: Option<String>,
}

/// The use of TLS in one login attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsUse {
    /// TLS, with certificate and host name verified.
    Verified,
    /// No TLS, because the server does not offer it. A cleartext password must not be sent, even if
    /// the server asks for one: [`LoginError::CleartextPasswordRequested`].
    NotOffered,
    /// No TLS, because the secret says `"ssl": false`.
    Off,
}

/// The change of a user's own password.
#[derive(Debug)]
pub struct PasswordChange<'a> {
    /// The user whose password changes.
    pub user: &'a str,
    /// The password that the session logged in with. Some servers demand it (`OLD_PASSWORD`,
    /// `REPLACE`).
    pub old: &'a Password,
    /// The password of the pending version. Preflight, which changes nothing, uses another one.
    pub new: &'a Password,
    /// `true` if `old` stays valid until the next change. This is only possible for engines with
    /// [`EngineSpec::keeps_previous_password`].
    pub keep_old: bool,
}

/// The result of [`Session::change_password`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The password was changed.
    Now,
    /// An earlier attempt changed the password, or the new password is in the server's history. The
    /// old password is still valid.
    Before,
    /// The password was changed. The text is a note for the operator.
    NowBut(String),
}
