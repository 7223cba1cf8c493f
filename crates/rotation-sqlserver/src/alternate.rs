//! The alternate user, kept in step with the base user.
//!
//! A new one is made with a password that nobody knows, and the password of the rotation comes last: a rotation that
//! dies half-way leaves a user that nobody can log in as.

use aws_lc_rs::rand;
use rotation_database::{Copied, EngineError, UserCopy, administrator};
use tiberius::error::Error;

use crate::failure::{USED_BEFORE, failure};
use crate::logins::{LoginNow, Logins};
use crate::own_password::password;
use crate::principal::{BY_DATABASE, Kind};
use crate::quote::{binary, identifier};
use crate::rights::Ids;
use crate::scope::Scope;
use crate::session::{Session, column, flag, text, unexpected};
use crate::sid;

pub(crate) async fn bring_in_step(session: &mut Session, copy: &UserCopy<'_>) -> Result<Copied, EngineError> {
    session.begin().await?;
    let mut step = Step { session, copy, copied: Copied::default() };
    match step.contained_in().await? {
        Some(database) => step.contained(&database).await?,
        None => step.login().await?,
    }
    Ok(step.copied)
}

pub(crate) struct Step<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) copy: &'a UserCopy<'a>,
    pub(crate) copied: Copied,
}

impl Step<'_> {
    /// The session's database, when the base user is a user of that database with a password of its own. The server
    /// looks there first when somebody logs in.
    async fn contained_in(&mut self) -> Result<Option<String>, EngineError> {
        const QUERY: &str = "SELECT DB_NAME(), CAST(COALESCE((SELECT p.authentication_type \
            FROM sys.database_principals p WHERE p.name = @P1), 0) AS int), CAST(d.containment AS int) \
            FROM sys.databases d JOIN sys.configurations c ON c.name = N'contained database authentication' \
            AND CAST(c.value_in_use AS int) = 1 WHERE d.name = DB_NAME()";
        let rows = self.session.rows("ask what kind of user it is", QUERY, &[self.copy.base]).await?;
        // The server takes no passwords of contained users.
        let Some(row) = rows.first() else { return Ok(None) };
        let database = text(row, 0)?;
        if column::<i32>(row, 1)? == BY_DATABASE {
            return Ok(Some(database));
        }
        if flag(row, 2)? {
            // It may be there, and not to be seen.
            self.must_see_in_database().await?;
        }
        Ok(None)
    }

    async fn must_see_in_database(&mut self) -> Result<(), EngineError> {
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
        let known = sid::of_alternate(&base.sid, Kind::Login);
        self.is_pair(
            Kind::Login,
            alternate.as_ref().map(|now| (now.sid.as_slice(), now.is_disabled)),
            &known,
        )?;
        let alternate = match alternate {
            Some(alternate) => {
                if alternate.must_change && self.copy.is_alternates_turn() {
                    self.lift_must_change(&alternate).await?;
                }
                self.options_in_step(&base, &alternate).await?;
                Some(alternate)
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
        self.password_of_login(&base, alternate.as_ref()).await
    }

    async fn contained(&mut self, database: &str) -> Result<(), EngineError> {
        let scope = Scope::Database(database);
        self.must_see_in_database().await?;
        let missing = || EngineError::NoSuchUser { user: self.copy.base.to_owned() };
        let base = self.user_now(scope, self.copy.base).await?.ok_or_else(missing)?;
        let known = sid::of_alternate(&base.sid, Kind::ContainedUser);
        let alternate = self.user_now(scope, self.copy.alternate).await?;
        self.is_pair(Kind::ContainedUser, alternate.as_ref().map(|now| (now.sid.as_slice(), false)), &known)?;
        let name = identifier(self.copy.alternate);
        let alternate = match alternate {
            Some(alternate) => Some(alternate),
            None if self.copy.is_alternates_turn() => {
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
        let statement = format!(
            "ALTER USER {} WITH PASSWORD = {}",
            identifier(self.copy.turn),
            password(self.copy.password.expose())?
        );
        let remedy = self.make_owner(scope);
        self.set_password(&statement, &remedy).await
    }

    /// Whoever does not see all would take away what it does not see.
    async fn must_see(&mut self, question: &str, grant: &str) -> Result<(), EngineError> {
        if self.session.is_so("ask what the master may see", question).await? {
            return Ok(());
        }
        let doing = format!("see all that {} may do", self.copy.base);
        Err(EngineError::lacks(doing, self.copy.master, "VIEW DEFINITION", administrator(grant)))
    }

    /// Two users whose names happen to look like a pair are not one: nothing of either may be touched.
    ///
    /// `alternate` is its identifier, and whether it is disabled, which no user of an application is.
    fn is_pair(&self, kind: Kind, alternate: Option<(&[u8], bool)>, known: &[u8]) -> Result<(), EngineError> {
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

    /// An administrator has given it a password that must be changed: as long as that is so, `CHECK_EXPIRATION` cannot be
    /// turned off (15128), and only another password ends it.
    async fn lift_must_change(&mut self, alternate: &LoginNow) -> Result<(), EngineError> {
        let name = identifier(&alternate.name);
        let statement = format!("ALTER LOGIN {name} WITH PASSWORD = {}", password(&unknown_password()?)?);
        let remedy = self.alter_any_login();
        self.session.run_or(&format!("give {} a password", alternate.name), &statement, &remedy).await
    }

    async fn options_in_step(&mut self, base: &LoginNow, alternate: &LoginNow) -> Result<(), EngineError> {
        if base.options == alternate.options {
            return Ok(());
        }
        let statement =
            format!("ALTER LOGIN {} WITH {}", identifier(&alternate.name), base.options.clauses());
        let remedy = self.alter_any_login();
        self.session.run_or(&format!("run {statement}"), &statement, &remedy).await?;
        self.copied.changes.push(statement);
        Ok(())
    }

    async fn make_login(&mut self, base: &LoginNow, sid: &[u8]) -> Result<LoginNow, EngineError> {
        let statement = format!(
            "CREATE LOGIN {} WITH PASSWORD = {}, SID = {}, {}",
            identifier(self.copy.alternate),
            password(&unknown_password()?)?,
            binary(sid),
            base.options.clauses()
        );
        let remedy = self.alter_any_login();
        self.session.run_or(&format!("create login {}", self.copy.alternate), &statement, &remedy).await?;
        self.copied.created = true;
        self.logins().await?.alternate.ok_or_else(|| unexpected("the login that was made is not there"))
    }

    async fn password_of_login(
        &mut self,
        base: &LoginNow,
        alternate: Option<&LoginNow>,
    ) -> Result<(), EngineError> {
        let turn = if self.copy.is_alternates_turn() { alternate } else { Some(base) };
        let turn = turn.ok_or_else(|| unexpected("the login is not there"))?;
        if self.copy.is_alternates_turn() && base.is_disabled {
            return Err(EngineError::NeedsDecision {
                what: format!("{} is disabled, so {} gets no password", base.name, turn.name),
                remedy: administrator(&format!(
                    "ALTER LOGIN {} ENABLE, or stop rotating the secret",
                    identifier(&base.name)
                )),
            });
        }
        let name = identifier(&turn.name);
        let unlock = if turn.is_locked { " UNLOCK" } else { "" };
        let statement =
            format!("ALTER LOGIN {name} WITH PASSWORD = {}{unlock}", password(self.copy.password.expose())?);
        let remedy = self.alter_any_login();
        self.set_password(&statement, &remedy).await?;
        if turn.is_locked {
            self.copied
                .notes
                .push(format!("{} was locked after too many wrong passwords, and is unlocked.", turn.name));
        }
        if self.copy.is_alternates_turn() && turn.is_disabled {
            self.session
                .run_or(&format!("enable {}", turn.name), &format!("ALTER LOGIN {name} ENABLE"), &remedy)
                .await?;
            self.copied.changes.push(format!("{} enabled", turn.name));
        }
        Ok(())
    }

    /// Sets a password. A password history refuses it when an earlier attempt has set it (nobody else knows it);
    /// testSecret proves it.
    async fn set_password(&mut self, statement: &str, remedy: &str) -> Result<(), EngineError> {
        match self.session.try_run(statement).await {
            Err(Error::Server(refused)) if refused.code() == USED_BEFORE => Ok(()),
            done => done
                .map_err(|error| failure(&error, &format!("set the password of {}", self.copy.turn), remedy)),
        }
    }

    fn alter_any_login(&self) -> String {
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

/// A password that nobody will ever know, of every kind of character that a policy asks for.
fn unknown_password() -> Result<String, EngineError> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| unexpected("the system gives no random numbers"))?;
    Ok(format!("aA1!{}", binary(&bytes)))
}
