//! Tests of steps that come twice, late or in the wrong order, and of the last check before
//! promotion.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::local::until;
use crate::scene::{Fixture, SECRET_ARN, new_password};
use crate::server::Server;
use crate::suite::recovery::{MASTER, STEPS, STRATEGIES, check};

/// Repeats each earlier step after each later one.
pub async fn late_duplicates_of_earlier_steps_do_no_harm<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        let scene = Fixture::rich(&target).await?;
        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        for (at, step) in STEPS.iter().enumerate() {
            scene.step(&function, step, &token).await?;
            for earlier in &STEPS[..=at] {
                scene
                    .step(&function, earlier, &token)
                    .await
                    .with_context(|| format!("{earlier} after {step}"))?;
            }
        }
        check(&scene, &token).await?;
        // With a single user, a repeated `setSecret` first tries the current password, which its
        // first run has replaced. This happens twice: after `setSecret` and after `testSecret`.
        let most = if strategy == MASTER { 0 } else { 2 };
        ensure!(scene.failed_logins()? <= most, "{} failed logins", scene.failed_logins()?);
    }
    Ok(())
}

/// A step that comes before its predecessors fails and changes nothing. The rotation then succeeds.
pub async fn steps_out_of_order_are_refused_and_the_rotation_goes_on<T: Server>(
    target: T,
) -> Result<()> {
    for strategy in STRATEGIES {
        for (done, too_early) in [
            (0, ["setSecret", "testSecret", "finishSecret"].as_slice()),
            // The database does not have the pending password yet. If it were promoted, every
            // application would be locked out.
            (1, &["finishSecret"]),
            (1, &["testSecret"]),
        ] {
            let scene = Fixture::rich(&target).await?;
            let function = scene.function(strategy);
            let (token, before) = (scene.stage(None)?, scene.version("AWSCURRENT")?);
            for step in &STEPS[..done] {
                scene.step(&function, step, &token).await?;
            }
            for step in too_early {
                let refused = scene.step(&function, step, &token).await;
                ensure!(refused.is_err(), "{strategy}: {step} after {done} steps was not refused");
                ensure!(scene.version("AWSCURRENT")? == before, "{step} has moved AWSCURRENT");
                scene.log_in().await?;
            }
            ensure!(scene.failed_logins()? <= 3, "{} failed logins", scene.failed_logins()?);
            let rotation = scene.attempt(&function, &token, 1).await;
            ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
            check(&scene, &token).await?;
        }
    }
    Ok(())
}

/// Two processes run each step at the same time. If one of them fails, a retry converges.
pub async fn each_step_may_run_twice_at_once<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        let scene = Fixture::rich(&target).await?;
        let (one, other) = (scene.function(strategy), scene.function(strategy));
        for _ in 0..3 {
            let token = scene.stage(None)?;
            for step in STEPS {
                let (first, second) =
                    tokio::join!(scene.step(&one, step, &token), scene.step(&other, step, &token));
                ensure!(
                    first.is_ok() || second.is_ok(),
                    "{strategy}: both failed: {first:?} {second:?}"
                );
                scene
                    .step(&one, step, &token)
                    .await
                    .with_context(|| format!("{strategy}: {step} again"))?;
            }
            check(&scene, &token).await?;
        }
    }
    Ok(())
}

/// The privileges of the alternate user change between `setSecret` and `testSecret`.
pub async fn what_the_alternate_user_lacks_is_named_by_test_secret<T: Server>(
    target: T,
) -> Result<()> {
    let scene = Fixture::rich(&target).await?;
    let function = scene.function(MASTER);
    // After two rotations, versions of the secret prove that the alternate user belongs to it.
    for _ in 0..2 {
        scene.rotate(&function).await?;
    }
    let token = scene.stage(None)?;
    scene.step(&function, STEPS[0], &token).await?;
    scene.step(&function, STEPS[1], &token).await?;
    for part in target.impair(&scene.alternate(), &scene.database).await? {
        let refused = scene.step(&function, "testSecret", &token).await;
        let refused = format!("{:#}", refused.err().context("testSecret found no difference")?);
        ensure!(
            refused.starts_with("UsersDiffer") && refused.contains(part),
            "{part:?} is not in: {refused}"
        );
        scene.search_for_passwords(&refused)?;
    }
    let rotation = scene.attempt(&function, &token, 1).await;
    ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
    check(&scene, &token).await?;

    // If the base user is the target user, there is nothing to compare. If the master user cannot
    // log in, the step reports only a note.
    let token = scene.stage(None)?;
    scene.step(&function, STEPS[0], &token).await?;
    scene.step(&function, STEPS[1], &token).await?;
    target.impair(&scene.alternate(), &scene.database).await?;
    scene.step(&function, STEPS[2], &token).await?;
    scene.step(&function, STEPS[3], &token).await?;
    let token = scene.stage(None)?;
    scene.step(&function, STEPS[0], &token).await?;
    scene.step(&function, STEPS[1], &token).await?;
    scene.change_master(&json!({"password": new_password()}))?;
    let record = scene.step(&function, STEPS[2], &token).await?;
    ensure!(record["notes"].to_string().contains("was not compared"), "{record}");
    Ok(())
}

/// If rotation is turned on without rotating immediately, Secrets Manager runs `testSecret` on a
/// copy of `AWSCURRENT`, before any `setSecret` has synced the users.
pub async fn test_secret_alone_reports_differences_as_notes<T: Server>(target: T) -> Result<()> {
    let scene = Fixture::rich(&target).await?;
    let function = scene.function(MASTER);
    scene.rotate(&function).await?;
    let parts = target.impair(&scene.alternate(), &scene.database).await?;
    let token = scene.stage(None)?;
    let request = json!({
        "SecretId": SECRET_ARN,
        "SecretString": scene.value("AWSCURRENT")?.to_string(),
        "ClientRequestToken": token,
        "VersionStages": ["AWSPENDING"],
    });
    scene.service.perform("PutSecretValue", &request)?;
    let record = scene.step(&function, "testSecret", &token).await?;
    let notes = record["notes"].to_string();
    for part in parts {
        ensure!(notes.contains(part), "{part:?} is not in: {record}");
    }
    ensure!(notes.contains("The next rotation changes this"), "{record}");
    scene.search_for_passwords(&record.to_string())?;
    // The next rotation syncs the alternate user.
    scene.give_up(&token)?;
    for _ in 0..2 {
        scene.rotate(&function).await?;
        scene.log_in().await?;
    }
    Ok(())
}

/// An administrator changes the user's password after `testSecret`, in one case while
/// `finishSecret` reads the versions. The tested password is not promoted.
pub async fn a_password_that_the_database_refuses_is_not_promoted<T: Server>(
    target: T,
) -> Result<()> {
    let cases = STRATEGIES.into_iter().flat_map(|strategy| [(strategy, true), (strategy, false)]);
    for (strategy, while_reading) in cases {
        let scene = Fixture::new(&target).await?;
        let function = scene.function(strategy);
        let (token, before) = (scene.stage(None)?, scene.version("AWSCURRENT")?);
        for step in &STEPS[..3] {
            scene.step(&function, step, &token).await?;
        }
        let pending = scene.value("AWSPENDING")?;
        let text = |key: &str| pending[key].as_str().unwrap_or_default().to_owned();
        let (user, another) = (text("username"), new_password());
        let change = target.give_password(&user, &another);
        let finish = scene.step(&function, "finishSecret", &token);
        let refused = if while_reading {
            scene.service.hold_calls();
            let change = async {
                let held = async || Ok((scene.service.held_calls() > 0).then_some(()));
                until("finishSecret calls Secrets Manager", held).await?;
                let changed = change.await;
                scene.service.release_calls();
                changed
            };
            let (changed, refused) = tokio::join!(change, finish);
            changed?;
            refused
        } else {
            change.await?;
            finish.await
        };
        let refused = format!("{:#}", refused.err().context("it was promoted")?);
        ensure!(refused.starts_with("CredentialsRefused"), "{refused}");
        ensure!(scene.version("AWSCURRENT")? == before, "AWSCURRENT has moved");
        scene.search_for_passwords(&refused)?;

        target.give_password(&text("username"), &text("password")).await?;
        let rotation = scene.attempt(&function, &token, 1).await;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        check(&scene, &token).await?;
    }
    Ok(())
}

/// `AWSCURRENT` is edited after `testSecret`. A note reports the keys that promotion reverts. If
/// the edit names another server, promotion is rejected.
pub async fn an_edit_after_test_secret_is_told_or_keeps_the_password_from_promotion<T: Server>(
    target: T,
) -> Result<()> {
    for strategy in STRATEGIES {
        let scene = Fixture::new(&target).await?;
        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        for step in &STEPS[..3] {
            scene.step(&function, step, &token).await?;
        }
        let before = scene.value("AWSCURRENT")?;
        scene.change(&json!({"host": "db.example.com"}))?;
        let edited = scene.version("AWSCURRENT")?;
        let refused = scene.step(&function, "finishSecret", &token).await;
        let refused = format!("{:#}", refused.err().context("it was promoted")?);
        ensure!(refused.starts_with("HostMismatch"), "{refused}");
        ensure!(scene.version("AWSCURRENT")? == edited, "AWSCURRENT has moved");

        scene.store(&before)?;
        // The password of the edited version no longer works, so the other edited keys must not
        // block the promotion of the tested password.
        let ssl = target.authority().is_some().then_some(true);
        scene.change(&json!({"note": "of somebody", "ssl": ssl}))?;
        let record = scene.step(&function, "finishSecret", &token).await?;
        let notes = record["notes"].to_string();
        ensure!(notes.contains("note") && notes.contains("edited during the rotation"), "{record}");
        check(&scene, &token).await?;
    }
    Ok(())
}

/// The database cannot be reached after `testSecret`. The tested password is promoted, because it
/// may be the only one that works.
pub async fn a_database_that_is_gone_does_not_keep_a_tested_password_from_promotion<T: Server>(
    target: T,
) -> Result<()> {
    for strategy in STRATEGIES {
        let scene = Fixture::new(&target).await?;
        let cutter = scene.behind_a_relay().await?;
        let function = scene.function(strategy);
        let token = scene.stage(None)?;
        for step in &STEPS[..3] {
            scene.step(&function, step, &token).await?;
        }
        cutter.close();
        let record = scene.step(&function, "finishSecret", &token).await?;
        let notes = record["notes"].to_string();
        ensure!(notes.contains("could not be asked once more"), "{record}");
        check(&scene, &token).await?;
    }
    Ok(())
}
