//! Tests of the permissions that `docs/doctor.md` lists, and of the signatures.

use anyhow::{Context, Result, ensure};
use rotation_tests::iam::allow;
use rotation_tests::local::REGION;
use rotation_tests::template::texts;
use serde_json::{Value, json};

use super::authorized::{AuthorizedAccount, KEY};
use super::functions::Moto;
use super::{Account, Report};

const PAGE: &str = include_str!("../../../../docs/doctor.md");

/// Returns the policy of the page.
fn policy() -> Result<Value> {
    let (_, rest) = PAGE.split_once("```json\n").context("no policy")?;
    Ok(serde_json::from_str(rest.split("```").next().context("no end")?)?)
}

#[tokio::test]
async fn documented_policy_is_sufficient_and_minimal() -> Result<()> {
    let policy = policy()?;
    let statements = policy["Statement"].as_array().context("no statements")?;
    for denied in ["GetSecretValue", "BatchGetSecretValue", "PutSecretValue", "RotateSecret"] {
        let action = format!("secretsmanager:{denied}");
        ensure!(!allow(statements, &action, "*", &[]), "{action} is allowed");
    }

    let moto = Moto::start().await?;
    moto.create("app", "python3.13", "").await?;
    let report = examine(&moto, statements.clone()).await?;
    assert_eq!(report.code, Some(0), "{}", report.text);
    assert_eq!(report.json["notKnown"], json!([]));
    assert_eq!(report.secret("app")?["function"]["status"], "found");
    for action in texts(&statements[0]["Action"]) {
        let mut fewer = statements.clone();
        let left = fewer[0]["Action"].as_array_mut().context("no actions")?;
        left.retain(|left| *left != action);
        let report = examine(&moto, fewer).await;
        // Without the list, there is no report.
        if action == "secretsmanager:ListSecrets" {
            let error = format!("{:#}", report.err().context("the list is allowed")?);
            ensure!(error.contains("Allow secretsmanager:ListSecrets"), "{error}");
            continue;
        }
        let report = report?;
        assert_eq!(report.denied_actions(), [action.as_str()], "{}", report.text);
        ensure!(report.text.contains(&format!("Allow {action} ")), "{}", report.text);
    }
    Ok(())
}

/// Examines moto as a user with this policy.
async fn examine(moto: &Moto, statements: Vec<Value>) -> Result<Report> {
    let proxy = AuthorizedAccount::start(&moto.endpoint, statements).await?;
    let account = Account {
        variable: "AWS_ENDPOINT_URL",
        endpoint: &proxy.endpoint,
        region: REGION,
        key: KEY,
    };
    let report = account.examine(&[]).await?;
    proxy.ensure_signatures_are_right()?;
    Ok(report)
}
