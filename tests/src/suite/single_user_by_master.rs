//! Tests of a single user whose password a master user sets.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::fixture::{Fixture, new_password};
use crate::server::Server;
use crate::suite::recovery::{BY_MASTER, MASTER, check};

/// The user's attributes and privileges stay as they are.
pub async fn master_user_sets_password_of_single_user<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::rich(&target).await?;
    let function = fixture.function(BY_MASTER);
    let checks = fixture.preflight(&function).await?;
    ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
    let first = fixture.value("AWSCURRENT")?;
    for _ in 0..2 {
        let before = fixture.value("AWSCURRENT")?;
        let token = fixture.stage(None)?;
        let rotation = fixture.attempt(&function, &token, 1).await;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        check(&fixture, &token).await?;
        let after = fixture.value("AWSCURRENT")?;
        ensure!(before["username"] == after["username"] && before["password"] != after["password"]);
        let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(set.contains(&format!("as master {}", fixture.master)), "{set}");
    }
    assert_eq!(fixture.failed_logins()?, 0);
    ensure!(fixture.log_in_with(&first).await.is_err(), "an old password is still accepted");
    Ok(())
}

/// No version has the password that the database has, so only the master user can set one.
pub async fn master_user_replaces_lost_password<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    target.give_password(&fixture.user, &new_password()).await?;
    let function = fixture.function(BY_MASTER);
    let token = fixture.stage(None)?;
    let rotation = fixture.attempt(&function, &token, 1).await;
    ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    ensure!(set.contains("the password was lost"), "{set}");
    ensure!(fixture.failed_logins()? <= 2, "{} failed logins", fixture.failed_logins()?);
    check(&fixture, &token).await
}

/// A user that does not exist is not created: its name may be misspelled.
pub async fn unknown_single_user_is_reported<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let user = format!("missing_{}", fixture.user);
    fixture.change(&json!({"username": user, "password": new_password()}))?;
    let function = fixture.function(BY_MASTER);
    match T::ENGINE {
        "mysql" | "mariadb" => fixture.expect(&function, "UserNotFound", &user).await?,
        // docs/preflight.md lists that preflight does not look for the user on the other engines.
        _ => fixture.expect_failure_without_preflight(&function, "UserNotFound", &user).await?,
    };
    Ok(())
}

/// An attacker who can write the secret must not get the master user's own password changed.
pub async fn master_user_as_target_is_rejected<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function(BY_MASTER);
    fixture.change(&json!({"username": fixture.master, "password": new_password()}))?;
    fixture.expect(&function, "NeedsDecision", "is the master").await?;
    // The master user still has the password of its own secret.
    let own = fixture.secret(&fixture.master, &fixture.master_password()?);
    fixture.log_in_with(&own).await?;
    // The master user cannot be one of two alternating users, either.
    let fixture = Fixture::new(&target).await?;
    let password = fixture.master_password()?;
    fixture.change(&json!({"username": fixture.master, "password": password}))?;
    fixture.expect(&fixture.function(MASTER), "NeedsDecision", "is the master").await?;
    Ok(())
}
