//! The requests of a strategy to a session of the master user, and the report of a sync.

use rotation::Password;

use crate::user_pair::UserPair;

/// A user that has logged in with its password, and the account to which the session belonged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenUser {
    /// The user name, as the secret spells it.
    pub user: String,
    /// The identifier of the account: [`crate::SessionAccount::id`].
    pub account: String,
}

/// A request to a session of the master user to set the password of a user: a [`SyncRequest`] or a
/// [`PasswordReset`]. An engine uses the trait in the code that serves both.
pub trait PasswordRequest {
    /// Returns the name of the master user, for the statements that an error recommends.
    fn master(&self) -> &str;
    /// Returns the base user, or the only user if there is no alternate user.
    fn base(&self) -> &str;
    /// Returns the alternate user, if the user has one.
    fn alternate(&self) -> Option<&str>;
    /// Returns the user whose password is set.
    fn target(&self) -> &str;
    /// Returns the new password.
    fn password(&self) -> &Password;
    /// Returns `true` if the target user logs in without TLS, because its secret has
    /// `"ssl": false`. The session of the master user may use TLS even so.
    fn logs_in_unencrypted(&self) -> bool;
    /// Returns the users that have logged in during this step. An engine that looks users up by
    /// name in the master's session must find the same accounts, because the owner of a database
    /// can replace a user in between.
    fn proven(&self) -> &[ProvenUser];

    /// Returns `true` if an account may belong to `user`: it is the proven account, or no account
    /// of `user` was proven.
    fn is_possible_account_of(&self, user: &str, account: &str) -> bool {
        self.proven().iter().all(|proven| proven.user != user || proven.account == account)
    }

    /// Returns `true` if the alternate user is the target.
    fn is_alternate_target(&self) -> bool {
        self.alternate() == Some(self.target())
    }
}

/// The request to set the password of a user as the master user, and to change nothing else.
#[derive(Debug)]
pub struct PasswordReset<'a> {
    /// The name of the master user.
    pub master: &'a str,
    /// The user whose password is set.
    pub user: &'a str,
    /// The password of the pending version. Preflight, which changes nothing, uses another one.
    pub password: &'a Password,
    /// `true` if the user logs in without TLS. See [`PasswordRequest::logs_in_unencrypted`].
    pub logs_in_unencrypted: bool,
    /// See [`PasswordRequest::proven`]. `None` if the user's password was lost.
    pub proven: Option<ProvenUser>,
}

impl PasswordRequest for PasswordReset<'_> {
    fn master(&self) -> &str {
        self.master
    }

    fn base(&self) -> &str {
        self.user
    }

    fn alternate(&self) -> Option<&str> {
        None
    }

    fn target(&self) -> &str {
        self.user
    }

    fn password(&self) -> &Password {
        self.password
    }

    fn logs_in_unencrypted(&self) -> bool {
        self.logs_in_unencrypted
    }

    fn proven(&self) -> &[ProvenUser] {
        self.proven.as_slice()
    }
}

/// The request to sync two alternating users.
#[derive(Debug)]
pub struct SyncRequest<'a> {
    /// The name of the master user.
    pub master: &'a str,
    /// The base user, which is the model.
    pub base: &'a str,
    /// The alternate user, which is changed.
    pub alternate: &'a str,
    /// The target user: the base or the alternate user.
    pub target: &'a str,
    /// The new password of the target user.
    pub password: &'a Password,
    /// `true` if a version of the secret proves that the alternate user belongs to the secret.
    /// Otherwise, an engine that finds an alternate user of unknown origin returns
    /// [`crate::EngineError::UnverifiedPair`].
    pub pair_verified: bool,
    /// `true` if the target user logs in without TLS. See
    /// [`PasswordRequest::logs_in_unencrypted`].
    pub logs_in_unencrypted: bool,
    /// See [`PasswordRequest::proven`].
    pub proven: Vec<ProvenUser>,
}

impl<'a> SyncRequest<'a> {
    /// Creates the request to compare two users that are known to be a pair, as for
    /// [`crate::Session::differences`].
    pub fn to_compare(
        master: &'a str,
        pair: &'a UserPair,
        password: &'a Password,
        logs_in_unencrypted: bool,
    ) -> Self {
        let UserPair { base, alternate } = pair;
        let (target, pair_verified) = (alternate, true);
        let proven = Vec::new();
        Self {
            master,
            base,
            alternate,
            target,
            password,
            pair_verified,
            logs_in_unencrypted,
            proven,
        }
    }
}

impl PasswordRequest for SyncRequest<'_> {
    fn master(&self) -> &str {
        self.master
    }

    fn base(&self) -> &str {
        self.base
    }

    fn alternate(&self) -> Option<&str> {
        Some(self.alternate)
    }

    fn target(&self) -> &str {
        self.target
    }

    fn password(&self) -> &Password {
        self.password
    }

    fn logs_in_unencrypted(&self) -> bool {
        self.logs_in_unencrypted
    }

    fn proven(&self) -> &[ProvenUser] {
        &self.proven
    }
}

/// The effect of the statement with which a master user sets a password.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PasswordSet {
    /// The password was set.
    #[default]
    Now,
    /// The password is in the server's history: an earlier attempt has set it, or it was used
    /// before.
    InHistory,
}

/// The result of a sync.
#[derive(Debug, Default)]
pub struct SyncReport {
    /// The effect on the password.
    pub password: PasswordSet,
    /// `true` if the alternate user was created.
    pub created: bool,
    /// The changes that were made, one phrase for each.
    pub changes: Vec<String>,
    /// Notes for the operator, one sentence for each.
    pub notes: Vec<String>,
    /// The changes that the server accepted without effect.
    pub without_effect: Vec<String>,
}
