//! A user changes its own password.

use rotation_database::{Changed, EngineError, PasswordChange};

use crate::account::Account;
use crate::create_user;
use crate::failure::number::{
    CURRENT_PASSWORD_WANTED, NOT_THE_PRIMARY, NOT_UNDERSTOOD, USED_BEFORE,
};
use crate::failure::{failure, number_of};
use crate::next_login;
use crate::quote::Literals;
use crate::second_password;
use crate::session::{Session, text};
use crate::stored;
use crate::tokens::unreadable;

const REMEDY: &str = "Let the account change its own password, or rotate with alternating users.";

/// Changes the session's own password, after it is certain that the next login can prove it.
///
/// MySQL rewrites `ALTER USER` before it logs it. MariaDB does not, so it gets what it would store.
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
        must_have_one_password(session, &account).await?;
        let stored = literals.quote(&stored::by_mariadb(
            Some(session.method().plugin),
            &account,
            change.new,
        )?);
        return own.run(session, &format!("SET PASSWORD = {stored}")).await;
    }
    let statement = own.alter(change.new.expose());
    let changed = match session.try_run(&statement).await {
        Err(error) if number_of(&error) == Some(CURRENT_PASSWORD_WANTED) => {
            own.run(session, &format!("{statement} {}", own.replace(old))).await?
        }
        done => done.map(|()| Changed::Now).map_err(|error| own.failure(&error))?,
    };
    // One that KEEP_PREVIOUS_PASSWORD has left would work for ever.
    second_password::discard(session, &account, literals).await;
    Ok(changed)
}

/// Checks what can be read before [`change`] changes anything.
pub(crate) async fn may_change(
    session: &mut Session,
    change: &PasswordChange<'_>,
) -> Result<(), EngineError> {
    let account = session.account().await?;
    next_login::of_session_is_possible(session, &account, change.new).await?;
    if session.is_mariadb() {
        return must_have_one_password(session, &account).await;
    }
    if !change.keep_old || session.has_active_role().await {
        return Ok(());
    }
    let rows = session.rows("read the account's own privileges", "SHOW GRANTS").await?;
    let grants = rows.iter().filter_map(|row| text(row, 0)).collect::<Vec<_>>().join("\n");
    // A global privilege, which stands nowhere else.
    let enough = ["APPLICATION_PASSWORD_ADMIN", "CREATE USER", "ALL PRIVILEGES ON *.*"];
    if enough.iter().any(|privilege| grants.contains(privilege)) {
        return Ok(());
    }
    let doing = format!("change the password of {account} and keep the old one");
    Err(EngineError::lacks(
        doing,
        change.user,
        "APPLICATION_PASSWORD_ADMIN",
        remedy_to_keep(&account),
    ))
}

fn remedy_to_keep(account: &Account) -> String {
    format!(
        "As an administrator of the database: GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}. Or remove \
         KEEP_PREVIOUS_PASSWORD from the function's settings.",
        account.quoted(Literals::BackslashEscapes)
    )
}

/// MariaDB changes the first of several passwords, and the others go on working.
async fn must_have_one_password(
    session: &mut Session,
    account: &Account,
) -> Result<(), EngineError> {
    let rows =
        session.rows("read the session's own account", "SHOW CREATE USER CURRENT_USER()").await?;
    let shown =
        rows.first().and_then(|row| text(row, 0)).ok_or_else(|| unreadable("it is not text"))?;
    create_user::parse(&shown)?.must_have_one_password(account)
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
            "As an administrator of the database: ALTER USER {} IDENTIFIED BY 'THE PASSWORD OF AWSCURRENT'. Then let \
             the rotation be repeated.",
            self.account.quoted(self.literals)
        )
    }

    fn failure(&self, error: &sqlx::Error) -> EngineError {
        if number_of(error) == Some(NOT_THE_PRIMARY) {
            return EngineError::NeedsDecision {
                what: format!(
                    "{} has logged in with its second password, and must name the primary one to change it \
                     (PASSWORD REQUIRE CURRENT); a cancelled rotation with KEEP_PREVIOUS_PASSWORD may have set that",
                    self.account
                ),
                remedy: self.remedy_of_unknown_primary(),
            };
        }
        failure(error, &format!("change the password of {}", self.account), REMEDY)
    }

    /// Leaves the old password working beside the new one: [dual passwords].
    ///
    /// `RETAIN CURRENT PASSWORD` moves the *primary* password into the second place. Said twice, it
    /// would push the old password out while applications still use it: so `REPLACE`, by which the
    /// server itself says whether the password of this session is the primary one.
    ///
    /// [dual passwords]: https://dev.mysql.com/doc/refman/8.4/en/password-management.html#dual-passwords
    async fn keep(&self, session: &mut Session, old: &str) -> Result<Changed, EngineError> {
        let new = self.change.new.expose();
        let statement =
            format!("{} {} RETAIN CURRENT PASSWORD", self.alter(new), self.replace(old));
        match session.try_run(&statement).await {
            Ok(()) => return Ok(Changed::Now),
            // The history, where there is one, is asked before `REPLACE` is.
            Err(error) if matches!(number_of(&error), Some(NOT_THE_PRIMARY | USED_BEFORE)) => {}
            Err(error) => return Err(self.cannot_keep(&error)),
        }
        // Is the new one the primary already? Then this changes nothing.
        let same = format!("{} {}", self.alter(new), self.replace(new));
        match session.try_run(&same).await {
            Ok(()) => return Ok(Changed::Before),
            Err(error) if number_of(&error) == Some(USED_BEFORE) => return Ok(Changed::Before),
            Err(error) if number_of(&error) == Some(NOT_THE_PRIMARY) => {}
            Err(error) => return Err(self.cannot_keep(&error)),
        }
        // The primary is that of a rotation that was given up: the old one takes its place first.
        match session.try_run(&self.alter(old)).await {
            Ok(()) => self.run(session, &statement).await,
            Err(error) if number_of(&error) == Some(USED_BEFORE) => {
                self.run(session, &format!("{} RETAIN CURRENT PASSWORD", self.alter(new))).await?;
                Ok(Changed::NowBut(format!(
                    "The password that {} had before works no longer: the one of a rotation that was given up was \
                     in its place, and PASSWORD HISTORY did not let it return.",
                    self.account
                )))
            }
            Err(error) => Err(self.cannot_keep(&error)),
        }
    }

    fn cannot_keep(&self, error: &sqlx::Error) -> EngineError {
        let doing = format!("change the password of {} and keep the old one", self.account);
        match number_of(error) {
            Some(NOT_UNDERSTOOD) => EngineError::NeedsDecision {
                what: "this server does not know RETAIN CURRENT PASSWORD: MySQL has it since 8.0.14".into(),
                remedy: "Remove KEEP_PREVIOUS_PASSWORD from the function's settings, or upgrade the server."
                    .into(),
            },
            Some(CURRENT_PASSWORD_WANTED) => EngineError::NeedsDecision {
                what: format!(
                    "the primary password of {} is neither that of AWSCURRENT nor that of AWSPENDING (it is of a \
                     cancelled rotation, or was set by hand), and the account must name it to change it",
                    self.account
                ),
                remedy: self.remedy_of_unknown_primary(),
            },
            _ => failure(error, &doing, &remedy_to_keep(self.account)),
        }
    }
}
