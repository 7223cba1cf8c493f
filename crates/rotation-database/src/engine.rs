//! A database server, seen from a strategy.

use std::future::Future;

use rotation::Password;
use rotation::settings::Source;

use crate::engine_error::EngineError;
use crate::login_error::LoginError;
use crate::schema::EngineSpec;
use crate::strategy::{MastersTask, UserPair};
use crate::tls::Authorities;

/// How *one kind of* server logs in, changes a password and copies a user.
///
/// A strategy decides whose credential is used for what. An engine does as told, once, and says
/// precisely what went wrong. Time-outs are the strategy's as well: an implementation may simply
/// wait, and one on a blocking driver hands the work to `tokio::task::spawn_blocking` so that the
/// strategy can stop waiting for it.
pub trait Engine: Send + Sync + 'static {
    /// What is particular to this engine's secrets.
    const SPEC: &'static EngineSpec;

    /// A session of a user that has logged in.
    type Session: Send;

    /// Reads the settings that only this engine has. By default, there are none.
    ///
    /// # Errors
    /// [`rotation::Error::Setting`] naming the variable that cannot be used.
    fn configure(&mut self, _source: Source<'_>) -> rotation::Result<()> {
        Ok(())
    }

    /// The function starts, and waits for its first event: what every login needs may be read. By
    /// default, nothing is.
    fn start(&self, _authorities: &Authorities) {}

    /// A step has begun, and its versions are being read: what needs no credential of the next
    /// login may begin, with the server that the last version named, over verified TLS. By default,
    /// nothing does.
    fn begin(&self, _server: &Server) {}

    /// The step is over: what has begun and was not used ends.
    fn end(&self) {}

    /// Logs in, with exactly one attempt, over a connection from [`crate::dial`] where the driver
    /// takes one.
    fn log_in(
        &self,
        login: &Login<'_>,
    ) -> impl Future<Output = Result<Self::Session, LoginError>> + Send;

    /// Asks the server which account it runs a session as, and whether that is the account of
    /// `user`.
    ///
    /// A login alone proves nothing about `user`: the server may run the session as another account
    /// (an anonymous account or a proxy user of MySQL, a login that a directory or a pooler maps).
    fn session_account(
        &self,
        session: &mut Self::Session,
        user: &str,
    ) -> impl Future<Output = Result<SessionAccount, EngineError>> + Send;

    /// Checks that the session of an alternate user can stand in for the base user. By default,
    /// there is nothing to check.
    fn stands_in(
        &self,
        _session: &mut Self::Session,
        _pair: &UserPair,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// Checks that the server takes changes: that it is no replica or standby, and not read-only. A
    /// master may have the privilege to change such a server, but no other server receives the
    /// change. By default, nothing is asked: the server rejects the statement itself.
    fn takes_changes(
        &self,
        _session: &mut Self::Session,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// Returns `true` if a pooler or a proxy stands between the function and the server. By
    /// default, none is known.
    fn is_pooled(&self, _session: &mut Self::Session) -> impl Future<Output = bool> + Send {
        async { false }
    }

    /// Checks that the pooler or proxy of a session that [`Engine::is_pooled`] accepts a new
    /// password of `user` at once, and has no copy of `password`, the current one. By default,
    /// nothing is checked.
    fn pooler_looks_passwords_up(
        &self,
        _session: &mut Self::Session,
        _user: &str,
        _password: &Password,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// Changes the session's own password, so that it never stands readable where the server may
    /// log it.
    fn change_password(
        &self,
        session: &mut Self::Session,
        change: &PasswordChange<'_>,
    ) -> impl Future<Output = Result<Changed, EngineError>> + Send;

    /// Checks, as far as that can be read, that [`Engine::change_password`] would succeed. By
    /// default, nothing is checked.
    fn may_change_password(
        &self,
        _session: &mut Self::Session,
        _change: &PasswordChange<'_>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// Brings the alternate user in step with the base user (making it when its turn has come and
    /// it is missing), and sets the new password *last*, or all at once: a failure half-way must
    /// leave a user that cannot log in, not one without privileges.
    fn copy_user(
        &self,
        master: &mut Self::Session,
        copy: &UserCopy<'_>,
    ) -> impl Future<Output = Result<Copied, EngineError>> + Send;

    /// What [`Engine::copy_user`] would change now, on the alternate user's turn, without changing
    /// it: one phrase each, and none when the alternate user may do what the base user may.
    fn differences(
        &self,
        master: &mut Self::Session,
        copy: &UserCopy<'_>,
    ) -> impl Future<Output = Result<Vec<String>, EngineError>> + Send;

    /// Gives a user another password and changes nothing else of it.
    fn set_password(
        &self,
        master: &mut Self::Session,
        reset: &PasswordReset<'_>,
    ) -> impl Future<Output = Result<PasswordSet, EngineError>> + Send;

    /// Checks, as far as that can be read, that [`Engine::set_password`] would succeed. By default,
    /// nothing is checked.
    fn may_set_password(
        &self,
        _master: &mut Self::Session,
        _reset: &PasswordReset<'_>,
    ) -> impl Future<Output = Result<(), EngineError>> + Send {
        async { Ok(()) }
    }

    /// What the master lacks for its task, as far as it can be read without changing anything: each
    /// an [`EngineError::PrivilegeMissing`] with the statement that gives it.
    fn missing(
        &self,
        master: &mut Self::Session,
        name: &str,
        task: MastersTask<'_>,
    ) -> impl Future<Output = Result<Vec<EngineError>, EngineError>> + Send;

    /// What the master may not grant or revoke of what [`Engine::differences`] would change, as far
    /// as that can be read for certain: each an [`EngineError::PrivilegeMissing`] with the
    /// statement that gives it.
    fn not_grantable(
        &self,
        _master: &mut Self::Session,
        _copy: &UserCopy<'_>,
    ) -> impl Future<Output = Result<Vec<EngineError>, EngineError>> + Send {
        async { Ok(Vec::new()) }
    }

    /// Ends a session.
    fn log_out(&self, session: Self::Session) -> impl Future<Output = ()> + Send;
}

/// A server that was named before.
#[derive(Debug, Clone)]
pub struct Server {
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Whom to trust.
    pub authorities: Authorities,
}

/// Where to log in, and as whom.
#[derive(Debug)]
pub struct Login<'a> {
    /// Host name or address, without brackets.
    pub host: &'a str,
    /// Port.
    pub port: u16,
    /// User name, as the secret spells it.
    pub user: &'a str,
    /// Password.
    pub password: &'a Password,
    /// Database, or service name.
    pub database: Option<&'a str>,
    /// Whether to encrypt.
    pub tls: TlsUse,
    /// Whom to trust.
    pub authorities: &'a Authorities,
}

/// The account that a server runs a session as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionAccount {
    /// An identifier of the account: two accounts of a server never have the same.
    pub id: String,
    /// How a message names it.
    pub name: String,
    /// `true` if it is the account of the user that was asked about.
    pub is_of_user: bool,
    /// What to know when a user changes the password of this account by itself: a sentence.
    pub note: Option<String>,
}

/// A user whose password has opened a session, and the account that the session belonged to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenUser {
    /// The user name, as the secret spells it.
    pub user: String,
    /// [`SessionAccount::id`].
    pub account: String,
}

/// How one login attempt uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsUse {
    /// TLS, with certificate and host name verified.
    Verified,
    /// No TLS, because the server has said that it has none. A readable password must not be sent,
    /// whatever the server asks for: [`LoginError::ReadablePassword`].
    NotOffered,
    /// No TLS, because the secret says `"ssl": false`.
    Off,
}

/// A user's change of its own password.
#[derive(Debug)]
pub struct PasswordChange<'a> {
    /// Whose.
    pub user: &'a str,
    /// The password that the session logged in with. Some servers demand it (`OLD_PASSWORD`,
    /// `REPLACE`).
    pub old: &'a Password,
    /// To what.
    pub new: &'a Password,
    /// Whether `old` goes on working next to `new` until the next change; only where
    /// [`EngineSpec::keeps_previous_password`].
    pub keep_old: bool,
}

/// What [`Engine::change_password`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The password was changed.
    Now,
    /// An earlier attempt had changed it, or the server's history knows the new password; the old
    /// one still works.
    Before,
    /// The password was changed, and there is something that a person should know of: one sentence.
    NowBut(String),
}

/// Two alternating users, to be brought in step.
#[derive(Debug)]
pub struct UserCopy<'a> {
    /// The master's name, for the statements that an error recommends.
    pub master: &'a str,
    /// The base user, whose privileges count.
    pub base: &'a str,
    /// The alternate user, which follows it.
    pub alternate: &'a str,
    /// Whose turn it is: the base or the alternate user.
    pub turn: &'a str,
    /// The new password of the user whose turn it is.
    pub password: &'a Password,
    /// Whether a version of the secret shows that the alternate user is the secret's own. When not,
    /// an engine that finds an alternate user of unclear origin answers
    /// [`EngineError::PerhapsUnrelated`].
    pub is_known_pair: bool,
    /// The target user's own logins are not encrypted, because its secret has `"ssl": false`. The
    /// master's session may be encrypted all the same.
    pub logs_in_unencrypted: bool,
    /// The users whose passwords are proven. An engine that resolves names again in the master's
    /// session must find the same accounts: an owner of a database can replace one in between.
    pub proven: Vec<ProvenUser>,
}

impl<'a> UserCopy<'a> {
    /// For [`Engine::differences`]: what the alternate user's turn would change.
    pub(crate) fn to_compare(
        master: &'a str,
        pair: &'a UserPair,
        password: &'a Password,
        logs_in_unencrypted: bool,
    ) -> Self {
        let UserPair { base, alternate } = pair;
        let (turn, is_known_pair) = (alternate, true);
        let proven = Vec::new();
        Self { master, base, alternate, turn, password, is_known_pair, logs_in_unencrypted, proven }
    }

    /// Returns `true` if an account may be the one of `user`: it is the proven one, or none was
    /// proven.
    pub fn may_be_account_of(&self, user: &str, account: &str) -> bool {
        self.proven.iter().all(|proven| proven.user != user || proven.account == account)
    }

    /// Whether the alternate user gets the new password (and is made when missing).
    pub fn is_alternates_turn(&self) -> bool {
        self.turn == self.alternate
    }
}

/// A password that a master gives to a user.
#[derive(Debug)]
pub struct PasswordReset<'a> {
    /// The master's name, for the statements that an error recommends.
    pub master: &'a str,
    /// Whose.
    pub user: &'a str,
    /// To what.
    pub password: &'a Password,
    /// As in [`UserCopy::logs_in_unencrypted`].
    pub logs_in_unencrypted: bool,
    /// As in [`UserCopy::proven`]; `None` when the user's password was lost.
    pub proven: Option<ProvenUser>,
}

impl<'a> PasswordReset<'a> {
    /// As the turn of a base user that has no alternate one.
    pub fn alone(&self) -> UserCopy<'a> {
        let Self { master, user, password, logs_in_unencrypted, ref proven } = *self;
        UserCopy {
            master,
            base: user,
            alternate: "",
            turn: user,
            password,
            is_known_pair: true,
            logs_in_unencrypted,
            proven: proven.iter().cloned().collect(),
        }
    }
}

/// Whether a master's statement has set a password.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PasswordSet {
    /// It has.
    #[default]
    Now,
    /// The server's history of passwords does not let it return: an earlier attempt has set it, or
    /// it is an old one.
    InHistory,
}

/// What [`Engine::copy_user`] did.
#[derive(Debug, Default)]
pub struct Copied {
    /// What became of the password.
    pub password: PasswordSet,
    /// Whether the alternate user had to be made.
    pub created: bool,
    /// What was changed to bring it in step, one phrase each.
    pub changes: Vec<String>,
    /// What a person should know of, one sentence each.
    pub notes: Vec<String>,
}

impl Copied {
    /// Notes a change that waits, because it could keep the alternate user from logging in. While
    /// the base user is the target of a rotation, applications use the alternate user.
    pub fn defer(&mut self, alternate: &str, change: impl std::fmt::Display) {
        self.notes.push(format!(
            "Deferred until {alternate} is the target user, because applications are using it: {change}."
        ));
    }
}
