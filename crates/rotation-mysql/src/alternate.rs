//! The alternate user, kept in step with the base user: one account for each of its accounts, with
//! the same host.
//!
//! These servers have no transaction around users. A new account is locked until all is in place,
//! and the password comes last, so that a rotation that dies half-way leaves an account that cannot
//! log in.

use std::collections::BTreeSet;

use rotation_database::{
    EngineError, PasswordReset, PasswordSet, SyncReport, SyncRequest, administrator,
};

use crate::account::Account;
use crate::failure::number::OBJECT_IS_GONE;
use crate::failure::{failure, number_of};
use crate::grants::{Change, Grants};
use crate::next_login;
use crate::pairs::{AccountState, Base, Pair};
use crate::passwords;
use crate::quote::{Literals, identifier};
use crate::session::{Session, text};

pub(crate) async fn bring_in_step(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<SyncReport, EngineError> {
    let mut step = Step::begin(session, copy).await?;
    step.run().await?;
    Ok(step.copied)
}

/// What [`bring_in_step`] would change.
pub(crate) async fn differences(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<Vec<String>, EngineError> {
    Step::begin(session, copy).await?.differences().await
}

/// What the master's own grants show that it cannot grant or revoke.
pub(crate) async fn not_grantable(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    Step::begin(session, copy).await?.not_grantable().await
}

/// Checks what can be read before [`set_password`] changes anything.
pub(crate) async fn may_set_password(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<(), EngineError> {
    let copy = reset.alone();
    let mut step = Step::begin(session, &copy).await?;
    let bases = step.bases().await?;
    next_login::is_possible(&mut step, &bases).await
}

/// Sets the password of every account of a user and nothing else.
pub(crate) async fn set_password(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<PasswordSet, EngineError> {
    let copy = reset.alone();
    let mut step = Step::begin(session, &copy).await?;
    let bases = step.bases().await?;
    next_login::is_possible(&mut step, &bases).await?;
    step.set_passwords(&bases).await?;
    Ok(step.copied.password)
}

pub(crate) struct Step<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) copy: &'a SyncRequest<'a>,
    pub(crate) literals: Literals,
    pub(crate) copied: SyncReport,
    /// Roles that the master has and that are not active, where it cannot activate them all.
    inactive_roles: Vec<String>,
}

impl<'a> Step<'a> {
    async fn begin(
        session: &'a mut Session,
        copy: &'a SyncRequest<'a>,
    ) -> Result<Self, EngineError> {
        if !session.is_mariadb() {
            // Hashes hold any byte; as hexadecimal digits they can be read. Servers before 8.0.17
            // do not know it.
            let _ = session
                .run("show hashes readably", "SET SESSION print_identified_with_as_hex = ON")
                .await;
        }
        let inactive_roles = session.activate_roles().await?;
        let (literals, copied) = (Literals::BackslashEscapes, SyncReport::default());
        Ok(Self { session, copy, literals, copied, inactive_roles })
    }
}

impl Step<'_> {
    async fn run(&mut self) -> Result<(), EngineError> {
        if !self.copy.is_alternates_turn() && !self.copy.is_known_pair {
            return Err(EngineError::unproven_base(self.copy.base, self.copy.alternate));
        }
        let bases = self.bases().await?;
        next_login::is_possible(self, &bases).await?;
        let alternates = self.accounts(self.copy.alternate).await?;
        let pairs = self.pairs(&bases, &alternates).await?;
        let left_over = left_over(&bases, &alternates);
        if !self.copy.is_known_pair {
            self.belong_together(&pairs, &left_over).await?;
        }
        for pair in &pairs {
            self.base_in_step(pair).await?;
            self.in_step(pair).await?;
        }
        self.set_passwords(&bases).await?;
        // On the base user's turn these may be in use.
        if self.copy.is_alternates_turn() {
            for account in left_over {
                self.lock(account).await?;
            }
        }
        Ok(())
    }

    /// Lets the base account use the routines that the alternate one has created.
    async fn base_in_step(&mut self, pair: &Pair<'_>) -> Result<(), EngineError> {
        for change in pair.base_has.changes_to_become(&pair.wanted) {
            self.privilege(&pair.base.account, &change).await?;
        }
        Ok(())
    }

    async fn in_step(&mut self, pair: &Pair<'_>) -> Result<(), EngineError> {
        let Pair { base, account, wanted, .. } = pair;
        let name = account.quoted(self.literals);
        let remedy = self.administrator("GRANT CREATE USER ON *.* TO", "");
        let made;
        let has = if let Some(has) = &pair.has {
            let mut clauses = has.shown.clauses_to_become(&base.shown);
            let mut later = String::new();
            let mut ends_lifetime = has.shown.lifetime_must_end_first(&base.shown);
            // On the base user's turn, applications use the account.
            if !clauses.is_empty() && !self.copy.is_alternates_turn() {
                let passwords_expire = self.passwords_expire().await?;
                (clauses, later) = has.shown.clauses_while_in_use(&base.shown, passwords_expire);
                ends_lifetime &= !passwords_expire;
            }
            if !later.is_empty() {
                self.copied.defer(&account.user, format!("ALTER USER {account} {later}"));
            }
            if !clauses.is_empty() {
                let doing = format!("change the attributes of {account}");
                if ends_lifetime {
                    let statement = format!("ALTER USER {name} PASSWORD EXPIRE NEVER");
                    self.session.run_or(&doing, &statement, &remedy).await?;
                }
                self.session
                    .run_or(&doing, &format!("ALTER USER {name} {clauses}"), &remedy)
                    .await?;
                self.copied.changes.push(format!("attributes of {account}"));
            }
            let to_be_locked = base.shown.locked && !has.shown.locked;
            // On the base user's turn it is in use.
            if to_be_locked && !self.copy.is_alternates_turn() {
                self.copied.defer(&account.user, format!("ALTER USER {account} ACCOUNT LOCK"));
            } else if to_be_locked {
                self.session
                    .run_or(
                        &format!("lock {account}"),
                        &format!("ALTER USER {name} ACCOUNT LOCK"),
                        &remedy,
                    )
                    .await?;
                self.copied.notes.push(format!("{account} is locked, as {} is.", base.account));
            }
            has
        } else {
            // One that is thrown away: a password history must not refuse the new one when it is
            // set with the others' below.
            let identified = self.identified(base, &passwords::thrown_away()?)?;
            let clauses = base.shown.all_clauses_locked();
            let statement = format!("CREATE USER {name} {identified} {clauses}");
            self.session.run_or(&format!("create {account}"), &statement, &remedy).await?;
            self.copied.created = true;
            made = self.has(account).await?;
            &made
        };
        let has = self.privileges(account, has, wanted).await?;
        self.default_roles(pair, &has).await
    }

    /// Grants and revokes until an account has the wanted privileges. Returns what it has then.
    ///
    /// Partial revokes wait until the grants are done: the server may add those of the master by
    /// itself.
    async fn privileges(
        &mut self,
        account: &Account,
        has: &AccountState,
        wanted: &Grants,
    ) -> Result<AccountState, EngineError> {
        let mut has = AccountState { shown: has.shown.clone(), granted: has.granted.clone() };
        // What must wait, or has no effect. It would be planned again each time.
        let mut left = BTreeSet::new();
        loop {
            let changes = has.granted.changes_to_become(wanted).into_iter();
            let mut changes: Vec<_> =
                changes.filter(|change| !left.contains(&change.statement(""))).collect();
            if changes.iter().any(|change| !change.restricts) {
                changes.retain(|change| !change.restricts);
            }
            if changes.is_empty() {
                return Ok(has);
            }
            for change in changes {
                self.privilege(account, &change).await?;
                left.insert(change.statement(""));
            }
            // A role that was revoked has taken the default with it.
            has = self.has(account).await?;
        }
    }

    /// Makes one change of an account's privileges, unless it must wait, or its object is gone.
    async fn privilege(&mut self, account: &Account, change: &Change) -> Result<(), EngineError> {
        let shown = change.statement(&account.to_string());
        // On the base user's turn the alternate one is in use.
        if change.interrupts && !self.copy.is_alternates_turn() {
            self.copied.defer(&account.user, shown);
            return Ok(());
        }
        match self.session.try_run(&change.statement(&account.quoted(self.literals))).await {
            Ok(()) => self.copied.changes.push(shown),
            Err(error)
                if change.on.is_some()
                    && number_of(&error).is_some_and(|n| OBJECT_IS_GONE.contains(&n)) =>
            {
                self.copied
                    .notes
                    .push(format!("Not done, because the object does not exist: {shown}."));
            }
            Err(error) => {
                let remedy = self.remedy_of(change);
                return Err(failure(&error, &format!("run {shown}"), &remedy));
            }
        }
        Ok(())
    }

    async fn differences(&mut self) -> Result<Vec<String>, EngineError> {
        let bases = self.bases().await?;
        let alternates = self.accounts(self.copy.alternate).await?;
        let mut differences = Vec::new();
        next_login::is_possible(self, &bases).await?;
        let pairs = self.pairs(&bases, &alternates).await?;
        if !self.copy.is_known_pair {
            self.belong_together(&pairs, &left_over(&bases, &alternates)).await?;
        }
        for Pair { base, base_has, wanted, account, has } in &pairs {
            let for_base = base_has.changes_to_become(wanted);
            differences
                .extend(for_base.iter().map(|change| change.statement(&base.account.to_string())));
            let Some(has) = has else {
                differences.push(format!("{account} is missing"));
                continue;
            };
            let clauses = has.shown.clauses_to_become(&base.shown);
            if !clauses.is_empty() {
                differences.push(format!("attributes of {account}: {clauses}"));
            }
            if has.shown.locked != base.shown.locked {
                let is = if has.shown.locked { "locked" } else { "not locked" };
                differences.push(format!("{account} is {is}, and {} is otherwise", base.account));
            }
            let changes = has.granted.changes_to_become(wanted);
            let masters = match changes.as_slice() {
                [] => Grants::default(),
                _ => self.own_grants().await?,
            };
            for change in changes {
                if !self.is_gone(&change, &masters).await? {
                    differences.push(change.statement(&account.to_string()));
                }
            }
            if self.other_default_roles(base, wanted, has).is_some() {
                differences.push(format!("default roles of {account}"));
            }
        }
        for account in left_over(&bases, &alternates) {
            if !self.show(account).await?.locked {
                differences.push(format!(
                    "{account} is open, and {} has no account there",
                    self.copy.base
                ));
            }
        }
        Ok(differences)
    }

    async fn not_grantable(&mut self) -> Result<Vec<EngineError>, EngineError> {
        // What a role brings along stands elsewhere.
        if self.session.has_active_role().await {
            return Ok(Vec::new());
        }
        let masters = self.own_grants().await?;
        let bases = self.bases().await?;
        let alternates = self.accounts(self.copy.alternate).await?;
        let mut lacks = Vec::new();
        for Pair { wanted, account, has, .. } in &self.pairs(&bases, &alternates).await? {
            let granted = has.as_ref().map(|has| has.granted.clone()).unwrap_or_default();
            for change in granted.changes_to_become(wanted) {
                if !masters.may_suffice_for(&change)? {
                    let doing = format!("run {}", change.statement(&account.to_string()));
                    let privilege = format!("{}{}", change.needs, change.needs_option);
                    let remedy = self.remedy_of(&change);
                    lacks.push(EngineError::lacks(doing, self.copy.master, &privilege, remedy));
                }
            }
        }
        Ok(lacks)
    }

    /// Returns `true` if passwords expire by default.
    async fn passwords_expire(&mut self) -> Result<bool, EngineError> {
        let query = "SELECT CONVERT(@@GLOBAL.default_password_lifetime, CHAR)";
        let rows = self.session.rows("ask how long passwords last", query).await?;
        Ok(rows.first().and_then(|row| text(row, 0)).is_some_and(|days| days != "0"))
    }

    fn remedy_of(&self, change: &Change) -> String {
        self.administrator(&format!("GRANT {} TO", change.needs), change.needs_option)
    }

    /// The default roles to be set, where they are others.
    fn other_default_roles<'w>(
        &self,
        base: &'w Base,
        wanted: &'w Grants,
        has: &AccountState,
    ) -> Option<&'w str> {
        let (wanted, has) = if self.session.is_mariadb() {
            (wanted.default_role.as_deref(), has.granted.default_role.as_deref())
        } else {
            (Some(base.shown.default_roles.as_str()), Some(has.shown.default_roles.as_str()))
        };
        (wanted != has).then(|| wanted.filter(|roles| !roles.is_empty()).unwrap_or("NONE"))
    }

    async fn default_roles(
        &mut self,
        pair: &Pair<'_>,
        has: &AccountState,
    ) -> Result<(), EngineError> {
        let account = &pair.account;
        let name = account.quoted(self.literals);
        let Some(roles) = self.other_default_roles(pair.base, &pair.wanted, has) else {
            return Ok(());
        };
        let statement = if self.session.is_mariadb() {
            format!("SET DEFAULT ROLE {roles} FOR {name}")
        } else {
            format!("ALTER USER {name} DEFAULT ROLE {roles}")
        };
        let remedy = self.administrator("GRANT UPDATE ON mysql.* TO", "");
        self.session
            .run_or(&format!("set the default roles of {account}"), &statement, &remedy)
            .await?;
        self.copied.changes.push(format!("default roles of {account}"));
        Ok(())
    }

    /// An alternate account that the base user has no counterpart of may do nothing more.
    async fn lock(&mut self, account: &Account) -> Result<(), EngineError> {
        if self.show(account).await?.locked {
            return Ok(());
        }
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

    /// What an administrator runs for the master.
    pub(crate) fn administrator(&self, grant: &str, with: &str) -> String {
        let master = self.literals.quote(self.copy.master);
        let or = or_default_role(&self.inactive_roles, &master);
        administrator(&format!("{grant} {master}@'HOST'{with}{or}"))
    }
}

/// What an administrator may do instead of granting a privilege that a role of the master has.
pub(crate) fn or_default_role(roles: &[String], master: &str) -> String {
    let names: Vec<_> = roles.iter().map(|role| identifier(role)).collect();
    match names.as_slice() {
        [] => String::new(),
        names => format!(
            ". Or, if a role of the master has it, make that role active: SET DEFAULT ROLE {} FOR {master}@'HOST'",
            names.join(" or ")
        ),
    }
}

/// The accounts of the alternate user that the base user has no counterpart of.
fn left_over<'a>(bases: &[Base], alternates: &'a [Account]) -> Vec<&'a Account> {
    let has_counterpart =
        |alternate: &&Account| bases.iter().any(|base| base.account.host == alternate.host);
    alternates.iter().filter(|alternate| !has_counterpart(alternate)).collect()
}
