//! The check for privileges that a master user certainly cannot grant, according to the dictionary.

use std::collections::BTreeSet;

use rotation_database::{EngineError, SyncRequest, administrator};

use super::grants::{Grants, OnObject, Right};
use super::state::{known, words};
use super::{Names, Users};
use crate::name::Name;
use crate::session::{Session, Texts};

/// Returns the privileges that the master user certainly lacks for the changes of
/// [`super::differences`].
pub(crate) async fn ungrantable_privileges(
    session: &mut Session,
    request: &SyncRequest<'_>,
) -> Result<Vec<EngineError>, EngineError> {
    Users::begin(session, request).await?.ungrantable_privileges().await
}

/// The privileges with which a master user can grant privileges.
#[derive(Debug, Default)]
struct MasterPrivileges {
    name: String,
    /// All active system privileges, including those of its roles.
    privileges: BTreeSet<String>,
    /// The grants to the master user and to `PUBLIC`, with or without an option.
    own: Grants,
    /// The system privileges and roles that its roles may grant.
    of_roles: BTreeSet<String>,
}

impl MasterPrivileges {
    /// Returns `false` if the master user certainly cannot grant or revoke `right`, and `true` if
    /// it may be able to.
    fn may_allow(&self, right: &Right) -> bool {
        let any = |privilege: &str| self.privileges.contains(privilege);
        let has_option = self.own.0.get(right) == Some(&true);
        match right {
            Right::System(privilege) => {
                any("GRANT ANY PRIVILEGE") || has_option || self.of_roles.contains(privilege)
            }
            Right::Role(role) => {
                any("GRANT ANY ROLE") || has_option || self.of_roles.contains(role.as_str())
            }
            // A role or another system privilege may allow it, too.
            Right::InSchema(..) => true,
            Right::Object(on) | Right::Column(on, _) => {
                // The dictionary does not show the creator of an object that has no owner.
                let has_owner = on.object.starts_with('"') || on.object.starts_with("DIRECTORY ");
                let is_own = on.object.starts_with(&format!("{}.", self.name));
                !has_owner || is_own || any("GRANT ANY OBJECT PRIVILEGE") || self.may_grant(on)
            }
        }
    }

    /// Returns `true` if the master user has the privilege on the object, or on a column of it,
    /// with the grant option.
    fn may_grant(&self, wanted: &OnObject) -> bool {
        self.own.0.iter().any(|(right, option)| match right {
            Right::Object(on) | Right::Column(on, _) => {
                *option && (&on.object, &on.privilege) == (&wanted.object, &wanted.privilege)
            }
            _ => false,
        })
    }
}

impl Users<'_> {
    async fn ungrantable_privileges(&mut self) -> Result<Vec<EngineError>, EngineError> {
        let Names { base, alternate, master } = self.names.clone();
        let wanted = self.granted(&base).await?.grants;
        let has = self.granted(&alternate).await?.grants;
        let master_privileges = self.master_privileges(&master).await?;
        let changes = has.changes_to(&wanted, &alternate).into_iter();
        let cannot = changes.filter(|change| !master_privileges.may_allow(&change.right));
        let lacks = cannot.map(|change| {
            let needed = change.right.needed(&master);
            let action = format!("run {}", change.statement);
            EngineError::lacks(action, master.as_str(), &needed, administrator(&needed))
        });
        Ok(lacks.collect())
    }

    async fn master_privileges(&mut self, master: &Name) -> Result<MasterPrivileges, EngineError> {
        const PRIVILEGES: &str = "SELECT privilege FROM SYS.SESSION_PRIVS";
        const OF_ROLES: &str = "SELECT privilege FROM SYS.ROLE_SYS_PRIVS WHERE admin_option = \
                                'YES' UNION SELECT granted_role FROM SYS.ROLE_ROLE_PRIVS WHERE \
                                admin_option = 'YES'";
        const TO_ALL: &str = "SELECT owner, table_name, privilege FROM SYS.DBA_TAB_PRIVS \
            WHERE grantee = 'PUBLIC' AND grantable = 'YES'";
        let action = "read the privileges that the master user may grant";
        let mut own = self.granted(master).await?.grants;
        for row in self.session.rows(action, TO_ALL, &[]).await? {
            let object = format!("{}.{}", known(&row, 0)?, known(&row, 1)?);
            let on = OnObject { object, privilege: words(&row, 2)?, hierarchy: false };
            own.add(Right::Object(on), true);
        }
        let privileges = texts(self.session.rows(action, PRIVILEGES, &[]).await?);
        let of_roles = texts(self.session.rows(action, OF_ROLES, &[]).await?);
        Ok(MasterPrivileges { name: master.to_string(), privileges, own, of_roles })
    }
}

fn texts(rows: Vec<Texts>) -> BTreeSet<String> {
    rows.into_iter().filter_map(|row| row.into_iter().next()?).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::written(text).unwrap()
    }

    fn on(object: &str) -> Right {
        Right::Object(OnObject {
            object: object.into(),
            privilege: "SELECT".into(),
            hierarchy: false,
        })
    }

    fn column_of(object: &str) -> Right {
        Right::Column(
            OnObject { object: object.into(), privilege: "SELECT".into(), hierarchy: false },
            name("a"),
        )
    }

    #[test]
    fn missing_grant_option_is_detected() {
        let master_privileges =
            |privileges: &[&str], own: &[(Right, bool)], of_roles: &[&str]| MasterPrivileges {
                name: name("m").to_string(),
                privileges: privileges.iter().map(ToString::to_string).collect(),
                own: Grants(own.iter().cloned().collect()),
                of_roles: of_roles.iter().map(ToString::to_string).collect(),
            };
        let (system, role) = (Right::System("CREATE TABLE".into()), Right::Role(name("r")));
        let none = master_privileges(&[], &[], &[]);
        for (master_privileges, right, expected) in [
            (&none, &system, false),
            (&master_privileges(&["GRANT ANY PRIVILEGE"], &[], &[]), &system, true),
            (&master_privileges(&["GRANT ANY ROLE"], &[], &[]), &system, false),
            (&master_privileges(&[], &[(system.clone(), false)], &[]), &system, false),
            (&master_privileges(&[], &[(system.clone(), true)], &[]), &system, true),
            (&master_privileges(&[], &[], &["CREATE TABLE"]), &system, true),
            (&master_privileges(&["GRANT ANY ROLE"], &[], &[]), &role, true),
            (&master_privileges(&[], &[], &["R"]), &role, true),
            (&none, &role, false),
            (&none, &on("\"S\".\"T\""), false),
            (&none, &on("\"M\".\"T\""), true),
            (
                &master_privileges(&[], &[(on("\"S\".\"T\""), true)], &[]),
                &column_of("\"S\".\"T\""),
                true,
            ),
            (
                &master_privileges(&[], &[(on("\"S\".\"T\""), false)], &[]),
                &on("\"S\".\"T\""),
                false,
            ),
            (
                &master_privileges(&["GRANT ANY OBJECT PRIVILEGE"], &[], &[]),
                &on("\"S\".\"T\""),
                true,
            ),
            (&none, &on("\"SYS\".\"DBMS_LOCK\""), false),
            (&none, &on("DIRECTORY \"D\""), false),
            (&none, &on("EDITION \"E\""), true),
            (&none, &Right::InSchema("SELECT ANY TABLE".into(), name("s")), true),
        ] {
            assert_eq!(
                master_privileges.may_allow(right),
                expected,
                "{master_privileges:?} for {right:?}"
            );
        }
    }
}
