//! Tests of `preflight`, which reports what would fail and changes nothing.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::scene::{Fixture, new_password};
use crate::server::Server;
use crate::suite::recovery::{MASTER, SINGLE};

/// If a rotation works, preflight reports no problem and changes nothing.
pub async fn preflight_finds_nothing_where_all_is_well<T: Server>(target: T) -> Result<()> {
    for strategy in [SINGLE, MASTER] {
        let scene = Fixture::rich(&target).await?;
        let function = scene.function(strategy);
        let before = scene.value("AWSCURRENT")?;
        let checks = scene.preflight(&function).await?;
        ensure!(checks.iter().all(|check| check["found"] != "bad"), "{checks:#?}");
        ensure!(checks.iter().filter(|check| check["found"] == "good").count() >= 6, "{checks:#?}");
        ensure!(scene.version("AWSPENDING")?.is_none() && scene.value("AWSCURRENT")? == before);
        assert_eq!(scene.failed_logins()?, 0);
        scene.rotate(&function).await?;
        scene.log_in().await?;
        // Preflight also passes after the first rotation, which with alternating users has created
        // the second one.
        let checks = scene.preflight(&function).await?;
        ensure!(checks.iter().all(|check| check["found"] != "bad"), "{checks:#?}");
    }
    Ok(())
}

/// Preflight reports every problem that it can find at once, each with a remedy.
pub async fn preflight_names_what_is_wrong<T: Server>(target: T) -> Result<()> {
    let scene = Fixture::new(&target).await?;
    let (single, master) = (scene.function(SINGLE), scene.function(MASTER));
    let right = scene.value("AWSCURRENT")?;
    let token = scene.stage(None)?;
    scene.preflight_finds(&single, "RotationUnfinished", &token).await?;
    scene.give_up(&token)?;

    scene.change(&json!({"password": new_password()}))?;
    scene.preflight_finds(&single, "CredentialsRefused", "").await?;
    scene.store(&right)?;
    scene.change(&json!({"port": 1}))?;
    scene.preflight_finds(&single, "ConnectionRefused", "").await?;
    scene.change(&json!({"host": null}))?;
    scene.preflight_finds(&single, "SecretMalformed", "").await?;
    scene.store(&right)?;
    scene.change_master(&json!({"password": new_password()}))?;
    scene.preflight_finds(&master, "MasterCredentialsRefused", "").await
}
