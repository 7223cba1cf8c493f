//! The permissions of a principal in one scope, and the statements that turn them into those of
//! another principal.

use std::collections::{BTreeMap, BTreeSet};

use rotation_database::sync::Effect;

use crate::quote::identifier;

/// A permission on a securable. The order of rights is the order in which they are granted: a
/// statement on a table removes the permissions on its columns, so the columns follow the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    /// The securable, such as `SCHEMA::[sales]`. `None` for the server or the database itself.
    pub(crate) securable: Option<String>,
    /// A column of the securable.
    pub(crate) column: Option<String>,
    /// The name of the permission, such as `SELECT` or `VIEW SERVER STATE`.
    pub(crate) permission: String,
}

/// The state of a right. If several grantors have set different states, the greatest one applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    /// Excluded from a permission on the whole securable: a column of a table.
    Revoked,
    /// Granted without `WITH GRANT OPTION`.
    Granted,
    /// Granted `WITH GRANT OPTION`.
    GrantedWithOption,
    /// Denied by a `DENY` statement.
    Denied,
}

impl State {
    /// Returns the state for a value of the column `state` of [`sys.database_permissions`][doc].
    ///
    /// [doc]: https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-database-permissions-transact-sql
    pub(crate) fn of(code: &str) -> Option<Self> {
        Some(match code.trim_end() {
            "R" => Self::Revoked,
            "G" => Self::Granted,
            "W" => Self::GrantedWithOption,
            "D" => Self::Denied,
            _ => return None,
        })
    }
}

/// The rights of one principal, with their states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Permissions {
    states: BTreeMap<Right, State>,
    /// The rights that at least one grantor has granted `WITH GRANT OPTION`.
    with_option: BTreeSet<Right>,
}

impl Permissions {
    pub(crate) fn insert(&mut self, right: Right, state: State) {
        if state == State::GrantedWithOption {
            self.with_option.insert(right.clone());
        }
        let known = self.states.entry(right).or_insert(state);
        *known = state.max(*known);
    }

    /// Returns the keyword `CASCADE` if the principal has a grant option. It may have granted the
    /// permission to others, and the server then requires the keyword for a revoke or a denial.
    fn cascade(&self, right: &Right) -> &'static str {
        if self.with_option.contains(right) { " CASCADE" } else { "" }
    }

    /// Returns the statements that turn `self` into `wanted`. `principal` is quoted with brackets.
    pub(crate) fn changes_to(&self, wanted: &Self, principal: &str) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        let mut add = |change: Change| {
            if !changes.contains(&change) {
                changes.push(change);
            }
        };
        for (right, state) in
            self.states.iter().filter(|(right, _)| !wanted.states.contains_key(right))
        {
            // A revoke on a column would exclude the column from the permission on its table. A
            // statement on the table removes the states of its columns instead.
            let whole = Right { column: None, ..right.clone() };
            match wanted.states.get(&whole).filter(|_| right.column.is_some()) {
                Some(state) => add(self.grant_statement(&whole, *state, principal)),
                None => add(self.revoke_statement(right, *state, principal)),
            }
        }
        for (right, state) in &wanted.states {
            if self.states.get(right) != Some(state) {
                add(self.grant_statement(right, *state, principal));
            }
        }
        changes
    }

    fn revoke_statement(&self, right: &Right, state: State, principal: &str) -> Change {
        let statement = format!("REVOKE {right} FROM {principal}{}", self.cascade(right));
        let effect = match state {
            State::Denied | State::Revoked => Effect::Adds,
            State::Granted | State::GrantedWithOption => Effect::Removes,
        };
        Change { statement, effect, right: right.clone() }
    }

    fn grant_statement(&self, right: &Right, state: State, principal: &str) -> Change {
        let has_option = self.states.get(right) == Some(&State::GrantedWithOption);
        let effect = match state {
            State::Granted if has_option => Effect::Removes,
            State::Granted | State::GrantedWithOption => Effect::Adds,
            State::Denied | State::Revoked => Effect::Removes,
        };
        let cascade = self.cascade(right);
        let statement = match state {
            State::Granted if has_option => {
                format!("REVOKE GRANT OPTION FOR {right} FROM {principal} CASCADE")
            }
            State::Granted => format!("GRANT {right} TO {principal}"),
            State::GrantedWithOption => format!("GRANT {right} TO {principal} WITH GRANT OPTION"),
            State::Denied => format!("DENY {right} TO {principal}{cascade}"),
            State::Revoked => format!("REVOKE {right} FROM {principal}{cascade}"),
        };
        Change { statement, effect, right: right.clone() }
    }
}

/// A statement, and the right that the user who runs it must be able to grant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) statement: String,
    pub(crate) effect: Effect,
    pub(crate) right: Right,
}

impl Change {
    /// Returns `true` if the change prevents the principal from logging in or from connecting to
    /// the database.
    pub(crate) fn blocks_login(&self) -> bool {
        let enters =
            ["CONNECT SQL", "CONNECT", "CONTROL SERVER"].contains(&self.right.permission.as_str());
        enters && self.right.securable.is_none() && !self.statement.starts_with("GRANT ")
    }
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.permission)?;
        if let Some(securable) = &self.securable {
            write!(f, " ON {securable}")?;
        }
        match &self.column {
            Some(column) => write!(f, " ({})", identifier(column)),
            None => Ok(()),
        }
    }
}

impl Right {
    /// Returns `true` if it is a right on the principal of that name.
    pub(crate) fn is_on(&self, principal: &str) -> bool {
        let securable = self.securable.as_deref();
        ["LOGIN::", "USER::"]
            .iter()
            .any(|class| securable.and_then(|name| name.strip_prefix(class)) == Some(principal))
    }
}

#[cfg(test)]
mod property_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn permissions(rights: &[(&str, Option<&str>, Option<&str>, State)]) -> Permissions {
        let mut permissions = Permissions::default();
        for (permission, securable, column, state) in rights {
            let right = Right {
                securable: securable.map(str::to_owned),
                column: column.map(str::to_owned),
                permission: (*permission).into(),
            };
            permissions.insert(right, *state);
        }
        permissions
    }

    fn statements(has: &Permissions, wanted: &Permissions) -> Vec<String> {
        has.changes_to(wanted, "[u]").into_iter().map(|change| change.statement).collect()
    }

    #[test]
    fn every_state_changes_to_every_other() {
        const T: Option<&str> = Some("OBJECT::[dbo].[t]");
        let one = |state| permissions(&[("SELECT", T, None, state)]);
        let none = Permissions::default();
        use State::{Denied, Granted, GrantedWithOption};
        for (has, wanted, statement) in [
            (none.clone(), one(Granted), "GRANT SELECT ON OBJECT::[dbo].[t] TO [u]"),
            (
                none.clone(),
                one(GrantedWithOption),
                "GRANT SELECT ON OBJECT::[dbo].[t] TO [u] WITH GRANT OPTION",
            ),
            (none.clone(), one(Denied), "DENY SELECT ON OBJECT::[dbo].[t] TO [u]"),
            (one(Granted), one(Denied), "DENY SELECT ON OBJECT::[dbo].[t] TO [u]"),
            (one(Denied), one(Granted), "GRANT SELECT ON OBJECT::[dbo].[t] TO [u]"),
            (
                one(GrantedWithOption),
                one(Granted),
                "REVOKE GRANT OPTION FOR SELECT ON OBJECT::[dbo].[t] FROM [u] CASCADE",
            ),
            (
                one(GrantedWithOption),
                one(Denied),
                "DENY SELECT ON OBJECT::[dbo].[t] TO [u] CASCADE",
            ),
            (
                one(GrantedWithOption),
                none.clone(),
                "REVOKE SELECT ON OBJECT::[dbo].[t] FROM [u] CASCADE",
            ),
            (one(Denied), none.clone(), "REVOKE SELECT ON OBJECT::[dbo].[t] FROM [u]"),
        ] {
            assert_eq!(statements(&has, &wanted), [statement]);
            assert!(statements(&wanted, &wanted).is_empty());
        }
    }

    /// One grantor has granted the permission with the option, and another one has denied it.
    #[test]
    fn denial_does_not_hide_grant_option_of_other_grantor() {
        const T: Option<&str> = Some("OBJECT::[dbo].[t]");
        let has = permissions(&[
            ("SELECT", T, None, State::GrantedWithOption),
            ("SELECT", T, None, State::Denied),
        ]);
        assert_eq!(
            statements(&has, &Permissions::default()),
            ["REVOKE SELECT ON OBJECT::[dbo].[t] FROM [u] CASCADE"]
        );
    }

    #[test]
    fn columns_follow_table_and_grantors_are_merged() {
        const T: Option<&str> = Some("OBJECT::[dbo].[t]");
        let wanted = permissions(&[
            ("SELECT", T, Some("a]b"), State::Denied),
            ("SELECT", T, None, State::Granted),
            ("SELECT", T, None, State::GrantedWithOption),
            ("CONNECT", None, None, State::Granted),
        ]);
        assert_eq!(
            statements(&Permissions::default(), &wanted),
            [
                "GRANT CONNECT TO [u]",
                "GRANT SELECT ON OBJECT::[dbo].[t] TO [u] WITH GRANT OPTION",
                "DENY SELECT ON OBJECT::[dbo].[t] ([a]]b]) TO [u]",
            ]
        );
    }

    #[test]
    fn column_state_is_removed_by_granting_the_table() {
        const T: Option<&str> = Some("OBJECT::[dbo].[t]");
        let whole = permissions(&[("SELECT", T, None, State::Granted)]);
        let holes = permissions(&[
            ("SELECT", T, None, State::Granted),
            ("SELECT", T, Some("a"), State::Denied),
            ("SELECT", T, Some("b"), State::Revoked),
        ]);
        assert_eq!(statements(&holes, &whole), ["GRANT SELECT ON OBJECT::[dbo].[t] TO [u]"]);
        let column = permissions(&[("SELECT", T, Some("a"), State::Granted)]);
        assert_eq!(
            statements(&column, &Permissions::default()),
            ["REVOKE SELECT ON OBJECT::[dbo].[t] ([a]) FROM [u]"]
        );
    }
}
