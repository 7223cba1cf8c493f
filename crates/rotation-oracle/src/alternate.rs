//! The alternate user, kept in step with the base user.
//!
//! A new one is made locked, and unlocked last of all: a rotation that dies half-way leaves a user
//! that nobody can log in as. It has the rotation's own password from the start, which is made to
//! the profile's rules.

use rotation_database::{
    EngineError, Password, PasswordReset, PasswordSet, SyncReport, SyncRequest, TlsUse,
    administrator,
};

use crate::failure::{USED_BEFORE, number_of, statement};
use crate::grants::Change;
use crate::name::Name;
use crate::session::Session;
use crate::user::{UserState, is_locked, is_locked_on_purpose, unexpected};

pub(crate) async fn bring_in_step(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<SyncReport, EngineError> {
    let mut step = Step::of(session, copy)?;
    step.run().await?;
    Ok(step.copied)
}

/// What [`bring_in_step`] would change.
pub(crate) async fn differences(
    session: &mut Session,
    copy: &SyncRequest<'_>,
) -> Result<Vec<String>, EngineError> {
    let mut step = Step::of(session, copy)?;
    step.dry_run = true;
    step.run().await?;
    Ok(step.copied.changes)
}

/// Sets a user's password and nothing else.
pub(crate) async fn set_password(
    session: &mut Session,
    reset: &PasswordReset<'_>,
) -> Result<PasswordSet, EngineError> {
    must_be_encrypted(session)?;
    session.begin().await?;
    give_password(session, reset.master, reset.user, reset.password, "").await
}

fn name(written: &str) -> Result<Name, EngineError> {
    Name::written(written).ok_or_else(|| EngineError::NoSuchUser { user: written.to_owned() })
}

pub(crate) struct Step<'a> {
    pub(crate) session: &'a mut Session,
    copy: &'a SyncRequest<'a>,
    pub(crate) base: Name,
    pub(crate) alternate: Name,
    pub(crate) master: Name,
    /// `true` if changes are told and not made.
    dry_run: bool,
    copied: SyncReport,
}

impl<'a> Step<'a> {
    pub(crate) fn of(
        session: &'a mut Session,
        copy: &'a SyncRequest<'a>,
    ) -> Result<Self, EngineError> {
        let (base, alternate, master) =
            (name(copy.base)?, name(copy.alternate)?, name(copy.master)?);
        Ok(Self {
            session,
            copy,
            base,
            alternate,
            master,
            dry_run: false,
            copied: SyncReport::default(),
        })
    }
}

impl Step<'_> {
    async fn run(&mut self) -> Result<(), EngineError> {
        must_be_encrypted(self.session)?;
        self.session.begin().await?;
        if let Some(warning) = self.session.warning() {
            let note = format!(
                "The password of {}, the master, is about to expire ({warning}).",
                self.master
            );
            self.copied.notes.push(note);
        }
        let (base_name, alternate_name) = (self.base.clone(), self.alternate.clone());
        let Some(base) = self.user(&base_name).await? else {
            return Err(EngineError::NoSuchUser { user: self.copy.base.to_owned() });
        };
        let alternate = self.user(&alternate_name).await?;
        if let Some(alternate) = &alternate {
            self.is_pair(&base, alternate)?;
        }
        let alternate = match alternate {
            Some(alternate) => {
                self.attributes_in_step(&base, &alternate).await?;
                Some(alternate)
            }
            None if self.dry_run => {
                self.copied.changes.push(format!("{} is missing", self.alternate));
                None
            }
            None if self.copy.is_alternates_turn() => Some(self.make(&base).await?),
            None => None,
        };
        if let Some(alternate) = &alternate {
            self.quotas_in_step(&base, alternate).await?;
            self.grants_in_step(&base, alternate).await?;
            if self.dry_run && is_locked(&alternate.status) && !is_locked(&base.status) {
                self.copied
                    .changes
                    .push(format!("{} is locked ({})", self.alternate, alternate.status));
            }
        }
        if self.dry_run { Ok(()) } else { self.set_password(&base).await }
    }

    /// Two users whose names happen to look like a pair are not one: nothing of either may be
    /// touched.
    ///
    /// An alternate user that this made is locked, or may do exactly what its base user may.
    fn is_pair(&self, base: &UserState, alternate: &UserState) -> Result<(), EngineError> {
        if self.copy.is_known_pair {
            return Ok(());
        }
        let (base_name, name) = (&self.base, &self.alternate);
        let unrelated = |why: String, consent| {
            let (base, alternate) = (base_name.to_string(), name.to_string());
            Err(EngineError::PerhapsUnrelated { base, alternate, why: Some(why), consent })
        };
        if !self.copy.is_alternates_turn() {
            return Err(EngineError::unproven_base(base_name.to_string(), name.to_string()));
        }
        let change = alternate
            .granted
            .grants
            .changes_to_become(&base.granted.grants, name)
            .into_iter()
            .next();
        let difference = match change {
            // A schema is somebody's, locked or not.
            _ if alternate.owns > 0 => format!("{name} owns {} object(s)", alternate.owns),
            Some(Change { statement, .. }) if !is_locked_on_purpose(&alternate.status) => {
                format!("what differs first: {statement}")
            }
            _ => return Ok(()),
        };
        let consent = format!(
            "ALTER USER {name} ACCOUNT LOCK, if it owns nothing; the next attempt brings it in step and unlocks it"
        );
        unrelated(difference, Some(consent))
    }

    async fn make(&mut self, base: &UserState) -> Result<UserState, EngineError> {
        let name = self.alternate.clone();
        let statement = format!(
            "CREATE USER {name} IDENTIFIED BY \"{}\" {} ACCOUNT LOCK",
            self.copy.password.expose(),
            base.attributes.clauses()
        );
        let remedy = administrator(&format!("GRANT CREATE USER TO {}", self.master));
        self.session.run_or(&format!("create user {name}"), &statement, &remedy).await?;
        self.copied.created = true;
        self.user(&name).await?.ok_or_else(|| unexpected("the user that was made is not there"))
    }

    async fn attributes_in_step(
        &mut self,
        base: &UserState,
        alternate: &UserState,
    ) -> Result<(), EngineError> {
        if base.attributes == alternate.attributes {
            return Ok(());
        }
        let statement = format!("ALTER USER {} {}", self.alternate, base.attributes.clauses());
        let (profile, now) = (&base.attributes.profile, &alternate.attributes.profile);
        if !self.is_alternates_turn() && profile != now && self.restricts(profile, now).await? {
            self.postpone(&statement);
            return Ok(());
        }
        self.alter(&statement).await
    }

    async fn quotas_in_step(
        &mut self,
        base: &UserState,
        alternate: &UserState,
    ) -> Result<(), EngineError> {
        for (tablespace, quota) in &base.quotas {
            if alternate.quotas.get(tablespace) != Some(quota) {
                self.alter(&format!("ALTER USER {} QUOTA {quota} ON {tablespace}", self.alternate))
                    .await?;
            }
        }
        for tablespace in
            alternate.quotas.keys().filter(|tablespace| !base.quotas.contains_key(tablespace))
        {
            self.alter(&format!("ALTER USER {} QUOTA 0 ON {tablespace}", self.alternate)).await?;
        }
        Ok(())
    }

    /// One statement for each grant; what is read back must be the same.
    async fn grants_in_step(
        &mut self,
        base: &UserState,
        alternate: &UserState,
    ) -> Result<(), EngineError> {
        let name = self.alternate.clone();
        let changes = alternate.granted.grants.changes_to_become(&base.granted.grants, &name);
        let mut refusals = Vec::new();
        if self.dry_run {
            self.copied.changes.extend(changes.iter().map(|change| change.statement.clone()));
        }
        for Change { statement, right } in changes.iter().filter(|_| !self.dry_run) {
            let needed = right.needed(&self.master);
            match self.session.run_or(&format!("run {statement}"), statement, &needed).await {
                Ok(()) => self.copied.changes.push(statement.clone()),
                // All that is missing, at once.
                Err(EngineError::PrivilegeMissing { doing, message, remedy }) => {
                    refusals.push((doing, message, remedy))
                }
                Err(other) => return Err(other),
            }
        }
        if !refusals.is_empty() {
            let join = |part: fn(&(String, String, String)) -> &str| {
                refusals.iter().map(part).collect::<Vec<_>>().join("; ")
            };
            let remedy = administrator(&join(|(_, _, remedy)| remedy));
            return Err(EngineError::PrivilegeMissing {
                doing: join(|(doing, _, _)| doing),
                message: join(|(_, message, _)| message),
                remedy,
            });
        }
        self.report(base);
        let mut default_roles = alternate.granted.default_roles.clone();
        if !changes.is_empty() && !self.dry_run {
            let now = self.granted(&name).await?;
            let rest = now.grants.changes_to_become(&base.granted.grants, &name);
            if !rest.is_empty() {
                return Err(self.stays(&rest));
            }
            default_roles = now.default_roles;
        }
        let wanted = &base.granted.default_roles;
        if default_roles != *wanted {
            self.alter(&format!("ALTER USER {name} {}", wanted.clause())).await?;
        }
        Ok(())
    }

    /// What cannot be carried over, a person must know of.
    fn report(&mut self, base: &UserState) {
        let (base_name, name) = (&self.base, &self.alternate);
        if base.owns > 0 {
            self.copied.notes.push(format!(
                "{base_name} owns {} object(s), and {name} may use them only by grants: let the application log in as a user \
                 that owns none.",
                base.owns
            ));
        }
        if !base.granted.otherwise.is_empty() {
            self.copied.notes.push(format!(
                "Not carried over, for GRANT cannot: {}. Give it to {name} as it was given to {base_name}.",
                base.granted.otherwise.join(", ")
            ));
        }
    }

    /// The statements have run, and nothing has changed: somebody else has granted it.
    fn stays(&self, rest: &[Change]) -> EngineError {
        let statements =
            rest.iter().map(|change| change.statement.as_str()).collect::<Vec<_>>().join("; ");
        EngineError::NeedsDecision {
            what: format!(
                "these statements change nothing, because somebody else has granted it as well: {statements}"
            ),
            remedy: "Run them as whoever has granted it (column GRANTOR of dba_tab_privs).".into(),
        }
    }

    /// The password of the user whose turn it is, last of all; this also unlocks the alternate one.
    async fn set_password(&mut self, base: &UserState) -> Result<(), EngineError> {
        let is_alternates_turn = self.copy.is_alternates_turn();
        let name = if is_alternates_turn { self.alternate.clone() } else { self.base.clone() };
        if is_alternates_turn && is_locked(&base.status) {
            return Err(EngineError::NeedsDecision {
                what: format!("{} is locked ({}), so {name} stays locked", self.base, base.status),
                remedy: administrator(&format!(
                    "ALTER USER {} ACCOUNT UNLOCK, or stop rotating the secret",
                    self.base
                )),
            });
        }
        let unlock = if is_alternates_turn { " ACCOUNT UNLOCK" } else { "" };
        let (master, turn, password) = (self.copy.master, self.copy.turn, self.copy.password);
        self.copied.password = give_password(self.session, master, turn, password, unlock).await?;
        Ok(())
    }

    pub(crate) fn is_alternates_turn(&self) -> bool {
        self.copy.is_alternates_turn()
    }

    /// Notes a change that could keep the alternate user out while it is in use.
    pub(crate) fn postpone(&mut self, statement: &str) {
        self.copied.defer(&self.alternate.to_string(), statement);
    }

    async fn alter(&mut self, statement: &str) -> Result<(), EngineError> {
        if !self.dry_run {
            let remedy = alter_user(&self.master);
            self.session.run_or(&format!("run {statement}"), statement, &remedy).await?;
        }
        self.copied.changes.push(statement.to_owned());
        Ok(())
    }
}

/// Sets a password, and `unlock`s with it.
async fn give_password(
    session: &mut Session,
    master: &str,
    user: &str,
    password: &Password,
    unlock: &str,
) -> Result<PasswordSet, EngineError> {
    let (user, remedy) = (name(user)?, alter_user(&name(master)?));
    let sql = format!("ALTER USER {user} IDENTIFIED BY \"{}\"{unlock}", password.expose());
    let doing = format!("set the password of {user}");
    match session.try_run(&sql).await {
        Err(trouble) if number_of(&trouble) == Some(USED_BEFORE) => {
            if !unlock.is_empty() {
                session.run_or(&doing, &format!("ALTER USER {user}{unlock}"), &remedy).await?;
            }
            Ok(PasswordSet::InHistory)
        }
        Err(trouble) => Err(statement(&trouble, &doing, &remedy)),
        Ok(()) => Ok(PasswordSet::Now),
    }
}

fn alter_user(master: &Name) -> String {
    administrator(&format!("GRANT ALTER USER TO {master}"))
}

/// Here the password stands in the statement. Nobody on the way may read it unless the secret says
/// so.
fn must_be_encrypted(session: &Session) -> Result<(), EngineError> {
    if session.tls() != TlsUse::NotOffered {
        return Ok(());
    }
    Err(EngineError::NeedsDecision {
        what: "the server has no TLS, and a master sets another user's password readably".into(),
        remedy: "Let the server listen on TCPS (RDS: the SSL option) and name that port in the secret. If the network is \
            trusted with the password: \"ssl\": false in the secret. Or rotate as a single user, whose password travels \
            encrypted either way."
            .into(),
    })
}
