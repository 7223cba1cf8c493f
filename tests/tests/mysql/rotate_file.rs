//! Tests of `rotation-local rotate` with a secret in a file, one run after another.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use rotation_tests::binary;
use rotation_tests::child_process::text;
use rotation_tests::fixture::MASTER_ARN;
use rotation_tests::mysql::{Fixture, Target, Which};
use serde_json::{Value, json};

crate::on_both! { rotate_file_alternates_users_between_runs }

async fn rotate_file_alternates_users_between_runs<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    let mut secret = fixture.value("AWSCURRENT")?;
    if let Some(fields) = secret.as_object_mut() {
        fields.remove("masterarn");
    }
    std::fs::write(file("secret.json"), secret.to_string())?;
    let master = fixture.service.perform("GetSecretValue", &json!({"SecretId": MASTER_ARN}))?;
    std::fs::write(file("master.json"), master["SecretString"].as_str().unwrap_or_default())?;
    std::fs::write(file("ca.pem"), target.address.authority.clone().unwrap_or_default())?;
    for user in [fixture.alternate(), fixture.user.clone(), fixture.alternate()] {
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
        let message = text(&done);
        ensure!(done.status.success(), "{message}");
        ensure!(
            message.contains(&format!(
                "users {} and {user}",
                if user == fixture.user { fixture.alternate() } else { fixture.user.clone() }
            )),
            "{message}"
        );
        let value: Value = serde_json::from_slice(&std::fs::read(file("secret.json"))?)?;
        assert_eq!(value["username"], user.as_str());
        fixture.log_in_with(&value).await?;
    }
    Ok(())
}
