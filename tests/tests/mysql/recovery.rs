//! Whatever dies, and whenever, a retry converges.

use anyhow::{Context, Result, ensure};
use rotation_local::{Fault, ServiceError, When};
use rotation_tests::mysql::{Scene, Target, Which, account, sql};
use rotation_tests::relay::Cutter;
use serde_json::json;

crate::on_both! {
    every_step_twice_and_the_whole_rotation_again
    every_call_of_secrets_manager_may_fail
    the_connection_may_break_at_every_packet
    settings_of_the_server_do_not_stand_in_the_way
}

/// The end that everything must come to.
async fn check<W: Which>(scene: &Scene<W>, token: &str) -> Result<()> {
    ensure!(scene.version("AWSCURRENT")?.as_deref() == Some(token), "AWSCURRENT is not on the new version");
    let mut session = scene.log_in().await?;
    sql(&mut session, "SELECT * FROM present").await.context("the privileges are not whole")?;
    scene.search_for_passwords("")
}

async fn scene<W: Which>(target: &Target<W>) -> Result<Scene<W>> {
    let scene = Scene::new(target).await?;
    sql(&mut target.admin().await?, &format!("CREATE TABLE {}.present (a int)", scene.database)).await?;
    Ok(scene)
}

async fn every_step_twice_and_the_whole_rotation_again<W: Which>(target: Target<W>) -> Result<()> {
    for strategy in ["single-user", "master-user"] {
        let scene = scene(&target).await?;
        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            scene.step(&function, step, &token).await?;
            scene.step(&function, step, &token).await?;
        }
        let rotation = scene.attempt(&function, &token, 1).await;
        assert_eq!(rotation.failed, None);
        check(&scene, &token).await?;
    }
    Ok(())
}

async fn every_call_of_secrets_manager_may_fail<W: Which>(target: Target<W>) -> Result<()> {
    for strategy in ["single-user", "master-user"] {
        for when in [When::Before, When::After] {
            for point in 0.. {
                let scene = scene(&target).await?;
                let function = scene.function(strategy);
                let token = scene.stage(None)?;
                scene.service.set_fault(move |number, _, asked| {
                    (number == point && asked == when).then(|| {
                        Fault::Refuse(ServiceError::new("InvalidRequestException", "a fault of this test"))
                    })
                });
                let first = scene.attempt(&function, &token, 1).await;
                scene.service.clear_fault();
                let at = || format!("{strategy}, {when:?} call {point}");
                if first.failed.is_none() && scene.service.calls().len() <= point {
                    ensure!(point >= 12, "only {point} calls");
                    break;
                }
                let second = scene.attempt(&function, &token, 1).await;
                ensure!(second.failed.is_none(), "{}: {:?}", at(), second.failed);
                check(&scene, &token).await.with_context(at)?;
            }
        }
    }
    Ok(())
}

async fn the_connection_may_break_at_every_packet<W: Which>(target: Target<W>) -> Result<()> {
    for strategy in ["single-user", "master-user"] {
        for after in [false, true] {
            let mut points = 0;
            for point in 0.. {
                points = point;
                let scene = scene(&target).await?;
                let cutter = Cutter::start(target.address.host.clone(), target.address.port).await?;
                let place = json!({"port": cutter.address.port(), "host": "localhost"});
                scene.change(&place)?;
                scene.change_master(&place)?;
                let function = scene.function(strategy);
                let token = scene.stage(None)?;
                cutter.cut(point, after);
                let first = scene.attempt(&function, &token, 1).await;
                if !cutter.heal() {
                    ensure!(first.failed.is_none(), "{:?}", first.failed);
                    break;
                }
                let at = || format!("{strategy}, cut at {point}, after: {after}");
                let second = scene.attempt(&function, &token, 1).await;
                ensure!(second.failed.is_none(), "{}: {:?}", at(), second.failed);
                check(&scene, &token).await.with_context(at)?;
            }
            println!("{strategy}: {points} packets, each cut once, after: {after}");
            ensure!(points >= 8, "only {points} packets");
        }
    }
    Ok(())
}

/// How a server reads literals is its own affair.
async fn settings_of_the_server_do_not_stand_in_the_way<W: Which>(target: Target<W>) -> Result<()> {
    let mut options = rotation_tests::mysql::options()?;
    options.arguments = vec!["--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES".into()];
    let Some((_server, other)) = target.another(options).await? else { return Ok(()) };
    let scene = Scene::new(&other).await?;
    let grant = format!("GRANT DELETE ON {}.* TO {}", scene.database, account(&scene.user));
    sql(&mut other.admin().await?, &grant).await?;
    for strategy in ["single-user", "master-user", "master-user"] {
        let function =
            scene.program(strategy).env("EXCLUDE_CHARACTERS", " ").env("PASSWORD_LENGTH", "120").into();
        scene.rotate(&function).await?;
        scene.log_in().await?;
    }
    scene.search_for_passwords("")
}
