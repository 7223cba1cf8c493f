//! Whatever dies, and whenever, a retry converges.

use anyhow::{Context, Result, ensure};
use rotation_local::{Fault, Function, ServiceError, When};
use rotation_postgres::identifier;
use rotation_tests::postgres::{Scene, Target, on_each, sql};
use rotation_tests::relay::Cutter;
use rotation_tests::scene::new_password;
use serde_json::json;

const STRATEGIES: [&str; 2] = ["single-user", "master-user"];

/// The end that everything must come to.
async fn check(scene: &Scene, token: &str) -> Result<()> {
    let described = scene.service.perform("DescribeSecret", &json!({"SecretId": "test/secret"}))?;
    let labels = described["VersionIdsToStages"][token].to_string();
    ensure!(labels.contains("AWSCURRENT"), "AWSCURRENT is not on the new version: {labels}");
    let mut session = scene.log_in().await?;
    let acts_as: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut session).await?;
    ensure!(acts_as == scene.user, "acts as {acts_as}");
    scene.search_for_passwords("")
}

#[tokio::test]
async fn every_step_twice_and_the_whole_rotation_again() {
    on_each(|target| async move {
        for strategy in STRATEGIES {
            let scene = Scene::new(&target).await?;
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
    })
    .await;
}

/// Each call of Secrets Manager fails once: before it takes effect, or after, with its answer lost.
#[tokio::test]
async fn every_call_of_secrets_manager_may_fail_single_user() {
    on_each(|target| every_call_of_secrets_manager_may_fail(target, "single-user")).await;
}

#[tokio::test]
async fn every_call_of_secrets_manager_may_fail_alternating_users() {
    on_each(|target| every_call_of_secrets_manager_may_fail(target, "master-user")).await;
}

async fn every_call_of_secrets_manager_may_fail(target: Target, strategy: &str) -> Result<()> {
    for when in [When::Before, When::After] {
        let mut point = 0;
        loop {
            let scene = Scene::new(&target).await?;
            let function = scene.function(strategy);
            let token = scene.stage(None)?;
            let hit = fail_at(&scene, point, when);
            let first = scene.attempt(&function, &token, 1).await;
            scene.service.clear_fault();
            if !hit.load(std::sync::atomic::Ordering::SeqCst) {
                assert_eq!(first.failed, None);
                break;
            }
            let second = scene.attempt(&function, &token, 1).await;
            ensure!(second.failed.is_none(), "{strategy}, {when:?} call {point}: {:?}", second.failed);
            check(&scene, &token).await.with_context(|| format!("{strategy}, {when:?} call {point}"))?;
            point += 1;
        }
        println!("{strategy}: {point} calls, each failed once, {when:?} its effect");
        ensure!(point >= 12, "only {point} calls");
    }
    Ok(())
}

/// An error that the SDK does not repeat by itself.
fn fail_at(scene: &Scene, point: usize, when: When) -> std::sync::Arc<std::sync::atomic::AtomicBool> {
    let hit = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = hit.clone();
    scene.service.set_fault(move |number, _, asked| {
        (number == point && asked == when).then(|| {
            seen.store(true, std::sync::atomic::Ordering::SeqCst);
            Fault::Refuse(ServiceError::new("InvalidRequestException", "a fault of this test"))
        })
    });
    hit
}

/// The process is killed (SIGKILL) at each call of Secrets Manager, before or after its effect.
#[tokio::test]
async fn the_process_may_be_killed_at_every_call_single_user() {
    on_each(|target| the_process_may_be_killed_at_every_call(target, "single-user")).await;
}

#[tokio::test]
async fn the_process_may_be_killed_at_every_call_alternating_users() {
    on_each(|target| the_process_may_be_killed_at_every_call(target, "master-user")).await;
}

async fn the_process_may_be_killed_at_every_call(target: Target, strategy: &str) -> Result<()> {
    for when in [When::Before, When::After] {
        for point in 0.. {
            let scene = Scene::new(&target).await?;
            let function = scene.function(strategy);
            let token = scene.stage(None)?;
            let Some(()) = killed_at(&scene, &function, &token, point, when).await? else {
                ensure!(point >= 12, "only {point} calls");
                break;
            };
            let second = scene.attempt(&function, &token, 1).await;
            ensure!(second.failed.is_none(), "{strategy}, killed {when:?} call {point}: {:?}", second.failed);
            check(&scene, &token).await.with_context(|| format!("{strategy}, {when:?} call {point}"))?;
        }
    }
    Ok(())
}

/// Runs a rotation whose function is killed at a call; `None` when there are not that many calls.
async fn killed_at(
    scene: &Scene,
    function: &Function,
    token: &str,
    point: usize,
    when: When,
) -> Result<Option<()>> {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    scene.service.set_fault(move |number, _, asked| {
        (number == point && asked == when).then(|| {
            let _ = sender.send(());
            Fault::Hang
        })
    });
    let Function::Program(program) = function else { return Ok(None) };
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
    Ok(killed.then_some(()))
}

/// The wire to the database is cut at each packet, before it reaches the server or with its answer lost.
#[tokio::test]
async fn the_connection_to_the_database_may_break_at_every_packet_single_user() {
    on_each(|target| the_connection_may_break(target, "single-user")).await;
}

#[tokio::test]
async fn the_connection_to_the_database_may_break_at_every_packet_alternating_users() {
    on_each(|target| the_connection_may_break(target, "master-user")).await;
}

async fn the_connection_may_break(target: Target, strategy: &str) -> Result<()> {
    for after in [false, true] {
        let points = cut_everywhere(&target, strategy, after).await?;
        println!("{strategy}: {points} packets, each cut once, {}", if after { "after" } else { "before" });
        ensure!(points >= 10, "only {points} packets");
    }
    Ok(())
}

async fn cut_everywhere(target: &Target, strategy: &str, after: bool) -> Result<usize> {
    for point in 0.. {
        let scene = Scene::new(target).await?;
        let cutter = Cutter::start(target.host.clone(), target.port).await?;
        // The same server under another port, for the secret and its master.
        let change = json!({"port": cutter.address.port(), "host": "localhost"});
        scene.change(&change)?;
        scene.change_master(&change)?;

        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        cutter.cut(point, after);
        let first = scene.attempt(&function, &token, 1).await;
        if !cutter.heal() {
            ensure!(first.failed.is_none(), "{:?}", first.failed);
            return Ok(point);
        }
        let second = scene.attempt(&function, &token, 1).await;
        ensure!(second.failed.is_none(), "{strategy}, cut at {point}, after {after}: {:?}", second.failed);
        check(&scene, &token).await.with_context(|| format!("{strategy}, cut at {point}, after {after}"))?;
    }
    Ok(0)
}

/// `AWSCURRENT` was moved by hand to a value that the database never had.
#[tokio::test]
async fn single_user_recovers_with_the_previous_password() {
    on_each(|target| async move {
        let scene = Scene::new(&target).await?;
        scene.change(&json!({"password": new_password()}))?;
        let function = scene.function("single-user");
        let token = scene.stage(None)?;
        let rotation = scene.attempt(&function, &token, 1).await;
        assert_eq!(rotation.failed, None);
        assert!(
            rotation.steps[1].result.as_ref().is_ok_and(|record| record.to_string().contains("AWSPREVIOUS"))
        );
        if target.log.is_some() {
            // One attempt with each password that was refused.
            assert_eq!(scene.failed_logins()?, 2);
        }
        check(&scene, &token).await
    })
    .await;
}

/// The role's own settings must not keep it from changing its password.
#[tokio::test]
async fn settings_of_the_role_do_not_stand_in_the_way() {
    on_each(|target| async move {
        let scene = Scene::new(&target).await?;
        let user = identifier(&scene.user);
        let owner = identifier(&format!("owner_of_{}", scene.user));
        let mut admin = scene.admin().await?;
        for statement in [
            format!("CREATE ROLE {owner}"),
            format!("GRANT {owner} TO {user}"),
            format!("ALTER ROLE {user} SET role = {owner}"),
            format!("ALTER ROLE {user} SET default_transaction_read_only = on"),
            format!("ALTER ROLE {user} SET standard_conforming_strings = off"),
            format!("ALTER ROLE {user} SET statement_timeout = '1h'"),
            format!("ALTER ROLE {user} SET search_path = nowhere"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        for strategy in ["single-user", "master-user", "single-user", "master-user"] {
            scene.rotate(&scene.function(strategy)).await.context(strategy)?;
            let mut session = scene.log_in().await?;
            let acts_as: String =
                sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut session).await?;
            assert_eq!(identifier(&acts_as), owner, "{strategy}");
        }
        assert_eq!(scene.failed_logins()?, 0);
        Ok(())
    })
    .await;
}

/// A change that was acknowledged is on disk, whatever the role's sessions are content with.
#[tokio::test]
async fn an_acknowledged_change_survives_a_crash_of_the_server() {
    on_each(|target| async move {
        let mut options = rotation_tests::postgres::options()?;
        options.configuration = "fsync = on\nwal_writer_delay = 10s\nsynchronous_commit = off\n".into();
        let Some((mut server, lazy)) = target.another(options)? else { return Ok(()) };
        let scene = Scene::new(&lazy).await?;
        sql(&mut lazy.admin("postgres").await?, "CHECKPOINT").await?;
        scene.rotate(&scene.function("single-user")).await?;
        server.crash_and_restart()?;
        scene.log_in().await?;
        Ok(())
    })
    .await;
}
