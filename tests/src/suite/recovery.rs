//! Whatever dies, and whenever, a retry converges.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, ensure};
use rotation_local::{Fault, Function, ServiceError, When};
use serde_json::json;

use crate::scene::{Scene, new_password};
use crate::server::Server;

pub(super) const SINGLE: &str = "single-user";
pub(super) const MASTER: &str = "master-user";

/// The end that everything must come to.
pub(super) async fn check<T: Server>(scene: &Scene<T>, token: &str) -> Result<()> {
    ensure!(scene.version("AWSCURRENT")?.as_deref() == Some(token), "AWSCURRENT is not on the new version");
    let mut session = scene.log_in().await?;
    scene.target.is_whole(&mut session, &scene.user).await.context("the privileges are not whole")?;
    scene.search_for_passwords("")
}

/// The service may repeat what it asks for, at any time.
pub async fn every_step_twice_and_the_whole_rotation_again<T: Server>(target: T) -> Result<()> {
    for strategy in [SINGLE, MASTER] {
        let scene = Scene::rich(&target).await?;
        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            scene.step(&function, step, &token).await?;
            let again = scene.step(&function, step, &token).await?;
            ensure!(!again.to_string().contains("password\":"), "{again}");
        }
        let rotation = scene.attempt(&function, &token, 1).await;
        assert_eq!(rotation.failed, None);
        check(&scene, &token).await?;
    }
    Ok(())
}

/// Each call of Secrets Manager fails once: before it takes effect, or after, with its answer lost.
pub async fn every_call_of_secrets_manager_may_fail_single_user<T: Server>(target: T) -> Result<()> {
    calls_fail(target, SINGLE).await
}

/// The same for alternating users.
pub async fn every_call_of_secrets_manager_may_fail_alternating_users<T: Server>(target: T) -> Result<()> {
    calls_fail(target, MASTER).await
}

async fn calls_fail<T: Server>(target: T, strategy: &str) -> Result<()> {
    for when in [When::Before, When::After] {
        for point in 0.. {
            let scene = Scene::new(&target).await?;
            let function = scene.function(strategy);
            let token = scene.stage(None)?;
            let hit = fail_at(&scene, point, when);
            let first = scene.attempt(&function, &token, 1).await;
            scene.service.clear_fault();
            if !hit.load(Ordering::SeqCst) {
                assert_eq!(first.failed, None);
                println!("{strategy}: {point} calls, each failed once, {when:?} its effect");
                ensure!(point >= 12, "only {point} calls");
                break;
            }
            let second = scene.attempt(&function, &token, 1).await;
            ensure!(second.failed.is_none(), "{strategy}, {when:?} call {point}: {:?}", second.failed);
            check(&scene, &token).await.with_context(|| format!("{strategy}, {when:?} call {point}"))?;
        }
    }
    Ok(())
}

/// An error that the SDK does not repeat by itself.
fn fail_at<T: Server>(scene: &Scene<T>, point: usize, when: When) -> Arc<AtomicBool> {
    let hit = Arc::new(AtomicBool::new(false));
    let seen = hit.clone();
    scene.service.set_fault(move |number, _, asked| {
        (number == point && asked == when).then(|| {
            seen.store(true, Ordering::SeqCst);
            Fault::Refuse(ServiceError::new("InvalidRequestException", "a fault of this test"))
        })
    });
    hit
}

/// The process is killed (SIGKILL) at each call of Secrets Manager, before or after its effect.
pub async fn the_process_may_be_killed_at_every_call_single_user<T: Server>(target: T) -> Result<()> {
    kills(target, SINGLE).await
}

/// The same for alternating users.
pub async fn the_process_may_be_killed_at_every_call_alternating_users<T: Server>(target: T) -> Result<()> {
    kills(target, MASTER).await
}

async fn kills<T: Server>(target: T, strategy: &str) -> Result<()> {
    for when in [When::Before, When::After] {
        for point in 0.. {
            let scene = Scene::rich(&target).await?;
            let function = scene.function(strategy);
            let token = scene.stage(None)?;
            if !killed_at(&scene, &function, &token, point, when).await? {
                ensure!(point >= 12, "only {point} calls");
                break;
            }
            let second = scene.attempt(&function, &token, 1).await;
            ensure!(second.failed.is_none(), "{strategy}, killed {when:?} call {point}: {:?}", second.failed);
            check(&scene, &token).await.with_context(|| format!("{strategy}, {when:?} call {point}"))?;
        }
    }
    Ok(())
}

/// Runs a rotation whose function is killed at a call; `false` when there are not that many calls.
async fn killed_at<T: Server>(
    scene: &Scene<T>,
    function: &Function,
    token: &str,
    point: usize,
    when: When,
) -> Result<bool> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    scene.service.set_fault(move |number, _, asked| {
        (number == point && asked == when).then(|| {
            let _ = sender.send(());
            Fault::Hang
        })
    });
    let Function::Program(program) = function else { return Ok(false) };
    let rotation = scene.attempt(function, token, 1);
    tokio::pin!(rotation);
    let killed = tokio::select! {
        rotation = &mut rotation => {
            ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
            false
        }
        _ = receiver.recv() => true,
    };
    if killed {
        let id = program.process_id().context("no process")?.to_string();
        ensure!(std::process::Command::new("kill").args(["-KILL", &id]).status()?.success());
        let rotation = rotation.await;
        ensure!(rotation.failed.is_some(), "the process was not killed");
    }
    scene.service.clear_fault();
    Ok(killed)
}

/// The wire to the database is cut at each packet, before it reaches the server or with its answer lost.
pub async fn the_connection_may_break_at_every_packet_single_user<T: Server>(target: T) -> Result<()> {
    cuts(target, SINGLE).await
}

/// The same for alternating users.
pub async fn the_connection_may_break_at_every_packet_alternating_users<T: Server>(target: T) -> Result<()> {
    cuts(target, MASTER).await
}

async fn cuts<T: Server>(target: T, strategy: &str) -> Result<()> {
    for after in [false, true] {
        let points = cut_everywhere(&target, strategy, after, Then::SameVersion).await?;
        println!("{strategy}: {points} packets, each cut once, {}", if after { "after" } else { "before" });
        ensure!(points >= 8, "only {points} packets");
    }
    Ok(())
}

/// The same, and then somebody gives the rotation up and begins another: with its answer lost, the password may be one that
/// no label leads to.
pub async fn a_rotation_given_up_at_any_packet_is_followed_by_another_single_user<T: Server>(
    target: T,
) -> Result<()> {
    given_up(target, SINGLE).await
}

/// The same for alternating users.
pub async fn a_rotation_given_up_at_any_packet_is_followed_by_another_alternating_users<T: Server>(
    target: T,
) -> Result<()> {
    given_up(target, MASTER).await
}

async fn given_up<T: Server>(target: T, strategy: &str) -> Result<()> {
    let points = cut_everywhere(&target, strategy, true, Then::NewVersion).await?;
    println!("{strategy}: {points} packets, given up after each");
    ensure!(points >= 8, "only {points} packets");
    Ok(())
}

/// How a rotation goes on that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    /// As the service goes on.
    SameVersion,
    /// As a person may: `CancelRotateSecret`, `AWSPENDING` removed, another rotation.
    NewVersion,
}

async fn cut_everywhere<T: Server>(target: &T, strategy: &str, after: bool, then: Then) -> Result<usize> {
    for point in 0.. {
        let scene = Scene::rich(target).await?;
        let cutter = scene.behind_a_relay().await?;
        let function = scene.function(strategy);
        let mut token = scene.stage(None)?;
        cutter.cut(point, after);
        let first = scene.attempt(&function, &token, 1).await;
        if !cutter.heal() {
            ensure!(first.failed.is_none(), "{:?}", first.failed);
            return Ok(point);
        }
        if then == Then::NewVersion && scene.version("AWSCURRENT")?.as_ref() != Some(&token) {
            scene.give_up(&token)?;
            token = scene.stage(None)?;
        }
        let second = scene.attempt(&function, &token, 1).await;
        ensure!(second.failed.is_none(), "{strategy}, cut at {point}, after {after}: {:?}", second.failed);
        check(&scene, &token).await.with_context(|| format!("{strategy}, cut at {point}, after {after}"))?;
    }
    Ok(0)
}

/// `AWSCURRENT` was moved by hand to a value that the database never had.
pub async fn single_user_recovers_with_the_previous_password<T: Server>(target: T) -> Result<()> {
    let scene = Scene::new(&target).await?;
    scene.change(&json!({"password": new_password()}))?;
    let function = scene.function(SINGLE);
    let token = scene.stage(None)?;
    let rotation = scene.attempt(&function, &token, 1).await;
    assert_eq!(rotation.failed, None);
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(set.contains("AWSPREVIOUS"), "{set}");
    if target.log().is_some() {
        // One attempt with each password that was refused.
        assert_eq!(scene.failed_logins()?, 2);
    }
    check(&scene, &token).await
}

/// The dead end of AWS's own functions: the password was changed, and then `AWSPENDING` removed. Nothing with a label
/// logs in any more.
pub async fn single_user_recovers_from_a_rotation_that_was_given_up<T: Server>(target: T) -> Result<()> {
    let scene = Scene::new(&target).await?;
    let function = scene.function(SINGLE);
    scene.rotate(&function).await?;
    let given_up = scene.stage(None)?;
    for step in ["createSecret", "setSecret"] {
        scene.step(&function, step, &given_up).await?;
    }
    let lost = scene.value("AWSPENDING")?;
    scene.give_up(&given_up)?;
    ensure!(scene.log_in().await.is_err(), "the current password still works");

    let token = scene.stage(None)?;
    let rotation = scene.attempt(&function, &token, 1).await;
    ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    assert!(set.contains(&given_up), "{set}");
    assert!(scene.log_in_with(&lost).await.is_err(), "the lost password still works");
    check(&scene, &token).await
}
