//! The state of both users, as the dictionary shows it.

use std::collections::{BTreeMap, BTreeSet};

use rotation_database::{EngineError, administrator};

use super::grants::{Grants, OnObject, Right};
use super::{Names, Users};
use crate::failure::{NO_SUCH_VIEW, number_of, statement};
use crate::name::Name;
use crate::session::Texts;

/// The state of both users.
#[derive(Debug)]
pub(super) struct PairState {
    pub(super) base: UserState,
    /// `None` if the alternate user does not exist.
    pub(super) alternate: Option<UserState>,
    /// `true` if the profile of the base user has a limit that could keep the alternate user from
    /// logging in. Read only if the profiles differ.
    pub(super) profile_restricts: bool,
    /// The server's warning that the master's password is about to expire.
    pub(super) master_expires: Option<String>,
}

/// A user.
#[derive(Debug)]
pub(crate) struct UserState {
    pub(crate) status: String,
    pub(crate) attributes: Attributes,
    pub(crate) quotas: BTreeMap<Name, String>,
    pub(crate) granted: Granted,
    /// How many objects are in its schema.
    pub(crate) owns: u32,
}

/// What a user was granted.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) grants: Grants,
    pub(crate) default_roles: DefaultRoles,
    /// By other means than `GRANT`, one phrase each.
    pub(crate) otherwise: Vec<String>,
}

/// What `CREATE USER` and `ALTER USER` take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) profile: Name,
    tablespace: Name,
    temporary: Name,
}

/// The roles that are on from the start of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DefaultRoles(BTreeSet<Name>);

impl Attributes {
    pub(crate) fn clauses(&self) -> String {
        let Self { profile, tablespace, temporary } = self;
        format!(
            "PROFILE {profile} DEFAULT TABLESPACE {tablespace} TEMPORARY TABLESPACE {temporary}"
        )
    }
}

impl DefaultRoles {
    pub(crate) fn clause(&self) -> String {
        match self.0.iter().map(Name::to_string).collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "DEFAULT ROLE NONE".into(),
            roles => format!("DEFAULT ROLE {roles}"),
        }
    }
}

/// A user that is locked, whatever else is wrong with it.
pub(crate) fn is_locked(status: &str) -> bool {
    status.contains("LOCKED")
}

/// A user that an administrator has locked: anybody can bring about `LOCKED(TIMED)` with wrong
/// passwords.
pub(crate) fn is_locked_on_purpose(status: &str) -> bool {
    status.split(" & ").any(|part| part == "LOCKED")
}

impl Users<'_> {
    /// Reads the state of both users.
    pub(super) async fn read_state(&mut self) -> Result<PairState, EngineError> {
        let Names { base, alternate, .. } = self.names.clone();
        let missing = || EngineError::NoSuchUser { user: self.request.base.to_owned() };
        let base = self.user(&base).await?.ok_or_else(missing)?;
        let alternate = self.user(&alternate).await?;
        let profile_restricts = match &alternate {
            Some(alternate) if alternate.attributes.profile != base.attributes.profile => {
                self.restricts(&base.attributes.profile, &alternate.attributes.profile).await?
            }
            _ => false,
        };
        let master_expires = self.session.warning();
        Ok(PairState { base, alternate, profile_restricts, master_expires })
    }

    /// A user, if it is there.
    pub(crate) async fn user(&mut self, name: &Name) -> Result<Option<UserState>, EngineError> {
        const USER: &str = "SELECT account_status, profile, default_tablespace, temporary_tablespace, authentication_type, \
            oracle_maintained FROM SYS.DBA_USERS WHERE username = :1";
        let rows = self.read(&format!("look for user {name}"), USER, name).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if text(row, 4)? != "PASSWORD" {
            return Err(EngineError::NeedsDecision {
                what: format!("{name} does not log in by a password ({})", text(row, 4)?),
                remedy: format!(
                    "Give it one (ALTER USER {name} IDENTIFIED BY …), or stop rotating the secret."
                ),
            });
        }
        if text(row, 5)? == "Y" {
            return Err(EngineError::NeedsDecision {
                what: format!("{name} is a user of Oracle's own"),
                remedy: "Rotate it as a single user, or use one of your own.".into(),
            });
        }
        let attributes = Attributes {
            profile: known(row, 1)?,
            tablespace: known(row, 2)?,
            temporary: known(row, 3)?,
        };
        let status = text(row, 0)?.to_owned();
        let quotas = self.quotas(name).await?;
        let granted = self.granted(name).await?;
        let owns = self.owns(name).await?;
        Ok(Some(UserState { status, attributes, quotas, granted, owns }))
    }

    /// How many objects are in a schema. The owner may do all with them, and no view of grants
    /// shows it.
    async fn owns(&mut self, name: &Name) -> Result<u32, EngineError> {
        const OBJECTS: &str = "SELECT TO_CHAR(COUNT(*)) FROM SYS.DBA_OBJECTS WHERE owner = :1";
        let rows = self.read(&format!("count the objects of {name}"), OBJECTS, name).await?;
        let row = rows.first().ok_or_else(|| unexpected("no count"))?;
        text(row, 0)?.parse().map_err(|_| unexpected("a count is no number"))
    }

    async fn quotas(&mut self, name: &Name) -> Result<BTreeMap<Name, String>, EngineError> {
        const QUOTAS: &str = "SELECT tablespace_name, CASE WHEN max_bytes = -1 THEN 'UNLIMITED' ELSE TO_CHAR(max_bytes) END \
            FROM SYS.DBA_TS_QUOTAS WHERE username = :1 AND dropped = 'NO'";
        let rows = self.read(&format!("read the quotas of {name}"), QUOTAS, name).await?;
        rows.iter().map(|row| Ok((known(row, 0)?, text(row, 1)?.to_owned()))).collect()
    }

    /// What a user was granted, except on what one of the two users owns: an owner has no grant to
    /// compare with, so those of the other one stay as an administrator has made them.
    pub(crate) async fn granted(&mut self, name: &Name) -> Result<Granted, EngineError> {
        let action = format!("read the privileges of {name}");
        let mut grants = Grants::default();
        const SYSTEM: &str =
            "SELECT privilege, admin_option FROM SYS.DBA_SYS_PRIVS WHERE grantee = :1";
        for row in self.read(&action, SYSTEM, name).await? {
            grants.add(Right::System(words(&row, 0)?), is_yes(&row, 1)?);
        }
        for row in self.in_schemas(&action, name).await? {
            if self.is_one_of_both(&known(&row, 1)?) {
                continue;
            }
            grants.add(Right::InSchema(words(&row, 0)?, known(&row, 1)?), is_yes(&row, 2)?);
        }
        const ROLES: &str = "SELECT granted_role, admin_option, default_role FROM SYS.DBA_ROLE_PRIVS WHERE grantee = :1";
        let mut default_roles = BTreeSet::new();
        for row in self.read(&action, ROLES, name).await? {
            let role = known(&row, 0)?;
            if is_yes(&row, 2)? {
                default_roles.insert(role.clone());
            }
            grants.add(Right::Role(role), is_yes(&row, 1)?);
        }
        const OBJECTS: &str = "SELECT owner, table_name, privilege, grantable, hierarchy, type FROM SYS.DBA_TAB_PRIVS WHERE grantee = :1";
        let mut otherwise = Vec::new();
        for row in self.read(&action, OBJECTS, name).await? {
            let kind = text(&row, 5)?;
            let owned = if kind == "USER" { known(&row, 1)? } else { known(&row, 0)? };
            if self.is_one_of_both(&owned) {
                continue;
            }
            if NOT_BY_GRANT.contains(&kind) {
                otherwise.push(format!(
                    "{} on {} {}.{}",
                    text(&row, 2)?,
                    kind.to_lowercase(),
                    text(&row, 0)?,
                    text(&row, 1)?
                ));
                continue;
            }
            // What is in the recycle bin cannot be granted.
            if text(&row, 1)?.starts_with("BIN$") {
                continue;
            }
            let object = object(&known(&row, 0)?, &known(&row, 1)?, kind);
            let on = OnObject { object, privilege: words(&row, 2)?, hierarchy: is_yes(&row, 4)? };
            grants.add(Right::Object(on), is_yes(&row, 3)?);
        }
        const COLUMNS: &str = "SELECT owner, table_name, column_name, privilege, grantable FROM SYS.DBA_COL_PRIVS WHERE grantee = :1";
        for row in self.read(&action, COLUMNS, name).await? {
            if self.is_one_of_both(&known(&row, 0)?) {
                continue;
            }
            let object = object(&known(&row, 0)?, &known(&row, 1)?, "TABLE");
            let on = OnObject { object, privilege: words(&row, 3)?, hierarchy: false };
            grants.add(Right::Column(on, known(&row, 2)?), is_yes(&row, 4)?);
        }
        Ok(Granted { grants, default_roles: DefaultRoles(default_roles), otherwise })
    }

    fn is_one_of_both(&self, name: &Name) -> bool {
        *name == self.names.base || *name == self.names.alternate
    }

    /// What was granted on whole schemas; before 23ai there was no such thing, and no such view.
    async fn in_schemas(&mut self, action: &str, name: &Name) -> Result<Vec<Texts>, EngineError> {
        const SCHEMAS: &str =
            "SELECT privilege, schema, admin_option FROM SYS.DBA_SCHEMA_PRIVS WHERE grantee = :1";
        match self.session.try_rows(SCHEMAS, &[name.as_str()]).await {
            // Nor is one seen that is not granted: the views before this one were.
            Err(error) if number_of(&error) == Some(NO_SUCH_VIEW) => Ok(Vec::new()),
            read => read.map_err(|error| statement(&error, action, "")),
        }
    }

    async fn read(
        &mut self,
        action: &str,
        query: &str,
        name: &Name,
    ) -> Result<Vec<Texts>, EngineError> {
        self.read_with(action, query, &[name.as_str()]).await
    }

    /// Reads the dictionary, with more than one parameter.
    pub(crate) async fn read_with(
        &mut self,
        action: &str,
        query: &str,
        parameters: &[&str],
    ) -> Result<Vec<Texts>, EngineError> {
        let remedy = administrator(&format!("GRANT SELECT_CATALOG_ROLE TO {}", self.names.master));
        self.session.rows_or(action, query, parameters, &remedy).await
    }
}

/// Kinds of objects whose privileges are given by packages (`DBMS_AQADM`,
/// `DBMS_RESOURCE_MANAGER_PRIVS`, `DBMS_RULE_ADM`).
const NOT_BY_GRANT: [&str; 4] = ["QUEUE", "CONSUMER GROUP", "RULE SET", "EVALUATION CONTEXT"];

/// As it stands behind `ON`. Some kinds of objects have a word in front, and those that belong to
/// nobody have no owner.
fn object(owner: &Name, name: &Name, kind: &str) -> String {
    match kind {
        "DIRECTORY" | "EDITION" | "USER" => format!("{kind} {name}"),
        "MINING MODEL" | "SQL TRANSLATION PROFILE" | "JAVA SOURCE" | "JAVA RESOURCE" => {
            format!("{kind} {owner}.{name}")
        }
        _ => format!("{owner}.{name}"),
    }
}

pub(crate) fn text(row: &Texts, column: usize) -> Result<&str, EngineError> {
    row.get(column).and_then(Option::as_deref).ok_or_else(|| unexpected("a value is missing"))
}

pub(crate) fn known(row: &Texts, column: usize) -> Result<Name, EngineError> {
    Name::known(text(row, column)?.to_owned()).ok_or_else(|| unexpected("a name holds a quote"))
}

/// A privilege's name, which stands in a statement as it is.
pub(crate) fn words(row: &Texts, column: usize) -> Result<String, EngineError> {
    let words = text(row, column)?;
    let is_name = words.chars().all(|c| c.is_ascii_alphanumeric() || " _".contains(c));
    if is_name { Ok(words.to_owned()) } else { Err(unexpected("a privilege has an unusual name")) }
}

fn is_yes(row: &Texts, column: usize) -> Result<bool, EngineError> {
    Ok(text(row, column)? == "YES")
}

/// An answer that cannot be: what is read here decides what is taken away, so nothing is guessed.
pub(crate) fn unexpected(message: &str) -> EngineError {
    EngineError::Failed {
        action: "read the dictionary".into(),
        code: "protocol".into(),
        message: message.into(),
    }
}
