//! Tests of a single user whose password a master user sets.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::scene::{Fixture, new_password};
use crate::server::Server;
use crate::suite::recovery::{BY_MASTER, MASTER, check};

/// The user's attributes and privileges stay as they are.
pub async fn a_master_sets_the_password_of_a_single_user<T: Server>(target: T) -> Result<()> {
    let scene = Fixture::rich(&target).await?;
    let function = scene.function(BY_MASTER);
    let checks = scene.preflight(&function).await?;
    ensure!(checks.iter().all(|check| check["found"] != "bad"), "{checks:#?}");
    let first = scene.value("AWSCURRENT")?;
    for _ in 0..2 {
        let before = scene.value("AWSCURRENT")?;
        let token = scene.stage(None)?;
        let rotation = scene.attempt(&function, &token, 1).await;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        check(&scene, &token).await?;
        let after = scene.value("AWSCURRENT")?;
        ensure!(before["username"] == after["username"] && before["password"] != after["password"]);
        let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(set.contains(&format!("as master {}", scene.master)), "{set}");
    }
    assert_eq!(scene.failed_logins()?, 0);
    ensure!(scene.log_in_with(&first).await.is_err(), "an old password is still accepted");
    Ok(())
}

/// No version has the password that the database has, so only the master user can set one.
pub async fn a_password_that_was_lost_is_set_by_the_master<T: Server>(target: T) -> Result<()> {
    let scene = Fixture::new(&target).await?;
    target.give_password(&scene.user, &new_password()).await?;
    let function = scene.function(BY_MASTER);
    let token = scene.stage(None)?;
    let rotation = scene.attempt(&function, &token, 1).await;
    ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    ensure!(set.contains("had been lost"), "{set}");
    ensure!(scene.failed_logins()? <= 2, "{} failed logins", scene.failed_logins()?);
    check(&scene, &token).await
}

/// An attacker who can write the secret must not get the master user's own password changed.
pub async fn the_master_itself_is_refused<T: Server>(target: T) -> Result<()> {
    let scene = Fixture::new(&target).await?;
    let function = scene.function(BY_MASTER);
    scene.change(&json!({"username": scene.master, "password": new_password()}))?;
    scene.expect(&function, "NeedsDecision", "is the master").await?;
    // The master user still has the password of its own secret.
    let own = scene.secret(&scene.master, &scene.master_password()?);
    scene.log_in_with(&own).await?;
    // The master user cannot be one of two alternating users, either.
    let scene = Fixture::new(&target).await?;
    let password = scene.master_password()?;
    scene.change(&json!({"username": scene.master, "password": password}))?;
    scene.expect(&scene.function(MASTER), "NeedsDecision", "is the master").await?;
    Ok(())
}
