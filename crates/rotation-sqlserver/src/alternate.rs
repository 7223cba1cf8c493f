//! The alternate user, kept in step with the base user.
//!
//! A new one is made with a password that nobody knows, and the password of the rotation comes
//! last: a rotation that dies half-way leaves a user that nobody can log in as.

use std::collections::BTreeMap;

use rotation_database::{EngineError, SyncReport, SyncRequest, administrator};

use crate::logins::{LoginState, Logins};
use crate::own_password::password;
use crate::passwords::unknown_password;
use crate::principal::{BY_DATABASE, Kind, Principal};
use crate::quote::{binary, identifier};
use crate::rights::Ids;
use crate::scope::Scope;
use crate::session::{Session, column, flag, text, unexpected};
use crate::sid;

pub(crate) async fn bring_in_step(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<SyncReport, EngineError> {
    session.begin().await?;
    let mut step = Step::new(session, copy);
    step.run().await?;
    Ok(step.copied)
}

/// What [`bring_in_step`] would change.
pub(crate) async fn differences(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<Vec<String>, EngineError> {
    session.begin().await?;
    let mut step = Step::looking(session, copy);
    step.run().await?;
    Ok(step.copied.changes)
}

/// The DDL triggers of the application's users that [`bring_in_step`] would fire now.
pub(crate) async fn foreign_triggers(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    session.begin().await?;
    let mut step = Step::looking(session, copy);
    step.checks_triggers = true;
    step.run().await?;
    Ok(step.refusals)
}

pub(crate) struct Step<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) copy: &'a SyncRequest<'a>,
    /// `true` if changes are told and not made.
    pub(crate) dry_run: bool,
    /// `true` if triggers are looked for although nothing is changed.
    checks_triggers: bool,
    pub(crate) copied: SyncReport,
    /// `true` if the two are users of a contained database.
    pub(crate) is_contained: bool,
    /// The SIDs of the two users, as far as they exist.
    pub(crate) sids: Vec<Vec<u8>>,
    /// Whether the two can write triggers in a scope: a database, or `None` for the server.
    pub(crate) watched: BTreeMap<Option<String>, bool>,
    /// Why changes would be refused, when nothing is changed.
    pub(crate) refusals: Vec<EngineError>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(session: &'a mut Session, copy: &'a SyncRequest<'a>) -> Self {
        Self {
            session,
            copy,
            dry_run: false,
            checks_triggers: true,
            copied: SyncReport::default(),
            is_contained: false,
            sids: Vec::new(),
            watched: BTreeMap::new(),
            refusals: Vec::new(),
        }
    }

    /// A step that reports changes and does not execute them.
    pub(crate) fn looking(session: &'a mut Session, copy: &'a SyncRequest<'a>) -> Self {
        Self { dry_run: true, checks_triggers: false, ..Self::new(session, copy) }
    }
}

impl Step<'_> {
    async fn run(&mut self) -> Result<(), EngineError> {
        match self.contained_in().await? {
            Some(database) => self.contained(&database).await,
            None => self.login().await,
        }
    }

    /// Makes a change in a scope, and tells of it.
    pub(crate) async fn change(
        &mut self,
        scope: Scope<'_>,
        statement: &str,
        remedy: &str,
    ) -> Result<(), EngineError> {
        self.will_change(scope).await?;
        if !self.dry_run {
            let doing = format!("run {statement} in {scope}");
            self.session.run_or(&doing, &format!("{}{statement}", scope.enter()), remedy).await?;
        }
        self.copied.changes.push(format!("{statement} in {scope}"));
        Ok(())
    }

    /// Every change of the master's is announced here before it is executed.
    pub(crate) async fn will_change(&mut self, scope: Scope<'_>) -> Result<(), EngineError> {
        if self.checks_triggers { self.before_change(scope).await } else { Ok(()) }
    }

    /// A new alternate login gets a user in every database of the base login.
    async fn will_enter_databases(
        &mut self,
        base: &[u8],
        alternate: &[u8],
    ) -> Result<(), EngineError> {
        if !self.checks_triggers {
            return Ok(());
        }
        for (database, users) in self.users(base, alternate).await? {
            if users.base.is_some() {
                self.will_change(Scope::Database(&database)).await?;
            }
        }
        Ok(())
    }

    /// The alternate user is not there, and is not to be made.
    pub(crate) async fn tell_missing(&mut self, scope: Scope<'_>) -> Result<(), EngineError> {
        self.will_change(scope).await?;
        self.copied.changes.push(format!("{} is missing in {scope}", self.copy.alternate));
        Ok(())
    }

    /// The session's database, when the base user is a user of that database with a password of its
    /// own. The server looks there first when somebody logs in.
    pub(crate) async fn contained_in(&mut self) -> Result<Option<String>, EngineError> {
        const QUERY: &str = "SELECT DB_NAME(), CAST(COALESCE((SELECT p.authentication_type \
            FROM sys.database_principals p WHERE p.name = @P1), 0) AS int), CAST(d.containment AS int) \
            FROM sys.databases d JOIN sys.configurations c ON c.name = N'contained database authentication' \
            AND CAST(c.value_in_use AS int) = 1 WHERE d.name = DB_NAME()";
        let rows =
            self.session.rows("ask what kind of user it is", QUERY, &[self.copy.base]).await?;
        // The server takes no passwords of contained users.
        let Some(row) = rows.first() else { return Ok(None) };
        let database = text(row, 0)?;
        if column::<i32>(row, 1)? == BY_DATABASE {
            self.is_contained = true;
            return Ok(Some(database));
        }
        if flag(row, 2)? {
            // It may be there, and not to be seen.
            self.must_see_in_database().await?;
        }
        Ok(None)
    }

    pub(crate) async fn must_see_in_database(&mut self) -> Result<(), EngineError> {
        self.must_see(
            "HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), 'DATABASE', 'VIEW DEFINITION')",
            &format!(
                "in the database of the secret, GRANT VIEW DEFINITION TO {}",
                identifier(self.copy.master)
            ),
        )
        .await
    }

    async fn login(&mut self) -> Result<(), EngineError> {
        self.must_see(
            "HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW ANY DEFINITION')",
            &format!("USE [master]; GRANT VIEW ANY DEFINITION TO {}", identifier(self.copy.master)),
        )
        .await?;
        let Logins { base, alternate } = self.logins().await?;
        let Some(base) = base else {
            return Err(EngineError::NoSuchUser { user: self.copy.base.to_owned() });
        };
        self.must_be_proven(
            Kind::Login,
            &base.sid,
            alternate.as_ref().map(|login| login.sid.as_slice()),
        )?;
        let known = sid::of_alternate(&base.sid, Kind::Login);
        self.sids = alternate.iter().chain([&base]).map(|login| login.sid.clone()).collect();
        self.is_pair(
            Kind::Login,
            alternate.as_ref().map(|now| (now.sid.as_slice(), now.is_disabled)),
            &known,
        )?;
        let alternate = match alternate {
            Some(alternate) => {
                if alternate.must_change && self.copy.is_alternates_turn() && !self.dry_run {
                    self.lift_must_change(&alternate).await?;
                }
                self.options_in_step(&base, &alternate).await?;
                Some(alternate)
            }
            None if self.dry_run => {
                self.tell_missing(Scope::Server).await?;
                self.will_enter_databases(&base.sid, &known).await?;
                None
            }
            None if self.copy.is_alternates_turn() => Some(self.make_login(&base, &known).await?),
            None => None,
        };
        if let Some(alternate) = &alternate {
            let ids = Ids { base: base.id, alternate: alternate.id };
            self.rights_in_step(Scope::Server, ids, &alternate.name).await?;
            for (database, users) in self.users(&base.sid, &alternate.sid).await? {
                self.in_database(&database, users).await?;
            }
        }
        self.will_change(Scope::Server).await?;
        if self.dry_run {
            if alternate.is_some_and(|alternate| alternate.is_disabled && !base.is_disabled) {
                self.copied.changes.push(format!("{} is disabled", self.copy.alternate));
            }
            return Ok(());
        }
        self.password_of_login(&base, alternate.as_ref()).await
    }

    async fn contained(&mut self, database: &str) -> Result<(), EngineError> {
        let scope = Scope::Database(database);
        self.must_see_in_database().await?;
        let missing = || EngineError::NoSuchUser { user: self.copy.base.to_owned() };
        let base = self.user_now(scope, self.copy.base).await?.ok_or_else(missing)?;
        let known = sid::of_alternate(&base.sid, Kind::ContainedUser);
        let alternate = self.user_now(scope, self.copy.alternate).await?;
        let sid = alternate.as_ref().map(|user| user.sid.as_slice());
        self.must_be_proven(Kind::ContainedUser, &base.sid, sid)?;
        self.sids = alternate.iter().chain([&base]).map(|user| user.sid.clone()).collect();
        self.is_pair(
            Kind::ContainedUser,
            alternate.as_ref().map(|now| (now.sid.as_slice(), false)),
            &known,
        )?;
        let name = identifier(self.copy.alternate);
        let alternate = match alternate {
            Some(alternate) => Some(alternate),
            None if self.dry_run => {
                self.tell_missing(scope).await?;
                None
            }
            None if self.copy.is_alternates_turn() => {
                self.will_change(scope).await?;
                let statement = format!(
                    "CREATE USER {name} WITH PASSWORD = {}, SID = {}",
                    password(&unknown_password()?)?,
                    binary(&known)
                );
                let doing = format!("create {} in {scope}", self.copy.alternate);
                let remedy = self.make_owner(scope);
                self.session.run_or(&doing, &statement, &remedy).await?;
                self.copied.created = true;
                self.user_now(scope, self.copy.alternate).await?
            }
            None => None,
        };
        if let Some(alternate) = alternate {
            self.user_in_step(scope, &base, &alternate).await?;
        }
        self.will_change(scope).await?;
        if self.dry_run { Ok(()) } else { self.password_of_contained(scope).await }
    }

    /// Checks that the accounts that the master finds by name are the ones that passwords have
    /// opened.
    ///
    /// The owner of a contained database can create a user with the name of a login, prove its
    /// password, and drop it before the master looks.
    pub(crate) fn must_be_proven(
        &self,
        kind: Kind,
        base: &[u8],
        alternate: Option<&[u8]>,
    ) -> Result<(), EngineError> {
        for (user, sid) in [(self.copy.base, Some(base)), (self.copy.alternate, alternate)] {
            let Some(sid) = sid else { continue };
            if !self.copy.may_be_account_of(user, &Principal { kind, sid: sid.to_vec() }.id()) {
                return Err(EngineError::NeedsDecision {
                    what: format!(
                        "{user} has logged in as another account than the {} that the master finds by this name",
                        kind.keyword()
                    ),
                    remedy: "See whether a login of the server and a user of a contained database have the same name, \
                        and rename one of them. If the account was replaced during the rotation, let the rotation be \
                        repeated."
                        .into(),
                });
            }
        }
        Ok(())
    }

    /// Whoever does not see all would take away what it does not see.
    async fn must_see(&mut self, question: &str, grant: &str) -> Result<(), EngineError> {
        if self.session.is_so("ask what the master may see", question).await? {
            return Ok(());
        }
        let doing = format!("see all that {} may do", self.copy.base);
        Err(EngineError::lacks(doing, self.copy.master, "VIEW DEFINITION", administrator(grant)))
    }

    /// Two users whose names happen to look like a pair are not one: nothing of either may be
    /// touched.
    ///
    /// `alternate` is its identifier, and whether it is disabled, which no user of an application
    /// is.
    fn is_pair(
        &self,
        kind: Kind,
        alternate: Option<(&[u8], bool)>,
        known: &[u8],
    ) -> Result<(), EngineError> {
        let Some((sid, is_disabled)) = alternate else { return Ok(()) };
        if self.copy.is_known_pair || is_disabled || sid == known {
            return Ok(());
        }
        let quoted = identifier(self.copy.alternate);
        let drop = format!("DROP {} {quoted}: it is made anew.", kind.keyword());
        let consent = match kind {
            Kind::Login => {
                format!(
                    "ALTER LOGIN {quoted} DISABLE (the next attempt brings it in step and enables it), or {drop}"
                )
            }
            Kind::ContainedUser => drop,
        };
        Err(EngineError::PerhapsUnrelated {
            base: self.copy.base.to_owned(),
            alternate: self.copy.alternate.to_owned(),
            why: None,
            consent: self.copy.is_alternates_turn().then_some(consent),
        })
    }

    async fn options_in_step(
        &mut self,
        base: &LoginState,
        alternate: &LoginState,
    ) -> Result<(), EngineError> {
        let wanted = match self.copy.is_alternates_turn() {
            true => base.options.clone(),
            false => alternate.options.while_in_use(&base.options),
        };
        let name = identifier(&alternate.name);
        if wanted != base.options {
            let statement = format!("ALTER LOGIN {name} WITH {}", base.options.clauses());
            self.copied.defer(&alternate.name, statement);
        }
        if wanted == alternate.options {
            return Ok(());
        }
        let statement = format!("ALTER LOGIN {name} WITH {}", wanted.clauses());
        let remedy = self.alter_any_login();
        self.change(Scope::Server, &statement, &remedy).await
    }

    async fn make_login(
        &mut self,
        base: &LoginState,
        sid: &[u8],
    ) -> Result<LoginState, EngineError> {
        self.will_change(Scope::Server).await?;
        let statement = format!(
            "CREATE LOGIN {} WITH PASSWORD = {}, SID = {}, {}",
            identifier(self.copy.alternate),
            password(&unknown_password()?)?,
            binary(sid),
            base.options.clauses()
        );
        let remedy = self.alter_any_login();
        self.session
            .run_or(&format!("create login {}", self.copy.alternate), &statement, &remedy)
            .await?;
        self.copied.created = true;
        self.logins()
            .await?
            .alternate
            .ok_or_else(|| unexpected("the login that was made is not there"))
    }

    pub(crate) fn alter_any_login(&self) -> String {
        administrator(&format!(
            "USE [master]; GRANT ALTER ANY LOGIN TO {} (a login in sysadmin, or with CONTROL SERVER, can be changed only by a \
             master that is in sysadmin)",
            identifier(self.copy.master)
        ))
    }

    /// What lets the master change users of a database and what they may do.
    pub(crate) fn make_owner(&self, scope: Scope<'_>) -> String {
        let master = identifier(self.copy.master);
        if scope == Scope::Database("msdb") {
            // Its owner is as good as sysadmin.
            return administrator(&format!(
                "USE [msdb]; CREATE USER {master} FOR LOGIN {master} (if it has none there); GRANT ALTER ANY USER, ALTER ANY \
                 ROLE TO {master}; and GRANT what the user has WITH GRANT OPTION TO {master}"
            ));
        }
        administrator(&format!(
            "{}CREATE USER {master} FOR LOGIN {master} (if it has none there); ALTER ROLE db_owner ADD MEMBER {master}",
            scope.enter()
        ))
    }
}
