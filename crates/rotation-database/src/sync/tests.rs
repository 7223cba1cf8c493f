//! Tests of the loop of a sync with a model of a server.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rotation::Password;

use super::*;

/// How the server treats a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treats {
    /// It makes the change.
    Well,
    /// It accepts the change without effect.
    AsNothing,
    /// It rejects the change, because the master lacks a privilege.
    AsForbidden,
    /// The object does not exist.
    AsGone,
    /// The first execution has no effect, the second one has.
    WellTheSecondTime,
    /// The change could interrupt the active user.
    Interrupting,
    /// The change creates the alternate user, and the master lacks the privilege for it.
    AsForbiddenCreation,
    /// The change is of a later phase.
    Later,
}

/// Two users that have grants. A change toggles one grant of the alternate user.
#[derive(Debug, Default)]
struct Model {
    base: BTreeSet<u8>,
    alternate: BTreeSet<u8>,
    treats: BTreeMap<u8, Treats>,
    executed: Vec<u8>,
    reads: usize,
}

impl Model {
    fn new(base: &[u8], alternate: &[u8], treats: &[(u8, Treats)]) -> Self {
        Self {
            base: base.iter().copied().collect(),
            alternate: alternate.iter().copied().collect(),
            treats: treats.iter().copied().collect(),
            ..Self::default()
        }
    }

    fn treats(&self, grant: u8) -> Treats {
        self.treats.get(&grant).copied().unwrap_or(Treats::Well)
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
            let treats = self.treats(*grant);
            let change = match treats {
                Treats::AsForbiddenCreation => Change::creating(format!("grant {grant}"), *grant),
                _ => Change::new(format!("grant {grant}"), *grant),
            };
            let phase = u8::from(treats == Treats::Later);
            plan.push(change.interrupting(treats == Treats::Interrupting).in_phase(phase));
        }
        plan.notes.push("a note".into());
        Ok(plan)
    }

    async fn apply(&mut self, grant: &u8) -> Result<Applied, EngineError> {
        self.executed.push(*grant);
        let is_first = self.executed.iter().filter(|executed| *executed == grant).count() == 1;
        match self.treats(*grant) {
            Treats::AsNothing => {}
            Treats::WellTheSecondTime if is_first => {}
            Treats::AsForbidden | Treats::AsForbiddenCreation => {
                let remedy = crate::administrator(&format!("GRANT {grant} TO m"));
                return Err(EngineError::lacks(format!("grant {grant}"), "m", "that", remedy));
            }
            Treats::AsGone => return Ok(Applied::ObjectGone),
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
        target: target,
        password: &password,
        is_known_pair: true,
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
    let treats = [(1, Treats::AsNothing), (3, Treats::WellTheSecondTime)];
    let mut model = Model::new(&[1, 2, 3], &[], &treats);
    let report = run(&mut model, "app_clone").await.unwrap();
    assert_eq!(report.changes, ["grant 2", "grant 3"]);
    assert_eq!(report.without_effect, ["grant 1"]);
    assert!(
        report.notes.iter().any(|note| note.contains("without effect") && note.contains("grant 1"))
    );
    assert_eq!(model.executed, [1, 2, 3, 1, 3]);
}

#[tokio::test]
async fn missing_privileges_are_in_one_error() {
    let treats = [(1, Treats::AsForbidden), (3, Treats::AsForbidden)];
    let mut model = Model::new(&[1, 2, 3], &[], &treats);
    let error = run(&mut model, "app_clone").await.unwrap_err();
    let EngineError::PrivilegeMissing { action, remedy, .. } = error else { panic!("{error}") };
    assert_eq!(action, "grant 1; grant 3");
    assert_eq!(remedy, "As an administrator of the database: GRANT 1 TO m; GRANT 3 TO m.");
    assert_eq!(model.executed, [1, 2, 3]);
}

#[tokio::test]
async fn nothing_follows_a_creation_that_was_rejected() {
    let treats = [(1, Treats::AsForbiddenCreation), (2, Treats::AsForbidden)];
    let mut model = Model::new(&[1, 2], &[], &treats);
    let error = run(&mut model, "app_clone").await.unwrap_err();
    assert!(matches!(error, EngineError::PrivilegeMissing { action, .. } if action == "grant 1"));
    assert_eq!(model.executed, [1]);
}

#[tokio::test]
async fn change_that_interrupts_waits_while_the_alternate_is_active() {
    let treats = [(1, Treats::Interrupting), (2, Treats::Later)];
    let mut model = Model::new(&[1, 2], &[], &treats);
    let report = run(&mut model, "app").await.unwrap();
    assert_eq!(report.changes, ["grant 2"]);
    let deferred = report.notes.iter().filter(|note| note.starts_with("Deferred until app_clone"));
    assert_eq!(deferred.count(), 1);
    let report = run(&mut model, "app_clone").await.unwrap();
    assert_eq!(report.changes, ["grant 1"]);
}

#[tokio::test]
async fn grant_on_an_object_that_is_gone_is_a_note() {
    let mut model = Model::new(&[1, 2], &[], &[(1, Treats::AsGone)]);
    let report = run(&mut model, "app_clone").await.unwrap();
    assert_eq!(report.changes, ["grant 2"]);
    assert!(report.without_effect.is_empty());
    assert!(report.notes.iter().any(|note| note.contains("does not exist: grant 1")));
    assert_eq!(model.executed, [1, 2]);
}

#[tokio::test]
async fn later_phase_follows_the_earlier_one() {
    let mut model = Model::new(&[1, 2], &[], &[(1, Treats::Later)]);
    run(&mut model, "app_clone").await.unwrap();
    assert_eq!((model.executed, model.reads), (vec![2, 1], 3));
}

#[tokio::test]
async fn differences_are_those_of_the_plan_and_change_nothing() {
    let mut model = Model::new(&[1, 2], &[2, 3], &[]);
    assert_eq!(differences(&mut model).await.unwrap(), ["grant 1", "grant 3"]);
    assert!(model.executed.is_empty());
}

fn treats() -> impl Strategy<Value = BTreeMap<u8, Treats>> {
    let one = prop_oneof![
        Just(Treats::Well),
        Just(Treats::AsNothing),
        Just(Treats::AsGone),
        Just(Treats::WellTheSecondTime),
        Just(Treats::Interrupting),
        Just(Treats::Later),
    ];
    proptest::collection::btree_map(0..20u8, one, 0..20)
}

proptest! {
    /// Every sync ends, and each difference that is left is deferred, gone or without effect.
    #[test]
    fn sync_converges(
        base in proptest::collection::btree_set(0..20u8, 0..20),
        alternate in proptest::collection::btree_set(0..20u8, 0..20),
        treats in treats(),
        alternates_turn: bool,
    ) {
        let mut model = Model { base, alternate, treats, ..Model::default() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let target = if alternates_turn { "app_clone" } else { "app" };
        let report = runtime.block_on(run(&mut model, target)).unwrap();
        for grant in model.base.symmetric_difference(&model.alternate) {
            let expected = match model.treats(*grant) {
                Treats::AsNothing => "without effect",
                Treats::AsGone => "does not exist",
                Treats::Interrupting if !alternates_turn => "Deferred",
                treats => panic!("{treats:?} is left"),
            };
            let of_grant = format!("grant {grant}.");
            prop_assert!(report.notes.iter().any(|note| note.contains(expected) && note.ends_with(&of_grant)));
        }
        let again = runtime.block_on(run(&mut model, target)).unwrap();
        prop_assert!(again.changes.is_empty(), "{:?}", again.changes);
    }
}
