//! Property tests of the planner: its changes, applied to a model of the server, leave nothing to
//! change.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use rotation_database::{Password, SyncRequest};

use super::super::settings::Settings;
use super::super::state::{AlternateState, Dependency, Membership, PairState, RoleState};
use super::*;

const BASE: &str = "app";
const ALTERNATE: &str = "app_clone";

/// Splits the first token off: an identifier or a literal without its quotes, or a word.
fn token(sql: &str) -> (String, &str) {
    let sql = sql.trim_start();
    let Some(quote) = sql.chars().next().filter(|first| ['"', '\''].contains(first)) else {
        let end = sql.find(' ').unwrap_or(sql.len());
        return (sql[..end].to_owned(), &sql[end..]);
    };
    let mut end = 1;
    loop {
        end += sql[end..].find(quote).expect("no closing quote") + 1;
        if !sql[end..].starts_with(quote) {
            break;
        }
        end += 1;
    }
    let double = format!("{quote}{quote}");
    (sql[1..end - 1].replace(&double, &quote.to_string()), &sql[end..])
}

/// Returns all tokens of a statement.
fn tokens(mut sql: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    while !sql.trim().is_empty() {
        let (first, rest) = token(sql);
        tokens.push(first);
        sql = rest;
    }
    tokens
}

/// Executes a statement as a server does.
fn execute(state: &mut PairState, sql: &str) {
    let tokens = tokens(sql);
    let words: Vec<_> = tokens.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["CREATE", "ROLE", ALTERNATE, options @ ..] => {
            let mut attributes = Attributes::of_new_role();
            attributes.alter(options);
            let role = RoleState { attributes, settings: Settings::new() };
            state.alternate =
                Some(AlternateState { role, memberships: Vec::new(), dependencies: Vec::new() });
        }
        ["GRANT", role, "TO", ALTERNATE, ..] => alternate(state).memberships.push(Membership {
            role: role.to_string(),
            grantor: None,
            whole: true,
            shared: false,
        }),
        ["REVOKE", role, "FROM", ALTERNATE, by @ ..] => {
            let grantor = by.get(2).copied();
            // Before PostgreSQL 16, a role has one grantor for each membership.
            let by_any = state.version < ADMIN_OPTION_REQUIRED;
            alternate(state)
                .memberships
                .retain(|one| one.role != *role || !(by_any || one.grantor.as_deref() == grantor));
        }
        ["REASSIGN", "OWNED", "BY", ALTERNATE, "TO", BASE] => {
            alternate(state).dependencies.retain(|one| !(one.owned && one.here));
        }
        ["ALTER", "ROLE", ALTERNATE, "IN", "DATABASE", database, change @ ..] => {
            set(state, Some(database), change);
        }
        ["ALTER", "ROLE", ALTERNATE, "SET" | "RESET", ..] => set(state, None, &words[3..]),
        ["ALTER", "ROLE", ALTERNATE, options @ ..] => {
            alternate(state).role.attributes.alter(options);
        }
        _ => panic!("the model does not know {sql}"),
    }
}

fn alternate(state: &mut PairState) -> &mut AlternateState {
    state.alternate.as_mut().expect("the alternate role does not exist")
}

fn set(state: &mut PairState, database: Option<&str>, change: &[&str]) {
    let settings = &mut alternate(state).role.settings;
    let settings = settings.entry(database.map(str::to_owned)).or_default();
    match change {
        ["SET", name, "TO", value] => {
            settings.insert(name.to_string(), value.to_string());
        }
        ["RESET", name] => {
            settings.remove(*name).expect("the setting does not exist");
        }
        _ => panic!("the model does not know {change:?}"),
    }
}

fn settings() -> impl Strategy<Value = Settings> {
    let names = prop_oneof![Just("work_mem"), Just("role"), Just("app.tenant"), Just("a\"b")];
    let in_database = btree_map(names.prop_map(str::to_owned), "[a-z' \"\\\\]{0,6}", 0..3);
    btree_map(of("[a-z' \"]{1,4}"), in_database, 0..3)
}

fn role() -> impl Strategy<Value = RoleState> {
    let attributes = (any::<[bool; 7]>(), of(0..9i32), of("[0-9-]{1,9}"));
    (attributes, settings()).prop_map(|((flags, limit, until), settings)| RoleState {
        attributes: Attributes::of(flags, limit, until),
        settings,
    })
}

fn alternate_role() -> impl Strategy<Value = AlternateState> {
    let membership = ("[a-c]", of("[de]"), any::<bool>(), any::<bool>())
        .prop_map(|(role, grantor, whole, shared)| Membership { role, grantor, whole, shared });
    let dependency =
        any::<bool>().prop_map(|owned| Dependency { database: None, here: true, owned });
    let confirmed = any::<bool>().prop_map(|whole| Membership {
        role: BASE.to_owned(),
        grantor: None,
        whole,
        shared: false,
    });
    (role(), vec(membership, 0..4), confirmed, vec(dependency, 0..3)).prop_map(
        |(role, mut memberships, confirmed, dependencies)| {
            memberships.push(confirmed);
            AlternateState { role, memberships, dependencies }
        },
    )
}

proptest! {
    #[test]
    fn changes_leave_nothing_to_change(
        version in prop_oneof![Just(150_004), Just(180_001)],
        base in role(),
        alternate in of(alternate_role()),
        not_settable in vec(Just("app.tenant"), 0..2),
    ) {
        let not_settable: BTreeSet<_> = not_settable.into_iter().map(str::to_owned).collect();
        let mut state = PairState { version: Some(version), base, alternate, not_settable };
        let password = Password::new("not used");
        let request = SyncRequest {
            master: "master",
            base: BASE,
            alternate: ALTERNATE,
            target: ALTERNATE,
            password: &password,
            pair_verified: true,
            logs_in_unencrypted: false,
            proven: Vec::new(),
        };
        for change in plan(&state, &request).unwrap().changes {
            execute(&mut state, &change.action.sql);
        }
        let left = plan(&state, &request).unwrap().changes;
        prop_assert!(left.is_empty(), "{:?}", left);

        // Nothing of the base role was changed, so the model shows the result.
        let wanted = super::super::settings::for_alternate(BASE, &state.base.settings);
        let alternate = state.alternate.as_ref().unwrap();
        prop_assert_eq!(&alternate.role.attributes, &state.base.attributes.for_alternate());
        let flat = |settings: &Settings| {
            let mut flat = BTreeMap::new();
            for (database, of_database) in settings {
                for (name, value) in of_database {
                    if !state.not_settable.contains(name) {
                        flat.insert((database.clone(), name.clone()), value.clone());
                    }
                }
            }
            flat
        };
        prop_assert_eq!(flat(&alternate.role.settings), flat(&wanted));
        prop_assert!(alternate.memberships.iter().any(|one| one.role == BASE && one.whole));
        prop_assert!(alternate.memberships.iter().all(|one| one.role == BASE || one.shared));
        prop_assert!(!alternate.owns_here());
    }
}
