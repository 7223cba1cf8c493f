//! Tests of `rotation-local rotate` with a secret in a file, one run after another.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use rotation_tests::binary;
use rotation_tests::mysql::{Fixture, Target, Which};
use rotation_tests::scene::MASTER_ARN;
use serde_json::{Value, json};

crate::on_both! { alternating_users_take_turns_from_one_run_to_the_next }

async fn alternating_users_take_turns_from_one_run_to_the_next<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let scene = Fixture::new(&target).await?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    let mut secret = scene.value("AWSCURRENT")?;
    if let Some(fields) = secret.as_object_mut() {
        fields.remove("masterarn");
    }
    std::fs::write(file("secret.json"), secret.to_string())?;
    let master = scene.service.perform("GetSecretValue", &json!({"SecretId": MASTER_ARN}))?;
    std::fs::write(file("master.json"), master["SecretString"].as_str().unwrap_or_default())?;
    std::fs::write(file("ca.pem"), target.address.authority.clone().unwrap_or_default())?;
    for user in [scene.alternate(), scene.user.clone(), scene.alternate()] {
        let done = Command::new(binary("rotation-local"))
            .current_dir(folder.path())
            .args([
                "rotate",
                "--yes",
                "--secret",
                "secret.json",
                "--master",
                "master.json",
                "--function",
            ])
            .arg(binary(W::BINARY))
            .env("TLS_CA_FILE", file("ca.pem"))
            .stdin(Stdio::null())
            .output()?;
        let message = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        ensure!(done.status.success(), "{message}");
        ensure!(
            message.contains(&format!(
                "{} and of user",
                if user == scene.user { scene.alternate() } else { scene.user.clone() }
            )),
            "{message}"
        );
        let value: Value = serde_json::from_slice(&std::fs::read(file("secret.json"))?)?;
        assert_eq!(value["username"], user.as_str());
        scene.log_in_with(&value).await?;
    }
    Ok(())
}
