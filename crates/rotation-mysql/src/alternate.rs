//! The alternate user, kept in step with the base user: one account for each of its accounts, with the same host.
//!
//! These servers have no transaction around users. A new account is locked until all is in place, and the password
//! comes last, so that a rotation that dies half-way leaves an account that cannot log in.

use rotation_database::{Copied, EngineError, UserCopy};

use crate::account::Account;
use crate::create_user::{self, CreateUser};
use crate::grants;
use crate::native_hash::native_hash;
use crate::quote::Literals;
use crate::session::{Session, text};

/// Plugins that this function can log in with.
const SUPPORTED: [&str; 3] = ["caching_sha2_password", "sha256_password", "mysql_native_password"];

pub(crate) async fn bring_in_step(session: &mut Session, copy: &UserCopy<'_>) -> Result<Copied, EngineError> {
    // So that the server shows names in backticks and reads literals in one way, whatever its own mode.
    session.run("set the session's mode", "SET SESSION sql_mode = ''").await?;
    let literals = Literals::BackslashEscapes;
    let mut step = Step { session, copy, literals, copied: Copied::default() };
    step.run().await?;
    Ok(step.copied)
}

struct Step<'a> {
    session: &'a mut Session,
    copy: &'a UserCopy<'a>,
    literals: Literals,
    copied: Copied,
}

/// An account of the base user and what is known of it.
struct Base {
    account: Account,
    shown: CreateUser,
    plugin: String,
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
        let mut bases = Vec::new();
        for account in self.accounts(self.copy.base).await? {
            let shown = self.show(&account).await?;
            let plugin = supported(&account, &shown)?;
            bases.push(Base { account, shown, plugin });
        }
        if bases.is_empty() {
            return Err(EngineError::NoSuchUser { user: self.copy.base.to_owned() });
        }
        let alternates = self.accounts(self.copy.alternate).await?;
        for base in &bases {
            let account = self.alternate_of(&base.account);
            let exists = alternates.contains(&account);
            if exists || self.copy.is_alternates_turn() {
                self.in_step(base, &account, exists).await?;
            }
        }
        for left_over in alternates
            .iter()
            .filter(|alternate| !bases.iter().any(|base| base.account.host == alternate.host))
        {
            self.lock(left_over).await?;
        }
        self.set_passwords(&bases).await
    }

    /// All accounts of a user.
    async fn accounts(&mut self, user: &str) -> Result<Vec<Account>, EngineError> {
        let roles = if self.session.is_mariadb() { " AND is_role = 'N'" } else { "" };
        let query = format!(
            "SELECT CONVERT(Host USING utf8mb4) FROM mysql.user WHERE User = {}{roles} ORDER BY Host",
            self.literals.quote(user)
        );
        let remedy = self.administrator("GRANT SELECT ON mysql.* TO", "");
        let rows = self.session.rows_or(&format!("look for the accounts of {user}"), &query, &remedy).await?;
        Ok(rows
            .iter()
            .filter_map(|row| text(row, 0))
            .map(|host| Account { user: user.to_owned(), host })
            .collect())
    }

    fn alternate_of(&self, base: &Account) -> Account {
        Account { user: self.copy.alternate.to_owned(), host: base.host.clone() }
    }

    async fn show(&mut self, account: &Account) -> Result<CreateUser, EngineError> {
        let remedy = self.administrator("GRANT SELECT ON mysql.* TO", "");
        let query = format!("SHOW CREATE USER {}", account.quoted(self.literals));
        let rows =
            self.session.rows_or(&format!("read the attributes of {account}"), &query, &remedy).await?;
        create_user::parse(&rows.first().and_then(|row| text(row, 0)).unwrap_or_default())
    }

    async fn show_grants(&mut self, account: &Account) -> Result<grants::Grants, EngineError> {
        let remedy = self.administrator("GRANT SELECT ON mysql.* TO", "");
        let query = format!("SHOW GRANTS FOR {}", account.quoted(self.literals));
        let rows =
            self.session.rows_or(&format!("read the privileges of {account}"), &query, &remedy).await?;
        grants::parse(&rows.iter().filter_map(|row| text(row, 0)).collect::<Vec<_>>())
    }

    async fn in_step(&mut self, base: &Base, account: &Account, exists: bool) -> Result<(), EngineError> {
        let name = account.quoted(self.literals);
        let remedy = self.administrator("GRANT CREATE USER ON *.* TO", "");
        let has = if exists {
            let has = self.show(account).await?;
            let clauses = has.clauses_to_become(&base.shown);
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
            self.show(account).await?
        };
        let wanted = self.show_grants(&base.account).await?;
        let granted = self.show_grants(account).await?;
        for change in granted.changes_to_become(&wanted) {
            let doing = change.statement.replace("{}", &account.to_string());
            let statement = change.statement.replace("{}", &name);
            let remedy = self.administrator(&format!("GRANT {} TO", change.needs), " WITH GRANT OPTION");
            self.session.run_or(&format!("run {doing}"), &statement, &remedy).await?;
            self.copied.changes.push(doing);
        }
        self.default_roles(base, account, &has, wanted.default_role, granted.default_role).await
    }

    async fn default_roles(
        &mut self,
        base: &Base,
        account: &Account,
        has: &CreateUser,
        wanted: Option<String>,
        granted: Option<String>,
    ) -> Result<(), EngineError> {
        let name = account.quoted(self.literals);
        let statement = if self.session.is_mariadb() {
            if wanted == granted {
                return Ok(());
            }
            format!("SET DEFAULT ROLE {} FOR {name}", wanted.as_deref().unwrap_or("NONE"))
        } else {
            let wanted = &base.shown.default_roles;
            if *wanted == has.default_roles {
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
    fn administrator(&self, grant: &str, with: &str) -> String {
        format!(
            "As an administrator of the database: {grant} {}@'HOST'{with}.",
            self.literals.quote(self.copy.master)
        )
    }
}

/// The plugin of an account, if this function can log in with it.
fn supported(account: &Account, shown: &CreateUser) -> Result<String, EngineError> {
    match shown.plugins.iter().find(|plugin| SUPPORTED.contains(&plugin.as_str())) {
        Some(plugin) => Ok(plugin.clone()),
        None => Err(EngineError::NeedsDecision {
            what: format!(
                "{account} logs in by {}, which this function cannot do",
                if shown.plugins.is_empty() {
                    "no plugin that is shown".to_owned()
                } else {
                    shown.plugins.join(", ")
                }
            ),
            remedy: format!("Change the account to one of {}.", SUPPORTED.join(", ")),
        }),
    }
}
