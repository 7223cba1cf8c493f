//! Tests of recovery: a retry converges after any fault at any point.

use anyhow::{Context, Result, ensure};
use rotation_driver::{Function, Rotation};
use secretsmanager_emulator::When;
use serde_json::{Value, json};

use crate::fixture::{Fixture, new_password};
use crate::server::Server;
use crate::suite::fault_injection::{
    Break, Then, inject_at_every_point, inject_at_every_point_of_later_rotations,
};

pub(super) const SINGLE: &str = "single-user";
pub(super) const BY_MASTER: &str = "single-user-by-master";
pub(super) const MASTER: &str = "master-user";
pub(super) const STRATEGIES: [&str; 3] = [SINGLE, BY_MASTER, MASTER];

/// The steps in their order.
pub(super) const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

/// Checks the result of a successful rotation: the new version is current, it logs in with all
/// privileges, and no password has leaked.
pub(super) async fn check<T: Server>(fixture: &Fixture<T>, token: &str) -> Result<()> {
    ensure!(
        fixture.version("AWSCURRENT")?.as_deref() == Some(token),
        "AWSCURRENT is not on the new version"
    );
    let mut session = fixture.log_in().await?;
    fixture
        .target
        .is_whole(&mut session, &fixture.user)
        .await
        .context("the user does not have all privileges")?;
    fixture.search_for_passwords("")
}

/// The service may repeat a step or a rotation at any time.
pub async fn repeated_steps_and_rotation_converge<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        let fixture = Fixture::rich(&target).await?;
        let function = fixture.function(strategy);
        let token = fixture.stage(None)?;
        for step in STEPS {
            fixture.step(&function, step, &token).await?;
            let again = fixture.step(&function, step, &token).await?;
            ensure!(!again.to_string().contains("password\":"), "{again}");
        }
        let rotation = fixture.attempt(&function, &token, 1).await;
        assert_eq!(rotation.failed, None);
        check(&fixture, &token).await?;
    }
    Ok(())
}

/// One test of the fault-injection matrix.
pub(super) struct Cell {
    /// The name of the test.
    #[cfg(test)]
    name: &'static str,
    /// The rotations into which faults are injected.
    rotations: Rotations,
    breaks: &'static [Break],
    then: Then,
}

/// The rotations into which a test injects faults.
pub(super) enum Rotations {
    /// A rotation with each of these strategies. With alternating users, it is the first one, which
    /// creates the alternate user.
    Of(&'static [&'static str]),
    /// The later rotations of alternating users, whose target is the base user and the alternate
    /// user in turn.
    Later,
}

impl Cell {
    async fn run<T: Server>(&self, target: &T) -> Result<()> {
        for what in self.breaks {
            match self.rotations {
                Rotations::Of(strategies) => {
                    for strategy in strategies {
                        inject_at_every_point(target, strategy, *what, self.then).await?;
                    }
                }
                Rotations::Later => {
                    inject_at_every_point_of_later_rotations(target, *what, self.then).await?
                }
            }
        }
        Ok(())
    }
}

const ALL: Rotations = Rotations::Of(&STRATEGIES);
const NOT_MASTER: Rotations = Rotations::Of(&[SINGLE, BY_MASTER]);
const ONLY_MASTER: Rotations = Rotations::Of(&[MASTER]);

/// A lost answer is the worst case: the effect has happened, and the function does not know.
const LOST_ANSWERS: &[Break] = &[Break::Call(When::After), Break::Packet(When::After)];

/// Defines the tests of the matrix, and lists them in `MATRIX`.
macro_rules! matrix {
    ($($(#[$doc:meta])* $name:ident: $rotations:expr, $breaks:expr, $then:ident;)*) => {
        /// Every test of the matrix.
        #[cfg(test)]
        pub(super) const MATRIX: &[Cell] = &[$(Cell {
            name: stringify!($name),
            rotations: $rotations,
            breaks: $breaks,
            then: Then::$then,
        }),*];

        $($(#[$doc])* pub async fn $name<T: Server>(target: T) -> Result<()> {
            const CELL: Cell = Cell {
                #[cfg(test)]
                name: stringify!($name),
                rotations: $rotations,
                breaks: $breaks,
                then: Then::$then,
            };
            CELL.run(&target).await
        })*
    };
}

matrix! {
    /// A call of Secrets Manager fails before it takes effect, or its answer is lost.
    failed_secrets_manager_call_converges:
        ALL, &[Break::Call(When::Before), Break::Call(When::After)], SameVersion;
    /// The process is killed (SIGKILL) before or after the effect of a call of Secrets Manager.
    sigkill_at_any_call_converges:
        ALL, &[Break::Kill(When::Before), Break::Kill(When::After)], SameVersion;
    /// The connection to the database is cut at a packet, before the packet reaches the server or
    /// with the server's answer lost.
    lost_packet_converges_single_user:
        Rotations::Of(&[SINGLE]),
        &[Break::Packet(When::Before), Break::Packet(When::After)], SameVersion;
    /// The connection is cut while the master user sets the password.
    lost_packet_converges_single_user_by_master:
        Rotations::Of(&[BY_MASTER]),
        &[Break::Packet(When::Before), Break::Packet(When::After)], SameVersion;
    /// With alternating users, a packet does not reach the server.
    lost_request_converges_alternating_users:
        ONLY_MASTER, &[Break::Packet(When::Before)], SameVersion;
    /// With alternating users, the server's answer is lost.
    lost_answer_converges_alternating_users:
        ONLY_MASTER, &[Break::Packet(When::After)], SameVersion;
    /// An answer is lost, and then the operator cancels the rotation and starts another one: the
    /// database may have a password that no staging label leads to.
    cancelled_then_new_rotation_converges_single_user:
        NOT_MASTER, LOST_ANSWERS, NewVersion;
    /// An answer is lost with alternating users, and then the operator cancels the rotation and
    /// starts another one.
    cancelled_then_new_rotation_converges_alternating_users:
        ONLY_MASTER, LOST_ANSWERS, NewVersion;
    /// An answer is lost, and then the steps come out of order, twice at once, and late.
    out_of_order_steps_converge_single_user:
        NOT_MASTER, LOST_ANSWERS, OutOfOrder;
    /// An answer is lost with alternating users, and then the steps come out of order, twice at
    /// once, and late.
    out_of_order_steps_converge_alternating_users:
        ONLY_MASTER, LOST_ANSWERS, OutOfOrder;
    /// In a later rotation of alternating users, an answer is lost, and the same version is
    /// retried.
    later_rotation_lost_answer_converges:
        Rotations::Later, LOST_ANSWERS, SameVersion;
    /// In a later rotation of alternating users, an answer is lost, and another rotation follows.
    later_rotation_cancelled_then_new_converges:
        Rotations::Later, LOST_ANSWERS, NewVersion;
    /// In a later rotation of alternating users, an answer is lost, and then the steps come out of
    /// order, twice at once, and late.
    later_rotation_out_of_order_steps_converge:
        Rotations::Later, LOST_ANSWERS, OutOfOrder;
}

/// `AWSCURRENT` was moved by hand to a value that the database never had.
pub async fn edited_password_recovers_from_awsprevious<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    fixture.change(&json!({"password": new_password()}))?;
    let function = fixture.function(SINGLE);
    let token = fixture.stage(None)?;
    let rotation = fixture.attempt(&function, &token, 1).await;
    assert_eq!(rotation.failed, None);
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(set.contains("AWSPREVIOUS"), "{set}");
    if target.log().is_some() {
        // Two passwords are rejected, each once.
        assert_eq!(fixture.failed_logins()?, 2);
    }
    check(&fixture, &token).await
}

/// AWS's own functions cannot recover from this state: the password was changed, and then
/// `AWSPENDING` was removed. No labelled version can log in.
pub async fn cancelled_rotation_recovers_from_deprecated_version<T: Server>(
    target: T,
) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function(SINGLE);
    fixture.rotate(&function).await?;
    let (cancelled, lost) = cancel_after_set_secret(&fixture, &function).await?;
    ensure!(fixture.log_in().await.is_err(), "the current password still works");

    let rotation = new_rotation(&fixture, &function).await?;
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(set.contains(&cancelled), "{set}");
    assert!(fixture.log_in_with(&lost).await.is_err(), "the lost password still works");
    Ok(())
}

/// Cancels a rotation after its password is in the database. Returns its version and its value.
async fn cancel_after_set_secret<T: Server>(
    fixture: &Fixture<T>,
    function: &Function,
) -> Result<(String, Value)> {
    let version = fixture.stage(None)?;
    for step in ["createSecret", "setSecret"] {
        fixture.step(function, step, &version).await?;
    }
    let value = fixture.value("AWSPENDING")?;
    fixture.give_up(&version)?;
    Ok((version, value))
}

/// Runs a rotation of a new version, which must succeed.
async fn new_rotation<T: Server>(fixture: &Fixture<T>, function: &Function) -> Result<Rotation> {
    let token = fixture.stage(None)?;
    let rotation = fixture.attempt(function, &token, 1).await;
    ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
    check(fixture, &token).await?;
    Ok(rotation)
}

/// The target is the base user, which must be proven to belong to the secret. Only a deprecated
/// version has its password.
pub async fn cancelled_rotation_of_base_user_recovers<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function(MASTER);
    fixture.rotate(&function).await?;
    cancel_after_set_secret(&fixture, &function).await?;
    fixture.log_in().await.context("logging in as the alternate user")?;
    new_rotation(&fixture, &function).await?;
    Ok(())
}

/// After the edit, `AWSPREVIOUS` is of the same user as `AWSCURRENT`.
pub async fn edited_secret_recovers_alternating_users<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function(MASTER);
    fixture.rotate(&function).await?;
    fixture.change(&json!({"note": "edited"}))?;
    new_rotation(&fixture, &function).await?;
    Ok(())
}

/// `AWSCURRENT` has a password that the database never had. `AWSPREVIOUS` is of the same user.
pub async fn edited_password_recovers_alternating_users<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function(MASTER);
    // The target is the alternate user in one pass and the base user in the other.
    for _ in 0..2 {
        fixture.rotate(&function).await?;
        fixture.change(&json!({"password": new_password()}))?;
        let rotation = new_rotation(&fixture, &function).await?;
        let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(set.contains("AWSPREVIOUS"), "{set}");
    }
    Ok(())
}

/// Both users have an earlier password, which only deprecated versions have.
pub async fn restored_database_recovers_alternating_users<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function(MASTER);
    let mut values = vec![fixture.value("AWSCURRENT")?];
    for _ in 0..4 {
        fixture.rotate(&function).await?;
        values.push(fixture.value("AWSCURRENT")?);
    }
    // The target is a different user in each pass.
    for _ in 0..2 {
        // The versions of two rotations ago are the newest deprecated versions of both users.
        for value in &values[values.len() - 4..values.len() - 2] {
            let text = |key: &str| value[key].as_str().unwrap_or_default();
            target.give_password(text("username"), text("password")).await?;
        }
        ensure!(fixture.log_in().await.is_err(), "the current password still works");
        fixture.check_and_clear_output()?;
        let rotation = new_rotation(&fixture, &function).await?;
        let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(set.contains("the database was restored"), "{set}");
        // One user rejects AWSCURRENT, the other one AWSPENDING and AWSPREVIOUS.
        ensure!(fixture.failed_logins()? <= 3, "{} failed logins", fixture.failed_logins()?);
        values.push(fixture.value("AWSCURRENT")?);
        fixture.rotate(&function).await?;
        values.push(fixture.value("AWSCURRENT")?);
        fixture.rotate(&function).await?;
        values.push(fixture.value("AWSCURRENT")?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::repository;

    /// The matrix covers every fault, every kind of rotation and every recovery. `make test`
    /// samples the points of each combination and leaves out none.
    #[test]
    fn matrix_has_every_fault_strategy_and_recovery() {
        let mut expected = BTreeSet::new();
        let before =
            [Break::Call(When::Before), Break::Kill(When::Before), Break::Packet(When::Before)];
        let after = [Break::Call(When::After), Break::Packet(When::After)];
        for rotation in [SINGLE, BY_MASTER, MASTER, "later"] {
            // A call without an effect leaves nothing for another version to find, so one recovery
            // is enough.
            let only_first = before.into_iter().chain([Break::Kill(When::After)]);
            for what in only_first.filter(|_| rotation != "later") {
                expected.insert(format!("{rotation} {what:?} {:?}", Then::SameVersion));
            }
            for what in after {
                for then in [Then::SameVersion, Then::NewVersion, Then::OutOfOrder] {
                    expected.insert(format!("{rotation} {what:?} {then:?}"));
                }
            }
        }
        let mut found = BTreeSet::new();
        for Cell { rotations, breaks, then, name } in MATRIX {
            let rotations = match rotations {
                Rotations::Of(strategies) => strategies,
                Rotations::Later => &["later"][..],
            };
            for rotation in rotations {
                for what in *breaks {
                    let is_new = found.insert(format!("{rotation} {what:?} {then:?}"));
                    assert!(is_new, "{name} repeats {rotation} {what:?} {then:?}");
                }
            }
        }
        assert_eq!(found, expected);
    }

    #[test]
    fn every_engine_runs_every_test_of_the_matrix() {
        let suite = include_str!("../suite.rs");
        for cell in MATRIX {
            let runs = suite.lines().any(|line| line.trim().trim_end_matches(';') == cell.name);
            assert!(runs, "{} is not in suite!", cell.name);
        }
        let tests = repository().join("tests/tests");
        for engine in ["postgres", "mysql", "sqlserver", "oracle"] {
            let main = std::fs::read_to_string(tests.join(engine).join("main.rs")).unwrap();
            assert!(main.contains("suite!"), "the tests of {engine} do not run the suite");
        }
    }
}
