//! Changes the password of the session's own user.

use rotation_database::{Changed, EngineError, PasswordChange};

use crate::account::Account;
use crate::create_user;
use crate::failure::number::{
    CURRENT_PASSWORD_REQUIRED, NOT_THE_PRIMARY_PASSWORD, SYNTAX_ERROR, USED_BEFORE,
};
use crate::failure::{failure, number_of};
use crate::quote::Literals;
use crate::second_password;
use crate::session::{Session, text};
use crate::stored;
use crate::sync::next_login;
use crate::tokens::unreadable;

const REMEDY: &str =
    "Allow the account to change its own password, or rotate with alternating users.";

/// Changes the password of the session's own user, after a check that the next login can prove the
/// new one.
///
/// MySQL rewrites `ALTER USER` without the password before it logs the statement. MariaDB does not,
/// so the statement for MariaDB has the hash that it stores.
pub(crate) async fn change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<Changed, EngineError> {
    let account = session.account().await?;
    next_login::of_session_is_possible(session, &account, change.new).await?;
    let literals = Literals::BackslashEscapes;
    let own = OwnPassword { account: &account, literals, change };
    let old = change.old.expose();
    if change.keep_old {
        return own.keep(session, old).await;
    }
    if session.is_mariadb() {
        check_single_password(session, &account).await?;
        let stored = literals.quote(&stored::mariadb_hash(
            Some(session.method().plugin),
            &account,
            change.new,
        )?);
        return own.run(session, &format!("SET PASSWORD = {stored}")).await;
    }
    let statement = own.alter(change.new.expose());
    let changed = match session.try_run(&statement).await {
        Err(error) if number_of(&error) == Some(CURRENT_PASSWORD_REQUIRED) => {
            own.run(session, &format!("{statement} {}", own.replace(old))).await?
        }
        done => done.map(|()| Changed::Now).map_err(|error| own.failure(&error))?,
    };
    // Otherwise, a secondary password from KEEP_PREVIOUS_PASSWORD would work forever.
    second_password::discard(session, &account, literals).await;
    Ok(changed)
}

/// Checks that [`change`] is possible, as far as that can be read. Changes nothing.
pub(crate) async fn may_change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<(), EngineError> {
    let account = session.account().await?;
    next_login::of_session_is_possible(session, &account, change.new).await?;
    if session.is_mariadb() {
        return check_single_password(session, &account).await;
    }
    if !change.keep_old || session.has_active_role().await {
        return Ok(());
    }
    let rows = session.rows("read the account's own privileges", "SHOW GRANTS").await?;
    let grants = rows.iter().filter_map(|row| text(row, 0)).collect::<Vec<_>>().join("\n");
    // The privilege is a global one, which is shown only here.
    let enough = ["APPLICATION_PASSWORD_ADMIN", "CREATE USER", "ALL PRIVILEGES ON *.*"];
    if enough.iter().any(|privilege| grants.contains(privilege)) {
        return Ok(());
    }
    let action = format!("change the password of {account} and keep the old one");
    Err(EngineError::lacks(
        action,
        change.user,
        "APPLICATION_PASSWORD_ADMIN",
        remedy_to_keep(&account),
    ))
}

fn remedy_to_keep(account: &Account) -> String {
    format!(
        "As an administrator of the database: GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}. Or \
         remove KEEP_PREVIOUS_PASSWORD from the function's settings.",
        account.quoted(Literals::BackslashEscapes)
    )
}

/// Checks that the session's account has only one password. If it had several, MariaDB would change
/// the first one, and the others would still work.
async fn check_single_password(
    session: &mut Session,
    account: &Account,
) -> Result<(), EngineError> {
    let rows =
        session.rows("read the session's own account", "SHOW CREATE USER CURRENT_USER()").await?;
    let shown =
        rows.first().and_then(|row| text(row, 0)).ok_or_else(|| unreadable("it is not text"))?;
    create_user::parse(&shown)?.check_single_password(account)
}

struct OwnPassword<'a> {
    account: &'a Account,
    literals: Literals,
    change: &'a PasswordChange<'a>,
}

impl OwnPassword<'_> {
    fn alter(&self, password: &str) -> String {
        format!(
            "ALTER USER {} IDENTIFIED BY {}",
            self.account.quoted(self.literals),
            self.literals.quote(password)
        )
    }

    fn replace(&self, password: &str) -> String {
        format!("REPLACE {}", self.literals.quote(password))
    }

    async fn run(&self, session: &mut Session, statement: &str) -> Result<Changed, EngineError> {
        session
            .try_run(statement)
            .await
            .map(|()| Changed::Now)
            .map_err(|error| self.failure(&error))
    }

    fn remedy_of_unknown_primary(&self) -> String {
        format!(
            "As an administrator of the database: ALTER USER {} IDENTIFIED BY 'THE PASSWORD OF \
             AWSCURRENT'. Then wait until Secrets Manager retries the rotation.",
            self.account.quoted(self.literals)
        )
    }

    fn failure(&self, error: &sqlx::Error) -> EngineError {
        if number_of(error) == Some(NOT_THE_PRIMARY_PASSWORD) {
            return EngineError::NeedsDecision {
                what: format!(
                    "{} has logged in with its secondary password, but a change requires the \
                     primary password (PASSWORD REQUIRE CURRENT), which a cancelled rotation with \
                     KEEP_PREVIOUS_PASSWORD may have set",
                    self.account
                ),
                remedy: self.remedy_of_unknown_primary(),
            };
        }
        failure(error, &format!("change the password of {}", self.account), Some(REMEDY))
    }

    /// Changes the password and keeps the old one as the secondary password ([dual
    /// passwords][dual]).
    ///
    /// `RETAIN CURRENT PASSWORD` makes the *primary* password the secondary one. A second execution
    /// would discard the old password while applications still use it. So the statement has
    /// `REPLACE`, which makes the server check that the session's password is the primary one.
    ///
    /// [dual]: https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords
    async fn keep(&self, session: &mut Session, old: &str) -> Result<Changed, EngineError> {
        let new = self.change.new.expose();
        let statement =
            format!("{} {} RETAIN CURRENT PASSWORD", self.alter(new), self.replace(old));
        match session.try_run(&statement).await {
            Ok(()) => return Ok(Changed::Now),
            // The server checks the password history, if there is one, before it checks `REPLACE`.
            Err(error)
                if matches!(number_of(&error), Some(NOT_THE_PRIMARY_PASSWORD | USED_BEFORE)) => {}
            Err(error) => return Err(self.map_keep_error(&error)),
        }
        // If the new password is already the primary one, this changes nothing.
        let same = format!("{} {}", self.alter(new), self.replace(new));
        match session.try_run(&same).await {
            Ok(()) => return Ok(Changed::Before),
            Err(error) if number_of(&error) == Some(USED_BEFORE) => return Ok(Changed::Before),
            Err(error) if number_of(&error) == Some(NOT_THE_PRIMARY_PASSWORD) => {}
            Err(error) => return Err(self.map_keep_error(&error)),
        }
        // The primary password is from a cancelled rotation: make the old password the primary one
        // again first.
        match session.try_run(&self.alter(old)).await {
            Ok(()) => self.run(session, &statement).await,
            Err(error) if number_of(&error) == Some(USED_BEFORE) => {
                self.run(session, &format!("{} RETAIN CURRENT PASSWORD", self.alter(new))).await?;
                Ok(Changed::NowBut(format!(
                    "The previous password of {} no longer works: a cancelled rotation had \
                     replaced it as the primary password, and PASSWORD HISTORY did not allow \
                     setting it again.",
                    self.account
                )))
            }
            Err(error) => Err(self.map_keep_error(&error)),
        }
    }

    fn map_keep_error(&self, error: &sqlx::Error) -> EngineError {
        let action = format!("change the password of {} and keep the old one", self.account);
        match number_of(error) {
            Some(SYNTAX_ERROR) => EngineError::NeedsDecision {
                what:
                    "this server does not support RETAIN CURRENT PASSWORD, which MySQL has since \
                    8.0.14"
                        .into(),
                remedy: "Remove KEEP_PREVIOUS_PASSWORD from the function's settings, or upgrade \
                    the server."
                    .into(),
            },
            Some(CURRENT_PASSWORD_REQUIRED) => EngineError::NeedsDecision {
                what: format!(
                    "the primary password of {} is neither that of AWSCURRENT nor that of \
                     AWSPENDING (a cancelled rotation or an operator has set it), and a change \
                     requires it",
                    self.account
                ),
                remedy: self.remedy_of_unknown_primary(),
            },
            _ => failure(error, &action, Some(&remedy_to_keep(self.account))),
        }
    }
}
