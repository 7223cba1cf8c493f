//! The state of both users, as the dictionary shows it.

use std::collections::{BTreeMap, BTreeSet};

use rotation_database::{EngineError, administrator};

use super::grants::{Grants, OnObject, Right};
use super::{Names, Users};
use crate::common_user;
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
    /// The server's warning that the password of the master user is about to expire.
    pub(super) master_expires: Option<String>,
}

/// The state of a user.
#[derive(Debug)]
pub(crate) struct UserState {
    pub(crate) status: String,
    pub(crate) attributes: Attributes,
    /// `true` if its sessions cannot change anything. Releases before 23ai have no such users.
    pub(crate) is_read_only: bool,
    pub(crate) quotas: BTreeMap<Name, String>,
    pub(crate) granted: Granted,
    /// The number of objects in its schema.
    pub(crate) owns: u32,
}

/// The privileges and roles of a user.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) grants: Grants,
    pub(crate) default_roles: DefaultRoles,
    /// The privileges that were granted by other means than `GRANT`, one phrase for each.
    pub(crate) otherwise: Vec<String>,
}

/// The attributes that `CREATE USER` and `ALTER USER` set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) profile: Name,
    tablespace: Name,
    temporary: Name,
}

/// The roles that are active from the start of a session.
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
    /// Returns those of these roles that are in `grants`.
    pub(crate) fn of(&self, grants: &Grants) -> Self {
        let is_granted = |role: &&Name| grants.0.contains_key(&Right::Role((*role).clone()));
        Self(self.0.iter().filter(is_granted).cloned().collect())
    }

    pub(crate) fn clause(&self) -> String {
        match self.0.iter().map(Name::to_string).collect::<Vec<_>>().join(", ") {
            none if none.is_empty() => "DEFAULT ROLE NONE".into(),
            roles => format!("DEFAULT ROLE {roles}"),
        }
    }
}

/// Returns `true` if a user is locked, in combination with any other status.
pub(crate) fn is_locked(status: &str) -> bool {
    status.contains("LOCKED")
}

/// Returns `true` if an administrator has locked a user. `LOCKED(TIMED)` does not prove that,
/// because anyone can cause it with wrong passwords.
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

    /// Returns a user, if it exists.
    pub(crate) async fn user(&mut self, name: &Name) -> Result<Option<UserState>, EngineError> {
        const USER: &str = "SELECT account_status, profile, default_tablespace, \
                            temporary_tablespace, authentication_type, oracle_maintained, \
                            common, 'NO' FROM SYS.DBA_USERS WHERE username = :1";
        const USER_OF_23: &str = "SELECT account_status, profile, default_tablespace, \
                                  temporary_tablespace, authentication_type, oracle_maintained, \
                                  common, read_only FROM SYS.DBA_USERS WHERE username = :1";
        let query = if self.session.release().is_23_or_newer() { USER_OF_23 } else { USER };
        let rows = self.read(&format!("find user {name}"), query, name).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        if text(row, 4)? != "PASSWORD" {
            return Err(EngineError::NeedsDecision {
                what: format!("{name} does not log in with a password ({})", text(row, 4)?),
                remedy: format!(
                    "Set a password (ALTER USER {name} IDENTIFIED BY …), or stop rotating the \
                     secret."
                ),
            });
        }
        if text(row, 5)? == "Y" {
            return Err(EngineError::NeedsDecision {
                what: format!("{name} is a user that Oracle maintains"),
                remedy: "Rotate it as a single user, or use a user that you created.".into(),
            });
        }
        if row.get(6).is_some_and(common_user::is_yes) {
            return Err(common_user::cannot_alternate(name));
        }
        let attributes = Attributes {
            profile: known(row, 1)?,
            tablespace: known(row, 2)?,
            temporary: known(row, 3)?,
        };
        let status = text(row, 0)?.to_owned();
        let is_read_only = row.get(7).is_some_and(common_user::is_yes);
        let quotas = self.quotas(name).await?;
        let granted = self.granted(name).await?;
        let owns = self.owns(name).await?;
        Ok(Some(UserState { status, attributes, is_read_only, quotas, granted, owns }))
    }

    /// Returns the number of objects in a schema. Their owner has all privileges on them, which no
    /// view of grants shows.
    async fn owns(&mut self, name: &Name) -> Result<u32, EngineError> {
        const OBJECTS: &str = "SELECT TO_CHAR(COUNT(*)) FROM SYS.DBA_OBJECTS WHERE owner = :1";
        let rows = self.read(&format!("count the objects of {name}"), OBJECTS, name).await?;
        let row = rows.first().ok_or_else(|| unexpected("no count"))?;
        text(row, 0)?.parse().map_err(|_| unexpected("a count is not a number"))
    }

    async fn quotas(&mut self, name: &Name) -> Result<BTreeMap<Name, String>, EngineError> {
        const QUOTAS: &str = "SELECT tablespace_name, CASE WHEN max_bytes = -1 THEN 'UNLIMITED' \
                              ELSE TO_CHAR(max_bytes) END FROM SYS.DBA_TS_QUOTAS WHERE username = \
                              :1 AND dropped = 'NO'";
        let rows = self.read(&format!("read the quotas of {name}"), QUOTAS, name).await?;
        rows.iter().map(|row| Ok((known(row, 0)?, text(row, 1)?.to_owned()))).collect()
    }

    /// Returns the privileges and roles of a user, without the privileges on objects of the two
    /// users. The owner of an object has no grant to compare with, so the sync does not change the
    /// grants on it that an administrator has made to the other user.
    pub(crate) async fn granted(&mut self, name: &Name) -> Result<Granted, EngineError> {
        let action = format!("read the privileges of {name}");
        let mut grants = Grants::default();
        const SYSTEM: &str =
            "SELECT privilege, admin_option FROM SYS.DBA_SYS_PRIVS WHERE grantee = :1";
        for row in self.read(&action, SYSTEM, name).await? {
            grants.add(Right::System(words(&row, 0)?), is_yes(&row, 1)?);
        }
        for row in self.in_schemas(&action, name).await? {
            if self.is_base_or_alternate(&known(&row, 1)?) {
                continue;
            }
            grants.add(Right::InSchema(words(&row, 0)?, known(&row, 1)?), is_yes(&row, 2)?);
        }
        const ROLES: &str = "SELECT granted_role, admin_option, default_role \
                             FROM SYS.DBA_ROLE_PRIVS WHERE grantee = :1";
        let mut default_roles = BTreeSet::new();
        for row in self.read(&action, ROLES, name).await? {
            let role = known(&row, 0)?;
            if is_yes(&row, 2)? {
                default_roles.insert(role.clone());
            }
            grants.add(Right::Role(role), is_yes(&row, 1)?);
        }
        const OBJECTS: &str = "SELECT owner, table_name, privilege, grantable, hierarchy, type \
                               FROM SYS.DBA_TAB_PRIVS WHERE grantee = :1";
        let mut otherwise = Vec::new();
        for row in self.read(&action, OBJECTS, name).await? {
            let kind = text(&row, 5)?;
            let owned = if kind == "USER" { known(&row, 1)? } else { known(&row, 0)? };
            if self.is_base_or_alternate(&owned) {
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
            // Privileges on objects in the recycle bin cannot be granted.
            if text(&row, 1)?.starts_with("BIN$") {
                continue;
            }
            let object = object(&known(&row, 0)?, &known(&row, 1)?, kind);
            let on = OnObject { object, privilege: words(&row, 2)?, hierarchy: is_yes(&row, 4)? };
            grants.add(Right::Object(on), is_yes(&row, 3)?);
        }
        const COLUMNS: &str = "SELECT owner, table_name, column_name, privilege, grantable \
                               FROM SYS.DBA_COL_PRIVS WHERE grantee = :1";
        for row in self.read(&action, COLUMNS, name).await? {
            if self.is_base_or_alternate(&known(&row, 0)?) {
                continue;
            }
            let object = object(&known(&row, 0)?, &known(&row, 1)?, "TABLE");
            let on = OnObject { object, privilege: words(&row, 3)?, hierarchy: false };
            grants.add(Right::Column(on, known(&row, 2)?), is_yes(&row, 4)?);
        }
        Ok(Granted { grants, default_roles: DefaultRoles(default_roles), otherwise })
    }

    fn is_base_or_alternate(&self, name: &Name) -> bool {
        *name == self.names.base || *name == self.names.alternate
    }

    /// Returns the privileges on whole schemas. Before 23ai, neither they nor the view existed. The
    /// function asks for the release, because the server reports a missing view in the same way as
    /// a missing privilege.
    async fn in_schemas(&mut self, action: &str, name: &Name) -> Result<Vec<Texts>, EngineError> {
        const SCHEMAS: &str =
            "SELECT privilege, schema, admin_option FROM SYS.DBA_SCHEMA_PRIVS WHERE grantee = :1";
        if !self.session.release().is_23_or_newer() {
            return Ok(Vec::new());
        }
        self.read(action, SCHEMAS, name).await
    }

    async fn read(
        &mut self,
        action: &str,
        query: &str,
        name: &Name,
    ) -> Result<Vec<Texts>, EngineError> {
        self.read_with(action, query, &[name.as_str()]).await
    }

    /// Reads the dictionary with several parameters.
    pub(crate) async fn read_with(
        &mut self,
        action: &str,
        query: &str,
        parameters: &[&str],
    ) -> Result<Vec<Texts>, EngineError> {
        let remedy = administrator(&format!("GRANT SELECT_CATALOG_ROLE TO {}", self.names.master));
        self.session.rows_or(action, query, parameters, Some(&remedy)).await
    }
}

/// The kinds of objects whose privileges are granted with packages (`DBMS_AQADM`,
/// `DBMS_RESOURCE_MANAGER_PRIVS`, `DBMS_RULE_ADM`, `DBMS_FILE_GROUP`).
const NOT_BY_GRANT: [&str; 6] =
    ["QUEUE", "CONSUMER GROUP", "RULE", "RULE SET", "EVALUATION CONTEXT", "FILE GROUP"];

/// Returns an object in the syntax that follows `ON`. Some kinds of objects have a keyword before
/// the name, and some kinds have no owner.
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
    Name::known(text(row, column)?.to_owned())
        .ok_or_else(|| unexpected("a name contains a quotation mark"))
}

/// Returns the name of a privilege, which is written into a statement without quotes.
pub(crate) fn words(row: &Texts, column: usize) -> Result<String, EngineError> {
    let words = text(row, column)?;
    let is_name = words.chars().all(|c| c.is_ascii_alphanumeric() || " _".contains(c));
    if is_name { Ok(words.to_owned()) } else { Err(unexpected("a privilege has an unusual name")) }
}

fn is_yes(row: &Texts, column: usize) -> Result<bool, EngineError> {
    Ok(text(row, column)? == "YES")
}

/// Creates the error for an unexpected answer of the dictionary. The answers determine the
/// privileges that the sync revokes, so the sync fails instead of guessing.
pub(crate) fn unexpected(message: &str) -> EngineError {
    EngineError::Failed {
        action: "read the dictionary".into(),
        code: "protocol".into(),
        message: message.into(),
    }
}
