//! The alternate role, kept in step with its base role.
//!
//! It has nothing of its own. It is a member of the base role and acts as it from the first
//! statement (`ALTER ROLE alternate SET role = base`), so every privilege, row policy, default
//! privilege, user mapping and ownership of the base role counts for it, now and later, and
//! whatever it creates belongs to the base role. What PostgreSQL looks up under the name that
//! logged in (attributes, settings) is copied.
//!
//! All of it, with the password, is one transaction: a rotation that dies leaves the role as it
//! was.

use rotation_database::{
    EngineError, PasswordReset, PasswordSet, SyncReport, SyncRequest, UserPair,
};
use sqlx::Row;

use crate::attributes::{self, Attributes};
use crate::failure::failure;
use crate::new_password::NewPassword;
use crate::quote::identifier;
use crate::role_settings;
use crate::session::{Access, Session, Transaction};

/// The first version where CREATEROLE alone administers no role: that takes ADMIN OPTION on it.
pub(crate) const ADMIN_OPTION_COUNTS: u32 = 160_000;

/// The first version where a privilege to set a parameter can be granted.
const PARAMETERS_HAVE_PRIVILEGES: u32 = 150_000;

pub(crate) async fn bring_in_step(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<SyncReport, EngineError> {
    // Before the transaction holds a lock.
    let password =
        NewPassword::by_master(session, copy.turn, copy.password, copy.logs_in_unencrypted).await?;
    let transaction = session.begin(Access::Change).await?;
    let mut step =
        Step { transaction, copy, dry_run: false, reassigns: false, copied: SyncReport::default() };
    step.role().await?;
    finish(step.transaction, copy.master, copy.turn, &password).await?;
    Ok(step.copied)
}

/// What [`bring_in_step`] would change.
pub(crate) async fn differences(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<Vec<String>, EngineError> {
    let step = look(session, copy).await?;
    step.transaction.commit().await?;
    Ok(step.copied.changes)
}

/// What the master lacks for what [`differences`] names, as far as it is certain.
pub(crate) async fn not_grantable(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    let mut step = look(session, copy).await?;
    let lacks = step.lacks_for_reassignment().await?;
    step.transaction.commit().await?;
    Ok(lacks.into_iter().collect())
}

/// Looks at the roles and changes nothing.
async fn look<'a>(
    session: &'a mut Session,
    copy: &'a SyncRequest<'_>,
) -> Result<Step<'a>, EngineError> {
    let transaction = session.begin(Access::Look).await?;
    let mut step =
        Step { transaction, copy, dry_run: true, reassigns: false, copied: SyncReport::default() };
    step.role().await?;
    Ok(step)
}

/// Sets a role's password and nothing else.
pub(crate) async fn set_password(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<PasswordSet, EngineError> {
    let password =
        NewPassword::by_master(session, reset.user, reset.password, reset.logs_in_unencrypted)
            .await?;
    let mut transaction = session.begin(Access::Change).await?;
    let rows =
        transaction.rows("read the role", attributes::QUERY, &[reset.user, reset.user]).await?;
    let row =
        rows.first().ok_or_else(|| EngineError::NoSuchUser { user: reset.user.to_owned() })?;
    Attributes::read(row)?.1.must_be_valid(reset.user)?;
    finish(transaction, reset.master, reset.user, &password).await?;
    Ok(PasswordSet::Now)
}

/// Ends a transaction with a password.
async fn finish(
    transaction: Transaction<'_>,
    master: &str,
    user: &str,
    password: &NewPassword,
) -> Result<(), EngineError> {
    let remedy = administer(transaction.version(), master, user);
    transaction.set_password_and_commit(user, password, &remedy).await
}

/// Whether a session of the alternate role acts as the base role, or as whom that acts. A `role`
/// setting that fails at login is only a warning to the server.
pub(crate) async fn stands_in(session: &mut Session, pair: &UserPair) -> Result<(), EngineError> {
    const QUERY: &str = "SELECT session_user = $1 OR (current_user <> session_user \
        AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER')), session_user::text, current_user::text \
        FROM pg_catalog.pg_roles r WHERE r.rolname::text = $1";
    const DOING: &str = "see whom the session acts as";
    let mut transaction = session.begin(Access::LookAsActing).await?;
    let rows = transaction.rows(DOING, QUERY, &[&pair.base]).await?;
    transaction.commit().await?;
    let row = rows.first().ok_or_else(|| EngineError::NoSuchUser { user: pair.base.clone() })?;
    let read = || Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?));
    let (fine, login, acts_as): (bool, String, String) =
        read().map_err(|error| failure(&error, DOING, ""))?;
    if fine {
        return Ok(());
    }
    Err(EngineError::NeedsDecision {
        what: format!("{login} logs in, but acts as {acts_as} instead of {}", pair.base),
        remedy: format!(
            "As an administrator of the database: GRANT {0} TO {1}; ALTER ROLE {1} SET role = {0}. Then let the \
             rotation be repeated.",
            identifier(&pair.base),
            identifier(&pair.alternate)
        ),
    })
}

pub(crate) struct Step<'a> {
    pub(crate) transaction: Transaction<'a>,
    pub(crate) copy: &'a SyncRequest<'a>,
    /// `true` if changes are told and not made.
    dry_run: bool,
    /// `true` if the alternate role owns objects that are to be the base role's.
    pub(crate) reassigns: bool,
    pub(crate) copied: SyncReport,
}

impl Step<'_> {
    /// Makes a change, and tells of it: `what` is a phrase.
    pub(crate) async fn change(
        &mut self,
        what: String,
        doing: &str,
        statement: &str,
        remedy: &str,
    ) -> Result<(), EngineError> {
        if !self.dry_run {
            self.transaction.run_or(doing, statement, remedy).await?;
        }
        self.copied.changes.push(what);
        Ok(())
    }

    async fn role(&mut self) -> Result<(), EngineError> {
        let copy = self.copy;
        let rows = self
            .transaction
            .rows("read the roles", attributes::QUERY, &[copy.base, copy.alternate])
            .await?;
        let mut base = None;
        let mut alternate = None;
        for row in &rows {
            let (name, attributes) = Attributes::read(row)?;
            if name == copy.base { base = Some(attributes) } else { alternate = Some(attributes) }
        }
        let base = base.ok_or_else(|| EngineError::NoSuchUser { user: copy.base.to_owned() })?;
        base.must_be_valid(copy.base)?;
        if alternate.is_none() && !copy.is_alternates_turn() {
            return Ok(());
        }
        if alternate.is_some() {
            self.belongs_together().await?;
        }
        self.attributes(alternate, &base.for_alternate()).await?;
        self.membership().await?;
        self.ownership().await?;
        self.settings().await
    }

    async fn attributes(
        &mut self,
        has: Option<Attributes>,
        wanted: &Attributes,
    ) -> Result<(), EngineError> {
        let alternate = self.copy.alternate;
        let name = identifier(alternate);
        let created = has.is_none();
        let has = has.unwrap_or_else(Attributes::of_a_new_role);
        // On the base role's turn, applications use the alternate one.
        let now =
            if self.copy.is_alternates_turn() { wanted.clone() } else { has.while_in_use(wanted) };
        let options = has.options_to_become(&now);
        let later = now.options_to_become(wanted);
        if !later.is_empty() {
            self.copied.defer(alternate, format!("ALTER ROLE {name} {}", later.join(" ")));
        }
        if created && self.dry_run {
            self.copied.changes.push(format!("role {alternate} is missing"));
        } else if created {
            let statement = format!("CREATE ROLE {name} {}", options.join(" "));
            let remedy = self.creation(&options, &statement);
            self.transaction
                .run_or(&format!("create role {alternate}"), &statement, &remedy)
                .await?;
            self.copied.created = true;
        } else if !options.is_empty() {
            let statement = format!("ALTER ROLE {name} {}", options.join(" "));
            let remedy = self.administer(alternate);
            let what = format!("attributes: {}", options.join(" "));
            let doing = format!("change the attributes of role {alternate}");
            self.change(what, &doing, &statement, &remedy).await?;
        }
        Ok(())
    }

    async fn settings(&mut self) -> Result<(), EngineError> {
        let (base, alternate) = (self.copy.base, self.copy.alternate);
        let doing = "read the settings of the roles";
        let rows = self.transaction.rows(doing, role_settings::QUERY, &[base, alternate]).await?;
        let mut roles = role_settings::read(&rows)?;
        let wanted = role_settings::for_alternate(base, &roles.remove(base).unwrap_or_default());
        let has = roles.remove(alternate).unwrap_or_default();
        for change in role_settings::changes(&has, &wanted) {
            if change.name.contains('.') && !self.may_set(&change.name).await? {
                self.copied.notes.push(format!(
                    "The setting {} of {base} is not copied to {alternate}: it belongs to an extension, and the \
                     master may not set it. As a superuser: ALTER ROLE {} {}.",
                    change.name,
                    identifier(alternate),
                    change.clause
                ));
                continue;
            }
            let statement = format!("ALTER ROLE {} {}", identifier(alternate), change.clause);
            let remedy = format!(
                "As a superuser: GRANT SET ON PARAMETER {} TO {} (PostgreSQL 15 and later), or {statement}. {}",
                identifier(&change.name),
                identifier(self.copy.master),
                self.administer(alternate),
            );
            let doing = format!("copy the setting {} to {alternate}", change.name);
            self.change(format!("setting {}", change.name), &doing, &statement, &remedy).await?;
        }
        Ok(())
    }

    /// Returns `true` if the master may set a setting of an extension for others. A server that has
    /// not loaded the extension knows nothing of the setting, and lets only superusers set it, or
    /// who has been granted that (PostgreSQL 15 and later).
    async fn may_set(&mut self, name: &str) -> Result<bool, EngineError> {
        const DOING: &str = "see whether the master may copy a setting";
        const KNOWN: &str = "SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = session_user) \
            OR EXISTS (SELECT FROM pg_catalog.pg_settings s \
                WHERE pg_catalog.lower(s.name) = pg_catalog.lower($1) AND s.context = 'user')";
        const GRANTED: &str = "SELECT pg_catalog.has_parameter_privilege($1, 'SET')";
        let mut queries = vec![KNOWN];
        if self.transaction.version() >= PARAMETERS_HAVE_PRIVILEGES {
            queries.push(GRANTED);
        }
        for query in queries {
            let rows = self.transaction.rows(DOING, query, &[name]).await?;
            let may = rows.first().map_or(Ok(false), |row| row.try_get(0));
            if may.map_err(|error| failure(&error, DOING, ""))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What lets the master create the alternate role. Some attributes can only be given by who has
    /// them, and before PostgreSQL 16 only by a superuser.
    fn creation(&self, options: &[String], statement: &str) -> String {
        let master = identifier(self.copy.master);
        let own =
            |option: &&String| ["CREATEDB", "REPLICATION", "BYPASSRLS"].contains(&option.as_str());
        let by_superuser = |option: &String| match option.as_str() {
            "SUPERUSER" => true,
            "REPLICATION" | "BYPASSRLS" => self.transaction.version() < ADMIN_OPTION_COUNTS,
            _ => false,
        };
        if options.iter().any(by_superuser) {
            return format!(
                "As a superuser of the database: {statement}; GRANT {} TO {}.",
                identifier(self.copy.base),
                identifier(self.copy.alternate)
            );
        }
        let list: String = options.iter().filter(own).map(|option| format!(" {option}")).collect();
        format!("As an administrator of the database: ALTER ROLE {master} CREATEROLE{list}.")
    }

    pub(crate) fn administer(&self, role: &str) -> String {
        administer(self.transaction.version(), self.copy.master, role)
    }
}

/// What lets a master administer a role.
pub(crate) fn administer(version: u32, master: &str, role: &str) -> String {
    let master = identifier(master);
    let mut remedy = format!("As an administrator of the database: ALTER ROLE {master} CREATEROLE");
    if version >= ADMIN_OPTION_COUNTS {
        remedy.push_str(&format!("; GRANT {} TO {master} WITH ADMIN OPTION", identifier(role)));
    }
    remedy.push_str(". (A role with SUPERUSER takes a master that is a superuser.)");
    remedy
}
