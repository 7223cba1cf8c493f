//! The grants of a user, and the statements that turn them into those of another user.
//!
//! [GRANT](https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/GRANT.html),
//! [REVOKE](https://docs.oracle.com/en/database/oracle/oracle-database/23/sqlrf/REVOKE.html).

use std::collections::{BTreeMap, BTreeSet};

use rotation_database::sync::Effect;

use crate::name::Name;

/// Something that can be granted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Right {
    /// A system privilege such as `CREATE SESSION`, with or without `WITH ADMIN OPTION`.
    System(String),
    /// A system privilege on one schema (23ai and later): `SELECT ANY TABLE`, and the schema.
    InSchema(String, Name),
    /// A role, with or without `WITH ADMIN OPTION`.
    Role(Name),
    /// A privilege on an object, with or without `WITH GRANT OPTION`.
    Object(OnObject),
    /// A privilege on a column of an object, with or without `WITH GRANT OPTION`.
    Column(OnObject, Name),
}

/// A privilege on an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OnObject {
    /// The part of the statement after `ON`: `"HR"."EMPLOYEES"`, `DIRECTORY "DUMPS"`.
    pub(crate) object: String,
    /// The name of the privilege, such as `SELECT`.
    pub(crate) privilege: String,
    /// `true` if the grant has `WITH HIERARCHY OPTION`.
    pub(crate) hierarchy: bool,
}

/// All grants of a user. The value is `true` if the user may grant it to others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Grants(pub(crate) BTreeMap<Right, bool>);

/// A statement, and the right that the user who runs it must be able to grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) statement: String,
    pub(crate) effect: Effect,
    pub(crate) right: Right,
    /// `true` for a revoke that also removes wanted rights, and for the grants that restore them.
    /// In between, the user lacks these rights.
    pub(crate) is_replaced: bool,
}

impl Right {
    fn grant(&self, user: &Name, may_grant: bool) -> String {
        let option = match (self, may_grant) {
            (_, false) => "",
            (Self::System(_) | Self::InSchema(..) | Self::Role(_), true) => " WITH ADMIN OPTION",
            (Self::Object(_) | Self::Column(..), true) => " WITH GRANT OPTION",
        };
        match self {
            Self::System(privilege) => format!("GRANT {privilege} TO {user}{option}"),
            Self::InSchema(privilege, schema) => {
                format!("GRANT {privilege} ON SCHEMA {schema} TO {user}{option}")
            }
            Self::Role(role) => format!("GRANT {role} TO {user}{option}"),
            Self::Object(OnObject { object, privilege, hierarchy }) => {
                let hierarchy = if *hierarchy { " WITH HIERARCHY OPTION" } else { "" };
                format!("GRANT {privilege} ON {object} TO {user}{hierarchy}{option}")
            }
            Self::Column(OnObject { object, privilege, .. }, column) => {
                format!("GRANT {privilege} ({column}) ON {object} TO {user}{option}")
            }
        }
    }

    fn revoke(&self, user: &Name) -> String {
        match self {
            Self::System(privilege) => format!("REVOKE {privilege} FROM {user}"),
            Self::InSchema(privilege, schema) => {
                format!("REVOKE {privilege} ON SCHEMA {schema} FROM {user}")
            }
            Self::Role(role) => format!("REVOKE {role} FROM {user}"),
            // A privilege on columns can only be revoked for the whole object.
            Self::Object(on) | Self::Column(on, _) => {
                format!("REVOKE {} ON {} FROM {user}", on.privilege, on.object)
            }
        }
    }

    /// Returns the grant that user `by` needs to be able to grant this right.
    pub(crate) fn needed(&self, by: &Name) -> String {
        match self {
            Self::System(_) | Self::Role(_) => self.grant(by, true),
            Self::InSchema(..) => {
                format!("{} (or GRANT GRANT ANY SCHEMA PRIVILEGE TO {by})", self.grant(by, true))
            }
            Self::Object(OnObject { object, privilege, .. })
            | Self::Column(OnObject { object, privilege, .. }, _)
                if object.starts_with("\"SYS\".") || object.starts_with("DIRECTORY ") =>
            {
                format!(
                    "as SYS: GRANT {privilege} ON {object} TO {by} WITH GRANT OPTION (on RDS: \
                     rdsadmin.rdsadmin_util.grant_sys_object with p_grant_option => true)"
                )
            }
            Self::Object(OnObject { object, privilege, .. })
            | Self::Column(OnObject { object, privilege, .. }, _) => {
                format!(
                    "GRANT {privilege} ON {object} TO {by} WITH GRANT OPTION (or GRANT GRANT ANY \
                     OBJECT PRIVILEGE TO {by})"
                )
            }
        }
    }

    /// Returns `true` if a revoke of `revoked` also revokes this right.
    fn is_lost_with(&self, revoked: &Self) -> bool {
        match (self, revoked) {
            (Self::Object(on) | Self::Column(on, _), Self::Object(of) | Self::Column(of, _)) => {
                on.object == of.object && on.privilege == of.privilege
            }
            _ => self == revoked,
        }
    }
}

impl Grants {
    /// Adds a row of the dictionary, which has one row for each grantor. The user may grant the
    /// right if one of the rows has the option.
    pub(crate) fn add(&mut self, right: Right, may_grant: bool) {
        *self.0.entry(right).or_insert(false) |= may_grant;
    }

    /// Returns the statements that turn `self` into `wanted`.
    ///
    /// The grants come first, because they can be the replacement for what the revokes remove. A
    /// right that is lost with the revoke of another one, or of its option, is granted after that
    /// revoke.
    pub(crate) fn changes_to(&self, wanted: &Self, user: &Name) -> Vec<Change> {
        // An option can only be revoked together with the right.
        let surplus = self.0.iter().filter(|(right, option)| match wanted.0.get(right) {
            None => true,
            Some(wanted) => **option && !wanted,
        });
        let surplus: Vec<&Right> = surplus.map(|(right, _)| right).collect();
        let mut revokes = Vec::new();
        let mut done = BTreeSet::new();
        for right in &surplus {
            let statement = right.revoke(user);
            if done.insert(statement.clone()) {
                let is_replaced = wanted.0.keys().any(|wanted| wanted.is_lost_with(right));
                let (right, effect) = ((*right).clone(), Effect::Removes);
                revokes.push(Change { statement, effect, right, is_replaced });
            }
        }
        let mut grants = Vec::new();
        for (right, option) in &wanted.0 {
            let is_replaced = surplus.iter().any(|revoked| right.is_lost_with(revoked));
            if is_replaced || self.0.get(right) != Some(option) {
                // A right that was revoked for its option, or with another one, is not new.
                let effect = match self.0.get(right) {
                    Some(has) if *has || !*option => Effect::Sets,
                    _ => Effect::Adds,
                };
                let statement = right.grant(user, *option);
                grants.push(Change { statement, effect, right: right.clone(), is_replaced });
            }
        }
        let (again, mut changes): (Vec<_>, Vec<_>) =
            grants.into_iter().partition(|grant| grant.is_replaced);
        changes.extend(revokes);
        changes.extend(again);
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Name {
        Name::written("u").unwrap()
    }

    fn on(privilege: &str) -> OnObject {
        OnObject { object: "\"S\".\"T\"".into(), privilege: privilege.into(), hierarchy: false }
    }

    fn grants(rights: &[(Right, bool)]) -> Grants {
        Grants(rights.iter().cloned().collect())
    }

    fn statements(has: &Grants, wanted: &Grants) -> Vec<String> {
        has.changes_to(wanted, &user()).into_iter().map(|change| change.statement).collect()
    }

    #[test]
    fn option_and_column_are_revoked_with_the_whole() {
        let column = |name: &str| Right::Column(on("UPDATE"), Name::written(name).unwrap());
        let has = grants(&[
            (Right::System("CREATE TABLE".into()), true),
            (Right::Role(Name::written("\"a role\"").unwrap()), false),
            (column("a"), false),
            (column("b"), false),
        ]);
        let wanted = grants(&[(Right::System("CREATE TABLE".into()), false), (column("a"), true)]);
        assert_eq!(
            statements(&has, &wanted),
            [
                "REVOKE CREATE TABLE FROM \"U\"",
                "REVOKE \"a role\" FROM \"U\"",
                "REVOKE UPDATE ON \"S\".\"T\" FROM \"U\"",
                "GRANT CREATE TABLE TO \"U\"",
                "GRANT UPDATE (\"A\") ON \"S\".\"T\" TO \"U\" WITH GRANT OPTION",
            ]
        );
        assert!(statements(&wanted, &wanted).is_empty());
        assert!(statements(&has, &has).is_empty());
    }

    #[test]
    fn missing_rights_are_granted_with_their_option() {
        let wanted = grants(&[
            (Right::Object(on("SELECT")), true),
            (Right::Object(OnObject { object: "DIRECTORY \"D\"".into(), ..on("READ") }), false),
            (Right::Role(Name::written("r").unwrap()), true),
        ]);
        assert_eq!(
            statements(&Grants::default(), &wanted),
            [
                "GRANT \"R\" TO \"U\" WITH ADMIN OPTION",
                "GRANT SELECT ON \"S\".\"T\" TO \"U\" WITH GRANT OPTION",
                "GRANT READ ON DIRECTORY \"D\" TO \"U\"",
            ]
        );
    }

    #[test]
    fn replacement_is_granted_before_the_revoke() {
        let role = Right::Role(Name::written("r").unwrap());
        let session = Right::System("CREATE SESSION".into());
        let column = Right::Column(on("SELECT"), Name::written("a").unwrap());
        let has = grants(&[(session, false), (Right::Object(on("SELECT")), false)]);
        let wanted = grants(&[(role, false), (column, false)]);
        let changes = has.changes_to(&wanted, &user());
        let changes: Vec<_> =
            changes.iter().map(|change| (change.statement.as_str(), change.is_replaced)).collect();
        assert_eq!(
            changes,
            [
                ("GRANT \"R\" TO \"U\"", false),
                ("REVOKE CREATE SESSION FROM \"U\"", false),
                ("REVOKE SELECT ON \"S\".\"T\" FROM \"U\"", true),
                ("GRANT SELECT (\"A\") ON \"S\".\"T\" TO \"U\"", true),
            ]
        );
    }

    proptest::proptest! {
        /// The statements, run in order as a server does, turn the grants into the wanted ones. Up
        /// to the first revoke that also removes a wanted right, no wanted right is ever missing.
        #[test]
        fn changes_lead_to_the_wanted_grants(
            has in proptest::collection::btree_map(0..RIGHTS.len(), proptest::bool::ANY, 0..6),
            wanted in proptest::collection::btree_map(0..RIGHTS.len(), proptest::bool::ANY, 0..6),
        ) {
            let grants = |of: &BTreeMap<usize, bool>| {
                Grants(of.iter().map(|(at, option)| (right(*at), *option)).collect())
            };
            let (mut has, wanted) = (grants(&has), grants(&wanted));
            let changes = has.changes_to(&wanted, &user());
            let held: Vec<Right> = has.0.keys().cloned().collect();
            let mut is_gap_possible = false;
            for change in changes {
                is_gap_possible |= change.is_replaced;
                match change.effect {
                    Effect::Removes => has.0.retain(|right, _| !right.is_lost_with(&change.right)),
                    _ => has.add(change.right.clone(), wanted.0[&change.right]),
                }
                for right in held.iter().filter(|right| wanted.0.contains_key(right)) {
                    proptest::prop_assert!(is_gap_possible || has.0.contains_key(right));
                }
            }
            proptest::prop_assert_eq!(has, wanted);
        }
    }

    /// The kinds of rights that depend on each other.
    const RIGHTS: [&str; 6] = ["CREATE TABLE", "role", "SELECT", "UPDATE", "UPDATE a", "UPDATE b"];

    fn right(at: usize) -> Right {
        match RIGHTS[at].split_once(' ') {
            Some(("CREATE", _)) => Right::System(RIGHTS[at].into()),
            Some((privilege, column)) => {
                Right::Column(on(privilege), Name::written(column).unwrap())
            }
            None if at == 1 => Right::Role(Name::written(RIGHTS[at]).unwrap()),
            None => Right::Object(on(RIGHTS[at])),
        }
    }
}
