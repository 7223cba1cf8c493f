//! Tests of `preflight`, which reports what would fail and changes nothing.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::fixture::{Fixture, new_password};
use crate::server::Server;
use crate::suite::recovery::{MASTER, SINGLE};

/// If a rotation works, preflight reports no problem and changes nothing.
pub async fn preflight_passes_for_valid_secret<T: Server>(target: T) -> Result<()> {
    for strategy in [SINGLE, MASTER] {
        let fixture = Fixture::rich(&target).await?;
        let function = fixture.function(strategy);
        let before = fixture.value("AWSCURRENT")?;
        let checks = fixture.preflight(&function).await?;
        ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
        ensure!(
            checks.iter().filter(|check| check["status"] == "passed").count() >= 6,
            "{checks:#?}"
        );
        ensure!(fixture.version("AWSPENDING")?.is_none() && fixture.value("AWSCURRENT")? == before);
        assert_eq!(fixture.failed_logins()?, 0);
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
        // Preflight also passes after the first rotation, which with alternating users has created
        // the second one.
        let checks = fixture.preflight(&function).await?;
        ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
    }
    Ok(())
}

/// Preflight reports every problem that it can find at once, each with a remedy.
pub async fn preflight_reports_every_problem<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let (single, master) = (fixture.function(SINGLE), fixture.function(MASTER));
    let right = fixture.value("AWSCURRENT")?;
    let token = fixture.stage(None)?;
    fixture.preflight_finds(&single, "RotationUnfinished", &token).await?;
    fixture.give_up(&token)?;

    fixture.change(&json!({"password": new_password()}))?;
    fixture.preflight_finds(&single, "CredentialsRefused", "").await?;
    fixture.store(&right)?;
    fixture.change(&json!({"port": 1}))?;
    fixture.preflight_finds(&single, "ConnectionRefused", "").await?;
    fixture.change(&json!({"host": null}))?;
    fixture.preflight_finds(&single, "SecretMalformed", "").await?;
    fixture.store(&right)?;
    fixture.change_master(&json!({"password": new_password()}))?;
    fixture.preflight_finds(&master, "MasterCredentialsRefused", "").await
}
