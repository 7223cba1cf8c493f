//! Property tests: the statements, executed on a model of the server, lead to the wanted
//! permissions.

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;

const TABLE: &str = "OBJECT::[dbo].[t]";
const COLUMNS: [Option<&str>; 3] = [None, Some("a"), Some("b")];

fn right(permission: &str, column: Option<&str>) -> Right {
    Right {
        securable: Some(TABLE.to_owned()),
        column: column.map(str::to_owned),
        permission: permission.to_owned(),
    }
}

/// Executes a statement as a server does. A statement on a table removes the states of its columns
/// (see the pages of [GRANT][grant] and [DENY][deny]).
///
/// [grant]: https://learn.microsoft.com/sql/t-sql/statements/grant-object-permissions-transact-sql
/// [deny]: https://learn.microsoft.com/sql/t-sql/statements/deny-object-permissions-transact-sql
fn execute(has: &mut Permissions, change: &Change) {
    let Change { statement, right, .. } = change;
    let whole = Right { column: None, ..right.clone() };
    let had_option = has.with_option.contains(right);
    if right.column.is_none() {
        let is_column = |one: &Right| {
            one.column.is_some()
                && one.permission == right.permission
                && one.securable == right.securable
        };
        has.states.retain(|one, _| !is_column(one));
        has.with_option.retain(|one| !is_column(one));
    }
    let verb = statement.split(' ').next().expect("an empty statement");
    if had_option && ["REVOKE", "DENY"].contains(&verb) {
        assert!(statement.ends_with(" CASCADE"), "the server requires CASCADE: {statement}");
    }
    let state = match verb {
        "GRANT" if statement.ends_with(" WITH GRANT OPTION") => Some(State::GrantedWithOption),
        // The statement does not take the grant option away.
        "GRANT" if had_option => Some(State::GrantedWithOption),
        "GRANT" => Some(State::Granted),
        "DENY" => Some(State::Denied),
        "REVOKE" if statement.starts_with("REVOKE GRANT OPTION FOR ") => Some(State::Granted),
        "REVOKE" if right.column.is_some() && has.states.contains_key(&whole) => {
            Some(State::Revoked)
        }
        "REVOKE" => None,
        _ => panic!("the model does not know {statement}"),
    };
    has.states.remove(right);
    has.with_option.remove(right);
    if let Some(state) = state {
        has.insert(right.clone(), state);
    }
}

/// Permissions on a table and its columns. A column is only excluded from a permission on its
/// table.
fn permissions() -> impl Strategy<Value = Permissions> {
    let state = prop_oneof![
        Just(State::Revoked),
        Just(State::Granted),
        Just(State::GrantedWithOption),
        Just(State::Denied),
    ];
    let places = (prop_oneof![Just("SELECT"), Just("UPDATE")], 0..COLUMNS.len());
    btree_map(places, state, 0..6).prop_map(|chosen| {
        let mut permissions = Permissions::default();
        for ((permission, column), state) in &chosen {
            let has_whole =
                chosen.get(&(*permission, 0)).is_some_and(|whole| *whole != State::Revoked);
            if *state != State::Revoked || (*column > 0 && has_whole) {
                permissions.insert(right(permission, COLUMNS[*column]), *state);
            }
        }
        permissions
    })
}

proptest! {
    /// A statement on a table changes its columns, so the changes of the columns may need a second
    /// plan. No statement is executed more often than the sync allows.
    #[test]
    fn changes_lead_to_the_wanted_permissions(has in permissions(), wanted in permissions()) {
        let mut has = has;
        let mut executed: BTreeMap<String, usize> = BTreeMap::new();
        for _ in 0..3 {
            for change in has.changes_to(&wanted, "[u]") {
                *executed.entry(change.statement.clone()).or_default() += 1;
                execute(&mut has, &change);
            }
        }
        let left = has.changes_to(&wanted, "[u]");
        prop_assert!(left.is_empty(), "{left:?} after {executed:?}");
        prop_assert_eq!(&has.states, &wanted.states);
        prop_assert!(executed.values().all(|times| *times <= 2), "{executed:?}");
    }
}
