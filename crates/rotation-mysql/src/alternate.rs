//! The alternate user, kept in step with the base user: one account for each of its accounts, with the same host.
//!
//! These servers have no transaction around users. A new account is locked until all is in place, and the password
//! comes last, so that a rotation that dies half-way leaves an account that cannot log in.

use rotation_database::{Copied, EngineError, UserCopy};

use crate::account::Account;
use crate::native_hash::native_hash;
use crate::pairs::{Base, Has, Pair};
use crate::quote::Literals;
use crate::session::Session;

pub(crate) async fn bring_in_step(session: &mut Session, copy: &UserCopy<'_>) -> Result<Copied, EngineError> {
    // So that the server shows names in backticks and reads literals in one way, whatever its own mode.
    session.run("set the session's mode", "SET SESSION sql_mode = ''").await?;
    let literals = Literals::BackslashEscapes;
    let mut step = Step { session, copy, literals, copied: Copied::default() };
    step.run().await?;
    Ok(step.copied)
}

pub(crate) struct Step<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) copy: &'a UserCopy<'a>,
    pub(crate) literals: Literals,
    copied: Copied,
}

impl Step<'_> {
    async fn run(&mut self) -> Result<(), EngineError> {
        if !self.session.is_mariadb() {
            // Hashes hold any byte; as hexadecimal digits they can be read. Servers before 8.0.17 do not know it.
            let _ = self
                .session
                .run("show hashes readably", "SET SESSION print_identified_with_as_hex = ON")
                .await;
        }
        let bases = self.bases().await?;
        let alternates = self.accounts(self.copy.alternate).await?;
        let pairs = self.pairs(&bases, &alternates).await?;
        let has_counterpart =
            |alternate: &&Account| bases.iter().any(|base| base.account.host == alternate.host);
        let left_over: Vec<_> = alternates.iter().filter(|alternate| !has_counterpart(alternate)).collect();
        if !self.copy.is_known_pair {
            self.belong_together(&pairs, &left_over).await?;
        }
        for pair in &pairs {
            self.in_step(pair).await?;
        }
        for account in left_over {
            self.lock(account).await?;
        }
        self.set_passwords(&bases).await
    }

    async fn in_step(&mut self, pair: &Pair<'_>) -> Result<(), EngineError> {
        let Pair { base, account, wanted, .. } = pair;
        let name = account.quoted(self.literals);
        let remedy = self.administrator("GRANT CREATE USER ON *.* TO", "");
        let made;
        let has = if let Some(has) = &pair.has {
            let clauses = has.shown.clauses_to_become(&base.shown);
            if !clauses.is_empty() {
                let doing = format!("change the attributes of {account}");
                self.session.run_or(&doing, &format!("ALTER USER {name} {clauses}"), &remedy).await?;
                self.copied.changes.push(format!("attributes of {account}"));
            }
            has
        } else {
            let identified = self.identified(base);
            let clauses = base.shown.all_clauses_locked();
            let statement = format!("CREATE USER {name} {identified} {clauses}");
            self.session.run_or(&format!("create {account}"), &statement, &remedy).await?;
            self.copied.created = true;
            made = self.has(account).await?;
            &made
        };
        for change in has.granted.changes_to_become(wanted) {
            let doing = change.statement.replace("{}", &account.to_string());
            let statement = change.statement.replace("{}", &name);
            let remedy = self.administrator(&format!("GRANT {} TO", change.needs), " WITH GRANT OPTION");
            self.session.run_or(&format!("run {doing}"), &statement, &remedy).await?;
            self.copied.changes.push(doing);
        }
        self.default_roles(pair, has).await
    }

    async fn default_roles(&mut self, pair: &Pair<'_>, has: &Has) -> Result<(), EngineError> {
        let account = &pair.account;
        let name = account.quoted(self.literals);
        let statement = if self.session.is_mariadb() {
            let wanted = &pair.wanted.default_role;
            if *wanted == has.granted.default_role {
                return Ok(());
            }
            format!("SET DEFAULT ROLE {} FOR {name}", wanted.as_deref().unwrap_or("NONE"))
        } else {
            let wanted = &pair.base.shown.default_roles;
            if *wanted == has.shown.default_roles {
                return Ok(());
            }
            format!("ALTER USER {name} DEFAULT ROLE {}", if wanted.is_empty() { "NONE" } else { wanted })
        };
        let remedy = self.administrator("GRANT UPDATE ON mysql.* TO", "");
        self.session.run_or(&format!("set the default roles of {account}"), &statement, &remedy).await?;
        self.copied.changes.push(format!("default roles of {account}"));
        Ok(())
    }

    /// An alternate account that the base user has no counterpart of may do nothing more.
    async fn lock(&mut self, account: &Account) -> Result<(), EngineError> {
        let statement = format!("ALTER USER {} ACCOUNT LOCK", account.quoted(self.literals));
        let remedy = self.administrator("GRANT CREATE USER ON *.* TO", "");
        self.session.run_or(&format!("lock {account}"), &statement, &remedy).await?;
        let host = &account.host;
        self.copied.notes.push(format!(
            "{account} is locked: {} has no account for host {host} any more.",
            self.copy.base
        ));
        Ok(())
    }

    /// The password of every account of the user whose turn it is, last of all; this also unlocks the alternate.
    async fn set_passwords(&mut self, bases: &[Base]) -> Result<(), EngineError> {
        let doing = format!("set the password of {}", self.copy.turn);
        let remedy = self.administrator("GRANT CREATE USER ON *.* TO", "");
        if !self.copy.is_alternates_turn() {
            for base in bases {
                let name = base.account.quoted(self.literals);
                let statement = if self.session.is_mariadb() {
                    let hash = native_hash(self.copy.password.expose());
                    format!("SET PASSWORD FOR {name} = {}", self.literals.quote(&hash))
                } else {
                    format!(
                        "ALTER USER {name} IDENTIFIED BY {}",
                        self.literals.quote(self.copy.password.expose())
                    )
                };
                self.session.run_or(&doing, &statement, &remedy).await?;
            }
            return Ok(());
        }
        // An account of the base user that is locked keeps its counterpart locked.
        for base in bases.iter().filter(|base| !base.shown.locked) {
            let name = self.alternate_of(&base.account).quoted(self.literals);
            let statement = format!("ALTER USER {name} {} ACCOUNT UNLOCK", self.identified(base));
            self.session.run_or(&doing, &statement, &remedy).await?;
        }
        Ok(())
    }

    /// `IDENTIFIED …` with the new password, in the form that the server does not log readably.
    fn identified(&self, base: &Base) -> String {
        let password = self.copy.password.expose();
        if self.session.is_mariadb() {
            format!("IDENTIFIED BY PASSWORD {}", self.literals.quote(&native_hash(password)))
        } else {
            format!(
                "IDENTIFIED WITH {} BY {}",
                self.literals.quote(&base.plugin),
                self.literals.quote(password)
            )
        }
    }

    /// What an administrator runs for the master.
    pub(crate) fn administrator(&self, grant: &str, with: &str) -> String {
        format!(
            "As an administrator of the database: {grant} {}@'HOST'{with}.",
            self.literals.quote(self.copy.master)
        )
    }
}
