//! Tests of the loop of a sync with a model of a server.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rotation::Password;

use super::*;

/// The reaction of the server to a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Behavior {
    /// It makes the change.
    Applies,
    /// It accepts the change without effect.
    NoEffect,
    /// It rejects the change, because the master lacks a privilege.
    Denied,
    /// The object does not exist.
    ObjectGone,
    /// The first execution has no effect, the second one has.
    AppliesSecondTime,
    /// The change could interrupt the active user.
    Interrupting,
    /// The change creates the alternate user, and the master lacks the privilege for it.
    CreationDenied,
    /// The change is of a later phase.
    Later,
}

/// Two users that have grants. A change toggles one grant of the alternate user.
#[derive(Debug, Default)]
struct Model {
    base: BTreeSet<u8>,
    alternate: BTreeSet<u8>,
    behavior: BTreeMap<u8, Behavior>,
    executed: Vec<u8>,
    reads: usize,
}

impl Model {
    fn new(base: &[u8], alternate: &[u8], behavior: &[(u8, Behavior)]) -> Self {
        Self {
            base: base.iter().copied().collect(),
            alternate: alternate.iter().copied().collect(),
            behavior: behavior.iter().copied().collect(),
            ..Self::default()
        }
    }

    fn behavior(&self, grant: u8) -> Behavior {
        self.behavior.get(&grant).copied().unwrap_or(Behavior::Applies)
    }
}

impl Pair for Model {
    type State = BTreeSet<u8>;
    type Action = u8;

    async fn read(&mut self) -> Result<BTreeSet<u8>, EngineError> {
        self.reads += 1;
        Ok(self.base.symmetric_difference(&self.alternate).copied().collect())
    }

    fn plan(&self, state: &BTreeSet<u8>) -> Result<Plan<u8>, EngineError> {
        let mut plan = Plan::default();
        for grant in state {
            let behavior = self.behavior(*grant);
            let change = match behavior {
                Behavior::CreationDenied => Change::creating(format!("grant {grant}"), *grant),
                _ => Change::new(format!("grant {grant}"), *grant),
            };
            let phase = u8::from(behavior == Behavior::Later);
            let adds = self.base.contains(grant);
            let change = change.with_effect(if adds { Effect::Adds } else { Effect::Removes });
            plan.push(change.interrupting(behavior == Behavior::Interrupting).in_phase(phase));
        }
        plan.notes.push("a note".into());
        Ok(plan)
    }

    async fn apply(&mut self, grant: &u8) -> Result<Applied, EngineError> {
        self.executed.push(*grant);
        let is_first = self.executed.iter().filter(|executed| *executed == grant).count() == 1;
        match self.behavior(*grant) {
            Behavior::NoEffect => {}
            Behavior::AppliesSecondTime if is_first => {}
            Behavior::Denied | Behavior::CreationDenied => {
                let remedy = crate::administrator(&format!("GRANT {grant} TO m"));
                return Err(EngineError::lacks(format!("grant {grant}"), "m", "that", remedy));
            }
            Behavior::ObjectGone => return Ok(Applied::ObjectGone),
            _ => {
                if !self.alternate.remove(grant) {
                    self.alternate.insert(*grant);
                }
            }
        }
        Ok(Applied::Changed)
    }
}

async fn run(model: &mut Model, target: &str) -> Result<SyncReport, EngineError> {
    let password = Password::new("not used");
    let request = SyncRequest {
        master: "m",
        base: "app",
        alternate: "app_clone",
        target,
        password: &password,
        pair_verified: true,
        logs_in_unencrypted: false,
        proven: Vec::new(),
    };
    sync(model, &request).await.map(|(report, _)| report)
}

#[tokio::test]
async fn users_in_sync_are_read_once_and_not_changed() {
    let mut model = Model::new(&[1, 2], &[1, 2], &[]);
    let report = run(&mut model, "app_clone").await.unwrap();
    assert_eq!((report.changes, model.executed, model.reads), (vec![], vec![], 1));
    assert_eq!(report.notes, ["a note"]);
}

#[tokio::test]
async fn change_without_effect_is_a_note() {
    let behavior = [(1, Behavior::NoEffect), (3, Behavior::AppliesSecondTime)];
    let mut model = Model::new(&[], &[1, 2, 3], &behavior);
    let report = run(&mut model, "app_clone").await.unwrap();
    assert_eq!(report.changes, ["grant 2", "grant 3"]);
    assert_eq!(report.without_effect, ["grant 1"]);
    assert!(
        report.notes.iter().any(|note| note.contains("without effect") && note.contains("grant 1"))
    );
    assert_eq!(model.executed, [1, 2, 3, 1, 3]);
}

#[tokio::test]
async fn right_that_stays_missing_stops_only_the_rotation_to_the_alternate() {
    let behavior = [(1, Behavior::NoEffect)];
    let error = run(&mut Model::new(&[1, 2], &[], &behavior), "app_clone").await.unwrap_err();
    let EngineError::NeedsDecision { what, .. } = error else { panic!("{error}") };
    assert!(what.ends_with("had no effect: grant 1"), "{what}");
    let report = run(&mut Model::new(&[1, 2], &[], &behavior), "app").await.unwrap();
    assert_eq!(report.without_effect, ["grant 1"]);
}

#[tokio::test]
async fn nothing_is_taken_away_after_a_denial() {
    let mut model = Model::new(&[1, 3], &[2], &[(1, Behavior::Denied)]);
    run(&mut model, "app").await.unwrap_err();
    assert_eq!(model.executed, [1, 3]);
}

#[tokio::test]
async fn missing_privileges_are_in_one_error() {
    let behavior = [(1, Behavior::Denied), (3, Behavior::Denied)];
    let mut model = Model::new(&[1, 2, 3], &[], &behavior);
    let error = run(&mut model, "app_clone").await.unwrap_err();
    let EngineError::PrivilegeMissing { action, remedy, .. } = error else { panic!("{error}") };
    assert_eq!(action, "grant 1; grant 3");
    assert_eq!(remedy, "As an administrator of the database: GRANT 1 TO m; GRANT 3 TO m.");
    assert_eq!(model.executed, [1, 2, 3]);
}

#[tokio::test]
async fn nothing_follows_a_creation_that_was_rejected() {
    let behavior = [(1, Behavior::CreationDenied), (2, Behavior::Denied)];
    let mut model = Model::new(&[1, 2], &[], &behavior);
    let error = run(&mut model, "app_clone").await.unwrap_err();
    assert!(matches!(error, EngineError::PrivilegeMissing { action, .. } if action == "grant 1"));
    assert_eq!(model.executed, [1]);
}

#[tokio::test]
async fn change_that_interrupts_waits_while_the_alternate_is_active() {
    let behavior = [(1, Behavior::Interrupting), (2, Behavior::Later)];
    let mut model = Model::new(&[1, 2], &[], &behavior);
    let report = run(&mut model, "app").await.unwrap();
    assert_eq!(report.changes, ["grant 2"]);
    let deferred = report
        .notes
        .iter()
        .filter(|note| note.starts_with("Deferred until the next rotation to app_clone"));
    assert_eq!(deferred.count(), 1);
    let report = run(&mut model, "app_clone").await.unwrap();
    assert_eq!(report.changes, ["grant 1"]);
}

#[tokio::test]
async fn grant_on_an_object_that_is_gone_is_a_note() {
    let mut model = Model::new(&[1, 2], &[], &[(1, Behavior::ObjectGone)]);
    let report = run(&mut model, "app_clone").await.unwrap();
    assert_eq!(report.changes, ["grant 2"]);
    assert!(report.without_effect.is_empty());
    assert!(report.notes.iter().any(|note| note.contains("does not exist: grant 1")));
    assert_eq!(model.executed, [1, 2]);
}

#[tokio::test]
async fn later_phase_follows_the_earlier_one() {
    let mut model = Model::new(&[1, 2], &[], &[(1, Behavior::Later)]);
    run(&mut model, "app_clone").await.unwrap();
    assert_eq!((model.executed, model.reads), (vec![2, 1], 3));
}

#[tokio::test]
async fn differences_are_those_of_the_plan_and_change_nothing() {
    let mut model = Model::new(&[1, 2], &[2, 3], &[]);
    assert_eq!(differences(&mut model).await.unwrap(), ["grant 1", "grant 3"]);
    assert!(model.executed.is_empty());
}

fn behavior() -> impl Strategy<Value = BTreeMap<u8, Behavior>> {
    let one = prop_oneof![
        Just(Behavior::Applies),
        Just(Behavior::NoEffect),
        Just(Behavior::ObjectGone),
        Just(Behavior::AppliesSecondTime),
        Just(Behavior::Interrupting),
        Just(Behavior::Later),
    ];
    proptest::collection::btree_map(0..20u8, one, 0..20)
}

proptest! {
    /// Every sync ends, and each difference that is left is deferred, gone or without effect.
    #[test]
    fn sync_converges(
        base in proptest::collection::btree_set(0..20u8, 0..20),
        alternate in proptest::collection::btree_set(0..20u8, 0..20),
        behavior in behavior(),
        alternate_is_target: bool,
    ) {
        let mut model = Model { base, alternate, behavior, ..Model::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let target = if alternate_is_target { "app_clone" } else { "app" };
        let misses = |grant: &u8| {
            model.behavior(*grant) == Behavior::NoEffect && !model.alternate.contains(grant)
        };
        let stays_missing = alternate_is_target && model.base.iter().any(misses);
        let report = match runtime.block_on(run(&mut model, target)) {
            Ok(report) => report,
            Err(error) => {
                prop_assert!(stays_missing, "{error}");
                return Ok(());
            }
        };
        prop_assert!(!stays_missing);
        for grant in model.base.symmetric_difference(&model.alternate) {
            let expected = match model.behavior(*grant) {
                Behavior::NoEffect => "without effect",
                Behavior::ObjectGone => "does not exist",
                Behavior::Interrupting if !alternate_is_target => "Deferred",
                behavior => panic!("{behavior:?} is left"),
            };
            let suffix = format!("grant {grant}.");
            let is_reported = |note: &String| note.contains(expected) && note.ends_with(&suffix);
            prop_assert!(report.notes.iter().any(is_reported));
        }
        let again = runtime.block_on(run(&mut model, target)).unwrap();
        prop_assert!(again.changes.is_empty(), "{:?}", again.changes);
    }
}
