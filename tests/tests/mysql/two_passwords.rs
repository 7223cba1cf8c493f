//! Tests of `KEEP_PREVIOUS_PASSWORD` on MySQL: no login of a client that has the old password
//! fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use rotation_local::Function;
use rotation_tests::mysql::{Fixture, MySql, Target, account, on_each, sql};
use rotation_tests::scene::SECRET_ARN;
use serde_json::{Value, json};

async fn scene(target: &Target<MySql>) -> Result<Fixture<MySql>> {
    let scene = Fixture::new(target).await?;
    let grant = format!("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}", account(&scene.user));
    sql(&mut target.admin().await?, &grant).await?;
    Ok(scene)
}

fn function(scene: &Fixture<MySql>) -> Function {
    scene.program("single-user").env("KEEP_PREVIOUS_PASSWORD", "true").into()
}

#[tokio::test]
async fn a_client_with_the_old_password_logs_in_all_through_a_rotation() {
    on_each::<MySql, _>(|target| async move {
        let scene = Arc::new(scene(&target).await?);
        let function = function(&scene);
        let old = scene.value("AWSCURRENT")?;
        let stop = Arc::new(AtomicBool::new(false));
        let logins = Arc::new(AtomicUsize::new(0));
        let client = {
            let (scene, old, stop, logins) =
                (scene.clone(), old.clone(), stop.clone(), logins.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    scene.log_in_with(&old).await?;
                    logins.fetch_add(1, Ordering::SeqCst);
                }
                anyhow::Ok(())
            })
        };
        scene.rotate(&function).await?;
        scene.log_in().await?;
        stop.store(true, Ordering::SeqCst);
        client.await??;
        let logins = logins.load(Ordering::SeqCst);
        println!("{logins} logins");
        ensure!(logins >= 3, "only {logins} logins");
        scene.log_in_with(&old).await?;
        assert_eq!(scene.failed_logins()?, 0);
        // The old password works until the next rotation.
        scene.rotate(&function).await?;
        scene.log_in().await?;
        scene.log_in_with(&scene.value("AWSPREVIOUS")?).await?;
        assert!(
            scene.log_in_with(&old).await.is_err(),
            "the password before the previous one still works"
        );
        scene.search_for_passwords("")
    })
    .await;
}

/// A second `RETAIN CURRENT PASSWORD` would discard the old password.
#[tokio::test]
async fn set_secret_twice_keeps_the_old_password() {
    on_each::<MySql, _>(|target| async move {
        for history in
            ["PASSWORD HISTORY DEFAULT", "PASSWORD HISTORY 5", "PASSWORD REQUIRE CURRENT"]
        {
            let scene = scene(&target).await?;
            let statement = format!("ALTER USER {} {history}", account(&scene.user));
            sql(&mut target.admin().await?, &statement).await?;
            let function = function(&scene);
            for _ in 0..2 {
                let old = scene.value("AWSCURRENT")?;
                let token = scene.stage(None)?;
                scene.step(&function, "createSecret", &token).await?;
                let first = scene.step(&function, "setSecret", &token).await?;
                assert_eq!(first["outcome"], "done", "{first}");
                let again = scene.step(&function, "setSecret", &token).await?;
                assert_eq!(again["outcome"], "already_done", "{again}");
                scene.log_in_with(&old).await?;
                assert_eq!(scene.attempt(&function, &token, 1).await.failed, None);
                scene.log_in().await?;
                scene.log_in_with(&old).await?;
            }
            assert_eq!(scene.failed_logins()?, 0);
            scene.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn wherever_the_connection_breaks_the_old_password_works() {
    on_each::<MySql, _>(|target| async move {
        for after in [false, true] {
            for point in 0.. {
                let scene = scene(&target).await?;
                let old = scene.value("AWSCURRENT")?;
                let cutter = scene.behind_a_relay().await?;
                let function = function(&scene);
                let token = scene.stage(None)?;
                cutter.cut(point, after);
                let first = scene.attempt(&function, &token, 1).await;
                scene.log_in_with(&old).await?;
                if !cutter.heal() {
                    assert_eq!(first.failed, None);
                    ensure!(point >= 8, "only {point} packets");
                    break;
                }
                let second = scene.attempt(&function, &token, 1).await;
                ensure!(
                    second.failed.is_none(),
                    "cut at {point}, after {after}: {:?}",
                    second.failed
                );
                scene.log_in_with(&old).await?;
                scene.log_in().await?;
            }
        }
        Ok(())
    })
    .await;
}

/// The password of the cancelled rotation has become the primary one, and no labelled version has
/// it.
#[tokio::test]
async fn a_rotation_that_was_given_up_does_not_cost_the_current_password() {
    on_each::<MySql, _>(|target| async move {
        for (policy, old_works) in [("DEFAULT", true), ("HISTORY", false)] {
            let scene = scene(&target).await?;
            let function = function(&scene);
            let old = scene.value("AWSCURRENT")?;
            if !old_works {
                let statement = format!("ALTER USER {} PASSWORD HISTORY 5", account(&scene.user));
                sql(&mut target.admin().await?, &statement).await?;
                // After this rotation, the server's history also contains the current password.
                scene.rotate(&function).await?;
            }
            let old = if old_works { old } else { scene.value("AWSCURRENT")? };
            let given_up = scene.stage(None)?;
            for step in ["createSecret", "setSecret"] {
                scene.step(&function, step, &given_up).await?;
            }
            scene.value("AWSPENDING")?;
            let request = json!({
                "SecretId": SECRET_ARN,
                "VersionStage": "AWSPENDING",
                "RemoveFromVersionId": given_up,
            });
            scene.service.perform("UpdateSecretVersionStage", &request)?;

            let rotation = scene.rotate(&function).await?;
            scene.log_in().await?;
            assert_eq!(scene.log_in_with(&old).await.is_ok(), old_works, "{policy}");
            let set = rotation.steps[1].result.as_ref().map(Value::to_string).unwrap_or_default();
            assert_eq!(set.contains("no longer works"), !old_works, "{set}");
            scene.search_for_passwords(&set)?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn the_privilege_for_it_is_named_when_it_is_missing() {
    on_each::<MySql, _>(|target| async move {
        let scene = Fixture::new(&target).await?;
        let error = scene
            .expect(&function(&scene), "PrivilegeMissing", "GRANT APPLICATION_PASSWORD_ADMIN")
            .await?;
        assert!(error.message.contains("KEEP_PREVIOUS_PASSWORD"), "{}", error.message);
        scene.log_in().await?;
        Ok(())
    })
    .await;
}
