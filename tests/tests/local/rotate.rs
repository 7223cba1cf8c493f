//! Tests of `rotation-local rotate` and `preflight` with a secret in a file.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use rotation_tests::binary;
use rotation_tests::child_process::text;
use rotation_tests::fixture::MASTER_ARN;
use rotation_tests::postgres::on_each;
use rotation_tests::server::Server as _;
use serde_json::Value;

use super::own_database::OwnDatabase;

fn command(folder: &Path, authority: Option<&str>, more: &[&str]) -> Command {
    let mut command = Command::new(binary("rotation-local"));
    command.current_dir(folder).args(["rotate", "--secret", "secret.json", "--function"]);
    command.arg(binary("rotation-postgres")).args(more).stdin(Stdio::null());
    if let Some(authority) = authority {
        command.env("TLS_CA_FILE", authority);
    }
    command
}

fn rotate(folder: &Path, authority: Option<&str>, more: &[&str]) -> Result<Output> {
    Ok(command(folder, authority, more).output()?)
}

fn preflight(folder: &Path, authority: &str) -> Result<Output> {
    let mut command = Command::new(binary("rotation-local"));
    command.current_dir(folder).args(["preflight", "--secret", "secret.json", "--function"]);
    command.arg(binary("rotation-postgres")).env("TLS_CA_FILE", authority).stdin(Stdio::null());
    Ok(command.output()?)
}

fn read(path: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

#[tokio::test]
async fn rotate_changes_database_and_prints_no_password() {
    on_each(|target| async move {
        let OwnDatabase { fixture, folder, authority, file, secret: before } =
            OwnDatabase::of(&target).await?;

        let asked = rotate(folder.path(), Some(&authority), &[])?;
        assert!(!asked.status.success() && text(&asked).contains("--yes"), "{}", text(&asked));
        assert_eq!(read(&file)?, before);

        let done = rotate(folder.path(), Some(&authority), &["--yes", "--times", "2"])?;
        assert!(done.status.success(), "{}", text(&done));
        let after = read(&file)?;
        assert_ne!(after["password"], before["password"]);
        fixture.log_in_with(&after).await?;
        for secret in [&before, &after] {
            assert!(
                !text(&done).contains(secret["password"].as_str().unwrap_or("?")),
                "{}",
                text(&done)
            );
        }
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 2, "unexpected files are left");

        // With a master user, the result goes into another file.
        let master = fixture
            .service
            .perform("GetSecretValue", &serde_json::json!({"SecretId": MASTER_ARN}))?;
        std::fs::write(
            folder.path().join("master.json"),
            master["SecretString"].as_str().unwrap_or_default(),
        )?;
        let done = rotate(
            folder.path(),
            Some(&authority),
            &["--yes", "--master", "master.json", "--out", "out.json", "--show-passwords"],
        )?;
        assert!(done.status.success(), "{}", text(&done));
        let out = read(&folder.path().join("out.json"))?;
        assert_eq!(out["username"], format!("{}_clone", fixture.user));
        assert!(out.get("masterarn").is_none());
        assert!(text(&done).contains(out["password"].as_str().unwrap_or("?")));
        assert_eq!(read(&file)?, after);
        fixture.log_in_with(&out).await?;
        Ok(())
    })
    .await;
}

/// Kills `rotate` when the database has the new password, and otherwise only the recovery file has
/// it.
async fn kill_after_set_secret(own: &OwnDatabase, more: &[&str]) -> Result<()> {
    let OwnDatabase { fixture, folder, authority, .. } = own;
    let query = "SELECT rolpassword FROM pg_catalog.pg_authid WHERE rolname = $1";
    let mut admin = fixture.admin().await?;
    for _ in 0..20 {
        let before: String =
            sqlx::query_scalar(query).bind(&fixture.user).fetch_one(&mut admin).await?;
        let mut child = command(folder.path(), Some(authority), &["--yes"])
            .args(more)
            .stdout(Stdio::null())
            .spawn()?;
        let ended = loop {
            let now: String =
                sqlx::query_scalar(query).bind(&fixture.user).fetch_one(&mut admin).await?;
            if now != before {
                break false;
            }
            if child.try_wait()?.is_some() {
                break true;
            }
        };
        child.kill()?;
        child.wait()?;
        if !ended && folder.path().join("secret.json.rotation").exists() {
            return Ok(());
        }
    }
    anyhow::bail!("every rotation ended before it was killed")
}

#[tokio::test]
async fn killed_rotation_resumes_with_same_command() {
    on_each(|target| async move {
        let own = OwnDatabase::of(&target).await?;
        kill_after_set_secret(&own, &[]).await?;
        let OwnDatabase { fixture, folder, authority, file, secret } = &own;
        fixture.log_in_with(&read(file)?).await.err().context("the old password still logs in")?;
        let journal = std::fs::read_to_string(folder.path().join("secret.json.rotation"))?;

        // Preflight does not report the password, and the rotation cannot be discarded.
        let looked = preflight(folder.path(), authority)?;
        assert!(
            !looked.status.success() && text(&looked).contains("unfinished rotation"),
            "{}",
            text(&looked)
        );
        let abandoned = rotate(folder.path(), Some(authority), &["--abandon"])?;
        assert!(text(&abandoned).contains("must not be discarded"), "{}", text(&abandoned));
        let mut elsewhere = secret.clone();
        elsewhere["host"] = "127.0.0.1".into();
        std::fs::write(file, elsewhere.to_string())?;
        let refused = rotate(folder.path(), Some(authority), &["--yes"])?;
        for part in ["unfinished rotation", "\"host\"", "--abandon"] {
            assert!(text(&refused).contains(part), "{part} is not in {}", text(&refused));
        }
        std::fs::write(file, secret.to_string())?;

        let done = rotate(folder.path(), Some(authority), &["--yes"])?;
        assert!(done.status.success(), "{}", text(&done));
        assert!(text(&done).contains("earlier run"), "{}", text(&done));
        let after = read(file)?;
        let password =
            after["password"].as_str().unwrap_or("?").replace('\\', "\\\\").replace('"', "\\\"");
        assert!(
            journal.contains(&password.replace('\\', "\\\\")) || journal.contains(&password),
            "another password was generated"
        );
        fixture.log_in_with(&after).await?;
        assert_eq!(std::fs::read_dir(folder.path())?.count(), 2, "unexpected files are left");
        Ok(())
    })
    .await;
}

/// An error that preflight finds leaves no files and costs at most one failed login.
#[tokio::test]
async fn failed_preflight_starts_no_rotation() {
    on_each(|target| async move {
        if target.authority.is_none() {
            return Ok(());
        }
        let OwnDatabase { fixture, folder, authority, file, secret: right } =
            OwnDatabase::of(&target).await?;
        let failed = rotate(folder.path(), None, &["--yes"])?;
        assert_eq!(failed.status.code(), Some(1));
        for part in ["TlsUntrustedAuthority", "TLS_CA_FILE", "Nothing was changed"] {
            assert!(text(&failed).contains(part), "{part} is not in {}", text(&failed));
        }
        let mut wrong = right.clone();
        wrong["password"] = "a-wrong-password".into();
        std::fs::write(&file, wrong.to_string())?;
        let failed = rotate(folder.path(), Some(&authority), &["--yes"])?;
        for part in ["CredentialsRefused", "edit secret.json"] {
            assert!(text(&failed).contains(part), "{part} is not in {}", text(&failed));
        }
        assert_eq!(fixture.failed_logins()?, 1);
        // After a correction, the same command starts a new rotation.
        for (key, value) in [
            ("host", "no-such-host.invalid".into()),
            ("port", 1.into()),
            ("dbname", "nosuch".into()),
        ] {
            let mut wrong = right.clone();
            wrong[key] = value;
            std::fs::write(&file, wrong.to_string())?;
            let failed = rotate(folder.path(), Some(&authority), &["--yes"])?;
            assert!(text(&failed).contains("Nothing was changed"), "{}", text(&failed));
            // A remedy must not name a command that cannot be run on a developer's machine.
            assert!(!text(&failed).contains("aws secretsmanager"), "{}", text(&failed));
            assert_eq!(std::fs::read_dir(folder.path())?.count(), 2, "unexpected files are left");
        }
        std::fs::write(&file, right.to_string())?;
        let done = rotate(folder.path(), None, &["--yes", "--ca", &authority, "--json"])?;
        assert!(done.status.success(), "{}", text(&done));
        let report: Value = serde_json::from_slice(&done.stdout)?;
        assert_eq!(report["status"], "passed", "{report:#}");
        let steps =
            report["rotations"][0]["steps"].as_array().context("the report has no steps")?;
        let names: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
        assert_eq!(names, ["createSecret", "setSecret", "testSecret", "finishSecret"]);
        fixture.log_in_with(&read(&file)?).await?;
        assert!(
            text(&rotate(folder.path(), None, &["--abandon"])?).contains("no unfinished rotation")
        );
        Ok(())
    })
    .await;
}

/// An unfinished rotation that has not reached the database is discarded after a correction, or on
/// request.
#[tokio::test]
async fn unfinished_rotation_without_change_is_discarded() {
    on_each(|target| async move {
        let own = OwnDatabase::of(&target).await?;
        kill_after_set_secret(&own, &[]).await?;
        let OwnDatabase { fixture, folder, authority, file, secret } = &own;
        let journal = folder.path().join("secret.json.rotation");
        let kept = std::fs::read_to_string(&journal)?;
        // This is the state of a rotation that ended before `setSecret`: the database has the old
        // password.
        fixture
            .target
            .give_password(&fixture.user, secret["password"].as_str().unwrap_or_default())
            .await?;
        let rejected = rotate(folder.path(), Some(authority), &["--abandon"])?;
        assert!(text(&rejected).contains("rejects the password"), "{}", text(&rejected));
        assert!(rejected.status.success() && !journal.exists());

        std::fs::write(&journal, kept.replace("\"reached\": true", "\"reached\": false"))?;
        let mut elsewhere = secret.clone();
        elsewhere["host"] = "127.0.0.1".into();
        std::fs::write(file, elsewhere.to_string())?;
        let done = rotate(folder.path(), Some(authority), &["--yes"])?;
        assert!(done.status.success() && text(&done).contains("is discarded"), "{}", text(&done));
        fixture.log_in_with(&read(file)?).await?;

        std::fs::write(&journal, "{")?;
        let damaged = rotate(folder.path(), Some(authority), &["--yes"])?;
        assert!(
            text(&damaged).contains("is damaged") && text(&damaged).contains("only copy"),
            "{}",
            text(&damaged)
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn preflight_command_reports_problems() {
    on_each(|target| async move {
        let OwnDatabase { fixture, folder: _folder, authority, file, secret } =
            OwnDatabase::of(&target).await?;
        let look = |authority: Option<&str>| -> Result<Output> {
            let mut command = Command::new(binary("rotation-local"));
            command.args(["preflight", "--function"]).arg(binary("rotation-postgres"));
            command.arg("--secret").arg(&file).stdin(Stdio::null());
            command.envs(authority.map(|authority| ("TLS_CA_FILE", authority)));
            Ok(command.output()?)
        };
        let good = look(Some(&authority))?;
        assert!(
            good.status.success() && text(&good).contains("The secret can be rotated"),
            "{}",
            text(&good)
        );
        let bad = look(None)?;
        for part in ["✗", "TlsUntrustedAuthority", "What to do:", "would fail"] {
            assert!(text(&bad).contains(part), "{part} is not in {}", text(&bad));
        }
        assert!(!bad.status.success());
        assert_eq!(read(&file)?, secret);
        fixture.log_in_with(&secret).await?;
        for output in [&good, &bad] {
            assert!(!text(output).contains(secret["password"].as_str().unwrap_or("?")));
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn by_master_option_replaces_lost_password() {
    on_each(|target| async move {
        let OwnDatabase { fixture, folder, authority, file, secret } =
            OwnDatabase::of(&target).await?;
        let mut lost = secret.clone();
        lost["password"] = "a-lost-password".into();
        std::fs::write(&file, lost.to_string())?;
        let master = fixture
            .service
            .perform("GetSecretValue", &serde_json::json!({"SecretId": MASTER_ARN}))?;
        std::fs::write(
            folder.path().join("master.json"),
            master["SecretString"].as_str().unwrap_or_default(),
        )?;
        let refused = rotate(folder.path(), Some(&authority), &["--yes", "--by-master"])?;
        assert!(text(&refused).contains("--master"), "{}", text(&refused));

        let more = ["--yes", "--master", "master.json", "--by-master"];
        let rotated = rotate(folder.path(), Some(&authority), &more)?;
        assert!(
            rotated.status.success() && text(&rotated).contains("the password was lost"),
            "{}",
            text(&rotated)
        );
        let new = read(&file)?;
        assert_eq!(new["username"], secret["username"]);
        fixture.log_in_with(&new).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn misuse_reports_next_command() {
    let folder = tempfile::tempdir().unwrap();
    let output = rotate(folder.path(), None, &["--yes"]).unwrap();
    assert!(
        !output.status.success() && text(&output).contains("\"engine\":\"postgres\""),
        "{}",
        text(&output)
    );

    std::fs::write(folder.path().join("secret.json"), "{not json").unwrap();
    let output = rotate(folder.path(), None, &["--yes"]).unwrap();
    assert!(!output.status.success() && text(&output).contains("not JSON"), "{}", text(&output));

    std::fs::write(folder.path().join("secret.json"), r#"{"engine":"postgres","Host":"x"}"#)
        .unwrap();
    let output = rotate(folder.path(), None, &["--yes"]).unwrap();
    assert!(
        !output.status.success() && text(&output).contains("Nothing was changed"),
        "{}",
        text(&output)
    );
    assert_eq!(text(&output).matches("\"password\" is missing").count(), 1, "{}", text(&output));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "unexpected files are left");

    let output = Command::new(binary("rotation-postgres")).output().unwrap();
    assert!(
        !output.status.success() && text(&output).contains("rotation-local rotate"),
        "{}",
        text(&output)
    );

    let output = Command::new(binary("rotation-local"))
        .args(["serve", "--function", "x=/no/such/file"])
        .output()
        .unwrap();
    assert!(
        !output.status.success() && text(&output).contains("build the function first"),
        "{}",
        text(&output)
    );
}
