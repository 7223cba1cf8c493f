//! Tests of steps that come twice, late or in the wrong order, and of the last check before
//! promotion.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::fixture::{Fixture, SECRET_ARN, new_password};
use crate::local::until;
use crate::server::Server;
use crate::suite::recovery::{MASTER, STEPS, STRATEGIES, check};

/// Repeats each earlier step after each later one.
pub async fn late_duplicate_steps_change_nothing<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        let fixture = Fixture::rich(&target).await?;
        let function = fixture.function(strategy);
        let token = fixture.stage(None)?;
        for (at, step) in STEPS.iter().enumerate() {
            fixture.step(&function, step, &token).await?;
            for earlier in &STEPS[..=at] {
                fixture
                    .step(&function, earlier, &token)
                    .await
                    .with_context(|| format!("{earlier} after {step}"))?;
            }
        }
        check(&fixture, &token).await?;
        // With a single user, a repeated `setSecret` first tries the current password, which its
        // first run has replaced. This happens twice: after `setSecret` and after `testSecret`.
        let most = if strategy == MASTER { 0 } else { 2 };
        ensure!(fixture.failed_logins()? <= most, "{} failed logins", fixture.failed_logins()?);
    }
    Ok(())
}

/// A step that comes before its predecessors fails and changes nothing. The rotation then succeeds.
pub async fn early_steps_are_rejected_and_rotation_succeeds<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        for (done, too_early) in [
            (0, ["setSecret", "testSecret", "finishSecret"].as_slice()),
            // The database does not have the pending password yet. If it were promoted, every
            // application would be locked out.
            (1, &["finishSecret"]),
            (1, &["testSecret"]),
        ] {
            let fixture = Fixture::rich(&target).await?;
            let function = fixture.function(strategy);
            let (token, before) = (fixture.stage(None)?, fixture.version("AWSCURRENT")?);
            for step in &STEPS[..done] {
                fixture.step(&function, step, &token).await?;
            }
            for step in too_early {
                let refused = fixture.step(&function, step, &token).await;
                ensure!(refused.is_err(), "{strategy}: {step} after {done} steps was not refused");
                ensure!(fixture.version("AWSCURRENT")? == before, "{step} has moved AWSCURRENT");
                fixture.log_in().await?;
            }
            ensure!(fixture.failed_logins()? <= 3, "{} failed logins", fixture.failed_logins()?);
            let rotation = fixture.attempt(&function, &token, 1).await;
            ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
            check(&fixture, &token).await?;
        }
    }
    Ok(())
}

/// Two processes run each step at the same time. If one of them fails, a retry converges.
pub async fn concurrent_duplicate_steps_converge<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        let fixture = Fixture::rich(&target).await?;
        let (one, other) = (fixture.function(strategy), fixture.function(strategy));
        for _ in 0..3 {
            let token = fixture.stage(None)?;
            for step in STEPS {
                let (first, second) = tokio::join!(
                    fixture.step(&one, step, &token),
                    fixture.step(&other, step, &token)
                );
                ensure!(
                    first.is_ok() || second.is_ok(),
                    "{strategy}: both failed: {first:?} {second:?}"
                );
                fixture
                    .step(&one, step, &token)
                    .await
                    .with_context(|| format!("{strategy}: {step} again"))?;
            }
            check(&fixture, &token).await?;
        }
    }
    Ok(())
}

/// The privileges of the alternate user change between `setSecret` and `testSecret`.
pub async fn test_secret_reports_differences_of_alternate_user<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::rich(&target).await?;
    let function = fixture.function(MASTER);
    // After two rotations, versions of the secret prove that the alternate user belongs to it.
    for _ in 0..2 {
        fixture.rotate(&function).await?;
    }
    let token = fixture.stage(None)?;
    fixture.step(&function, STEPS[0], &token).await?;
    fixture.step(&function, STEPS[1], &token).await?;
    for part in target.impair(&fixture.alternate(), &fixture.database).await? {
        let refused = fixture.step(&function, "testSecret", &token).await;
        let refused = format!("{:#}", refused.err().context("testSecret found no difference")?);
        ensure!(
            refused.starts_with("UsersDiffer") && refused.contains(part),
            "{part:?} is not in: {refused}"
        );
        fixture.search_for_passwords(&refused)?;
    }
    let rotation = fixture.attempt(&function, &token, 1).await;
    ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
    check(&fixture, &token).await?;

    // If the base user is the target user, there is nothing to compare. If the master user cannot
    // log in, the step reports only a note.
    let token = fixture.stage(None)?;
    fixture.step(&function, STEPS[0], &token).await?;
    fixture.step(&function, STEPS[1], &token).await?;
    target.impair(&fixture.alternate(), &fixture.database).await?;
    fixture.step(&function, STEPS[2], &token).await?;
    fixture.step(&function, STEPS[3], &token).await?;
    let token = fixture.stage(None)?;
    fixture.step(&function, STEPS[0], &token).await?;
    fixture.step(&function, STEPS[1], &token).await?;
    fixture.change_master(&json!({"password": new_password()}))?;
    let record = fixture.step(&function, STEPS[2], &token).await?;
    ensure!(record["notes"].to_string().contains("could not be compared"), "{record}");
    Ok(())
}

/// If rotation is turned on without rotating immediately, Secrets Manager runs `testSecret` on a
/// copy of `AWSCURRENT`, before any `setSecret` has synced the users.
pub async fn test_secret_alone_reports_differences_as_notes<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::rich(&target).await?;
    let function = fixture.function(MASTER);
    fixture.rotate(&function).await?;
    let parts = target.impair(&fixture.alternate(), &fixture.database).await?;
    let token = fixture.stage(None)?;
    let request = json!({
        "SecretId": SECRET_ARN,
        "SecretString": fixture.value("AWSCURRENT")?.to_string(),
        "ClientRequestToken": token,
        "VersionStages": ["AWSPENDING"],
    });
    fixture.service.perform("PutSecretValue", &request)?;
    let record = fixture.step(&function, "testSecret", &token).await?;
    let notes = record["notes"].to_string();
    for part in parts {
        ensure!(notes.contains(part), "{part:?} is not in: {record}");
    }
    ensure!(notes.contains("The next rotation changes this"), "{record}");
    fixture.search_for_passwords(&record.to_string())?;
    // The next rotation syncs the alternate user.
    fixture.give_up(&token)?;
    for _ in 0..2 {
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
    }
    Ok(())
}

/// An administrator changes the user's password after `testSecret`, in one case while
/// `finishSecret` reads the versions. The tested password is not promoted.
pub async fn rejected_password_is_not_promoted<T: Server>(target: T) -> Result<()> {
    let cases = STRATEGIES.into_iter().flat_map(|strategy| [(strategy, true), (strategy, false)]);
    for (strategy, while_reading) in cases {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function(strategy);
        let (token, before) = (fixture.stage(None)?, fixture.version("AWSCURRENT")?);
        for step in &STEPS[..3] {
            fixture.step(&function, step, &token).await?;
        }
        let pending = fixture.value("AWSPENDING")?;
        let text = |key: &str| pending[key].as_str().unwrap_or_default().to_owned();
        let (user, another) = (text("username"), new_password());
        let change = target.give_password(&user, &another);
        let finish = fixture.step(&function, "finishSecret", &token);
        let refused = if while_reading {
            fixture.service.hold_calls();
            let change = async {
                let held = async || Ok((fixture.service.held_calls() > 0).then_some(()));
                until("finishSecret calls Secrets Manager", held).await?;
                let changed = change.await;
                fixture.service.release_calls();
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
        ensure!(fixture.version("AWSCURRENT")? == before, "AWSCURRENT has moved");
        fixture.search_for_passwords(&refused)?;

        target.give_password(&text("username"), &text("password")).await?;
        let rotation = fixture.attempt(&function, &token, 1).await;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        check(&fixture, &token).await?;
    }
    Ok(())
}

/// `AWSCURRENT` is edited after `testSecret`. A note reports the keys that promotion reverts. If
/// the edit names another server, promotion is rejected.
pub async fn edit_after_test_secret_is_reported_or_blocks_promotion<T: Server>(
    target: T,
) -> Result<()> {
    for strategy in STRATEGIES {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function(strategy);
        let token = fixture.stage(None)?;
        for step in &STEPS[..3] {
            fixture.step(&function, step, &token).await?;
        }
        let before = fixture.value("AWSCURRENT")?;
        fixture.change(&json!({"host": "db.example.com"}))?;
        let edited = fixture.version("AWSCURRENT")?;
        let refused = fixture.step(&function, "finishSecret", &token).await;
        let refused = format!("{:#}", refused.err().context("it was promoted")?);
        ensure!(refused.starts_with("HostMismatch"), "{refused}");
        ensure!(fixture.version("AWSCURRENT")? == edited, "AWSCURRENT has moved");

        fixture.store(&before)?;
        // The password of the edited version no longer works, so the other edited keys must not
        // block the promotion of the tested password.
        let ssl = target.authority().is_some().then_some(true);
        fixture.change(&json!({"note": "of somebody", "ssl": ssl}))?;
        let record = fixture.step(&function, "finishSecret", &token).await?;
        let notes = record["notes"].to_string();
        ensure!(notes.contains("note") && notes.contains("edited during the rotation"), "{record}");
        check(&fixture, &token).await?;
    }
    Ok(())
}

/// The database cannot be reached after `testSecret`. The tested password is promoted, because it
/// may be the only one that works.
pub async fn unreachable_database_does_not_block_promotion<T: Server>(target: T) -> Result<()> {
    for strategy in STRATEGIES {
        let fixture = Fixture::new(&target).await?;
        let cutter = fixture.start_fault_proxy().await?;
        let function = fixture.function(strategy);
        let token = fixture.stage(None)?;
        for step in &STEPS[..3] {
            fixture.step(&function, step, &token).await?;
        }
        cutter.close();
        let record = fixture.step(&function, "finishSecret", &token).await?;
        let notes = record["notes"].to_string();
        ensure!(notes.contains("could not be checked again"), "{record}");
        check(&fixture, &token).await?;
    }
    Ok(())
}
