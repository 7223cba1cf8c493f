//! Tests of `rotation-local demo`: it runs on every engine and prints correct evidence.

use std::process::Command;

use anyhow::{Result, ensure};
use rotation_tests::binary;
use serde_json::{Value, json};

#[test]
fn demo_prints_evidence_on_postgres() -> Result<()> {
    demo_prints_evidence("postgres")
}

#[test]
fn demo_prints_evidence_on_mariadb() -> Result<()> {
    demo_prints_evidence("mariadb")
}

fn demo_prints_evidence(engine: &str) -> Result<()> {
    let mut command = Command::new(binary("rotation-local"));
    let output = command.args(["demo", "--engine", engine, "--times", "2", "--json"]).output()?;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{message}");
    ensure!(message.contains("All checks passed."), "{message}");
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["status"], "passed", "{report:#}");
    assert_eq!(report["engine"], engine);
    assert_eq!(report["passwordsInLogs"], 0);
    let rotations = report["rotations"].as_array().cloned().unwrap_or_default();
    let users: Vec<_> = rotations
        .iter()
        .map(|one| json!([one["strategy"], one["userBefore"], one["user"]]))
        .collect();
    let expected = [
        json!(["single-user", "app", "app"]),
        json!(["single-user", "app", "app"]),
        json!(["master-user", "shop", "shop_clone"]),
        json!(["master-user", "shop_clone", "shop"]),
    ];
    assert_eq!(users, expected, "{report:#}");
    for one in &rotations {
        assert_eq!(
            (&one["failedLogins"], &one["newPasswordAccepted"]),
            (&json!(0), &json!(true)),
            "{one:#}"
        );
        assert_eq!(one["oldPasswordAccepted"], one["userBefore"] != one["user"], "{one:#}");
        assert_eq!(one["steps"].as_array().map(Vec::len), Some(4), "{one:#}");
    }
    Ok(())
}

#[test]
fn failed_demo_reports_status_in_json() -> Result<()> {
    let mut command = Command::new(binary("rotation-local"));
    let output = command.args(["demo", "--json", "--function", "/bin/false"]).output()?;
    ensure!(output.status.code() == Some(1), "{:?}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(report["status"], "failed", "{report:#}");
    ensure!(
        report["error"].as_str().is_some_and(|error| error.contains("rotation failed")),
        "{report:#}"
    );
    Ok(())
}
