//! Sets the password of all accounts of a user as the master user.
//!
//! `AWSCURRENT` may move only if every account has the new password, so the last step compares the
//! stored hashes with it.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use rotation_database::sync::Statement;
use rotation_database::{EngineError, Password, PasswordRequest, PasswordSet, SyncReport};

use super::{Base, Users};
use crate::account::Account;
use crate::failure::number::USED_BEFORE;
use crate::failure::{failure, number_of};
use crate::plugin::Plugin;
use crate::second_password;
use crate::session::text;
use crate::stored::{holds, mariadb_hash};

/// Generates a temporary password for a locked account, which gets another password before it is
/// unlocked.
pub(crate) fn temporary_password() -> Result<Password, EngineError> {
    let mut bytes = [0; 96];
    rand::fill(&mut bytes).map_err(|_| EngineError::Failed {
        action: "create a random password".into(),
        code: "random".into(),
        message: "could not generate random numbers".into(),
    })?;
    // It is long, and has many of each kind of character that validate_password may require.
    Ok(Password::new(format!("{}aA1!aA1.aA1#aA1-aA1;aA1_", BASE64_STANDARD_NO_PAD.encode(bytes))))
}

/// An account, its name in a statement, and the clause that sets its password.
struct Named {
    account: Account,
    name: String,
    identified: String,
}

impl Base {
    fn stored_by_mariadb(&self, password: &Password) -> Result<String, EngineError> {
        mariadb_hash(Plugin::of_account(&self.plugin), &self.account, password)
    }
}

impl<R: PasswordRequest> Users<'_, R> {
    /// Sets the password of every account of the target user, as the last step of a sync. This also
    /// unlocks the alternate user.
    pub(crate) async fn set_passwords(
        &mut self,
        bases: &[Base],
        report: &mut SyncReport,
    ) -> Result<(), EngineError> {
        let accounts = if self.request.is_alternate_target() {
            self.of_alternate(bases)?
        } else {
            self.of_base(bases).await?
        };
        let is_alternate_target = self.request.is_alternate_target();
        if !accounts.is_empty() {
            report.password = self.set_in_one_statement(&accounts).await?;
        }
        let names: Vec<_> = accounts.iter().map(|named| named.name.clone()).collect();
        if is_alternate_target {
            let action = format!("unlock {}", self.request.target());
            let statement = format!("ALTER USER {} ACCOUNT UNLOCK", names.join(", "));
            let statement = Statement::new(action, statement, self.create_user_remedy());
            self.session.execute(&statement).await?;
        }
        let every: Vec<_> = if is_alternate_target {
            accounts.into_iter().map(|named| named.account).collect()
        } else {
            bases.iter().map(|base| base.account.clone()).collect()
        };
        if !self.session.is_mariadb() {
            let user = self.request.target();
            for account in
                second_password::accounts_with_secondary_password(self.session, user, self.literals)
                    .await
            {
                let discarded =
                    second_password::discard(self.session, &account, self.literals).await;
                let outcome = if discarded {
                    "was discarded"
                } else {
                    "could not be discarded and still works"
                };
                report.notes.push(format!("The secondary password of {account} {outcome}."));
            }
        }
        self.check_stored_passwords(&every, report).await
    }

    /// Returns the accounts of the alternate user that get the password. Leaves out an account
    /// whose counterpart of the base user is locked, so that it stays locked.
    fn of_alternate(&self, bases: &[Base]) -> Result<Vec<Named>, EngineError> {
        let open: Vec<_> = bases.iter().filter(|base| !base.shown.locked).collect();
        if open.is_empty() {
            return Err(EngineError::NeedsDecision {
                what: format!(
                    "every account of {} is locked, so {} stays locked",
                    self.request.base(),
                    self.request.target()
                ),
                remedy: format!(
                    "As an administrator of the database: ALTER USER {} ACCOUNT UNLOCK, or stop \
                     rotating the secret.",
                    bases
                        .first()
                        .map(|base| base.account.quoted(self.literals))
                        .unwrap_or_default()
                ),
            });
        }
        let named = |base: &Base| {
            let account = base.account.of_user(self.request.target());
            let identified = self.identified(base, self.request.password())?;
            Ok(Named { name: account.quoted(self.literals), account, identified })
        };
        open.into_iter().map(named).collect()
    }

    /// Returns the accounts of the base user that get the password, without a change of their
    /// plugins. On MariaDB, accounts with several plugins are not among them: this function sets
    /// their passwords itself.
    async fn of_base(&mut self, bases: &[Base]) -> Result<Vec<Named>, EngineError> {
        let is_mariadb = self.session.is_mariadb();
        // If an account has several plugins, `ALTER USER` in MariaDB would remove all but the named
        // one.
        let (mixed, others): (Vec<_>, Vec<_>) =
            bases.iter().partition(|base| is_mariadb && base.shown.plugins.len() > 1);
        for base in mixed {
            let stored = self.literals.quote(&base.stored_by_mariadb(self.request.password())?);
            let statement =
                format!("SET PASSWORD FOR {} = {stored}", base.account.quoted(self.literals));
            let action = format!("set the password of {}", base.account);
            let statement = Statement::new(action, statement, self.create_user_remedy());
            self.session.execute(&statement).await?;
        }
        let named = |base: &Base| {
            let identified = match is_mariadb {
                true => self.identified(base, self.request.password())?,
                false => {
                    format!(
                        "IDENTIFIED BY {}",
                        self.literals.quote(self.request.password().expose())
                    )
                }
            };
            let account = base.account.clone();
            Ok(Named { name: account.quoted(self.literals), account, identified })
        };
        others.into_iter().map(named).collect()
    }

    /// Sets the passwords in one statement. MySQL changes all accounts or none. MariaDB changes one
    /// account after the other. If it fails in between, some are changed, and the retry changes
    /// all.
    ///
    /// If a password history rejects the password, some accounts may already have it from an
    /// earlier attempt. These are left out, and one statement changes the others.
    async fn set_in_one_statement(
        &mut self,
        accounts: &[Named],
    ) -> Result<PasswordSet, EngineError> {
        match self.alter(accounts.iter()).await {
            Err(error) if number_of(&error) == Some(USED_BEFORE) => {}
            done => {
                done.map_err(|error| self.map_set_password_error(&error))?;
                return Ok(PasswordSet::Now);
            }
        }
        let mut rest = Vec::new();
        for named in accounts {
            if self.has_new_password(&named.account).await? != Some(true) {
                rest.push(named);
            }
        }
        if rest.is_empty() {
            return Ok(PasswordSet::InHistory);
        }
        match self.alter(rest.iter().copied()).await {
            Err(error) if number_of(&error) == Some(USED_BEFORE) => {
                let list: Vec<_> = rest.iter().map(|named| named.account.to_string()).collect();
                Err(EngineError::PasswordRejected {
                    message: format!(
                        "it was used before, and is not the current password of {}",
                        list.join(", ")
                    ),
                    remedy: "Let the rotation generate another password.".into(),
                })
            }
            done => {
                done.map_err(|error| self.map_set_password_error(&error))?;
                Ok(PasswordSet::Now)
            }
        }
    }

    async fn alter(&mut self, accounts: impl Iterator<Item = &Named>) -> sqlx::Result<()> {
        let named: Vec<_> =
            accounts.map(|named| format!("{} {}", named.name, named.identified)).collect();
        self.session.try_run(&format!("ALTER USER {}", named.join(", "))).await
    }

    fn map_set_password_error(&self, error: &sqlx::Error) -> EngineError {
        let action = format!("set the password of {}", self.request.target());
        failure(error, &action, Some(&self.create_user_remedy()))
    }

    fn create_user_remedy(&self) -> String {
        self.administrator("GRANT CREATE USER ON *.* TO", "")
    }

    /// Checks that every account has the new password. Adds a note for an account whose stored hash
    /// has an unknown format.
    async fn check_stored_passwords(
        &mut self,
        accounts: &[Account],
        report: &mut SyncReport,
    ) -> Result<(), EngineError> {
        for account in accounts {
            match self.has_new_password(account).await? {
                Some(true) => {}
                Some(false) => {
                    return Err(EngineError::Failed {
                        action: format!("set the new password of {account}"),
                        code: "comparison".into(),
                        message: "the server stores the hash of another password".into(),
                    });
                }
                None => report.notes.push(format!(
                    "It was not checked that {account} has the new password, because the format \
                     in which the server stores it is unknown."
                )),
            }
        }
        Ok(())
    }

    async fn has_new_password(&mut self, account: &Account) -> Result<Option<bool>, EngineError> {
        let password = self.request.password().expose();
        let stored = self.stored(account).await?;
        let known: Vec<_> =
            stored.iter().filter_map(|(plugin, stored)| holds(plugin, stored, password)).collect();
        Ok(if known.is_empty() { None } else { Some(!known.contains(&false)) })
    }

    /// Returns the plugins of an account, each with the hash that the server stores.
    async fn stored(&mut self, account: &Account) -> Result<Vec<(String, Vec<u8>)>, EngineError> {
        if self.session.is_mariadb() {
            let shown = self.show(account).await?.stored;
            return Ok(shown
                .into_iter()
                .map(|(plugin, text)| (plugin, text.into_bytes()))
                .collect());
        }
        let action = format!("read the stored password hash of {account}");
        let query = format!(
            "SELECT plugin, HEX(authentication_string) FROM mysql.user \
             WHERE User = {} AND Host = {}",
            self.literals.quote(&account.user),
            self.literals.quote(&account.host)
        );
        let remedy = self.read_users_remedy();
        let rows = self.session.rows_or(&action, &query, Some(&remedy)).await?;
        let pair = |row| Some((text(row, 0)?, from_hex(&text(row, 1)?)?));
        Ok(rows.iter().filter_map(pair).collect())
    }

    /// Returns the clause `IDENTIFIED …` with a password, in a form that the server does not log in
    /// cleartext.
    pub(crate) fn identified(
        &self,
        base: &Base,
        password: &Password,
    ) -> Result<String, EngineError> {
        if self.session.is_mariadb() {
            let stored = self.literals.quote(&base.stored_by_mariadb(password)?);
            return Ok(match base.plugin.as_str() {
                "mysql_native_password" => format!("IDENTIFIED BY PASSWORD {stored}"),
                plugin => format!("IDENTIFIED VIA {plugin} USING {stored}"),
            });
        }
        let (plugin, password) =
            (self.literals.quote(&base.plugin), self.literals.quote(password.expose()));
        Ok(format!("IDENTIFIED WITH {plugin} BY {password}"))
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(digit).collect()
}
