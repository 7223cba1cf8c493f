//! Tests of `rotation-local serve` with the SDK: the complete workflow of a developer of a rotation
//! function.

use anyhow::{Context, Result, ensure};
use aws_sdk_secretsmanager::types::RotationRulesType;
use rotation_tests::binary;
use rotation_tests::local::{REGION, Serve, client, script, until};
use rotation_tests::postgres::{Fixture, Target, on_each};
use serde_json::Value;

use crate::own_database::authority;

/// Starts a service in which a command, such as the path of a program, is the function
/// `app-rotation`. The function trusts the certificate of the fixture's server.
pub(crate) async fn started(
    target: &Target,
    command: &str,
    arguments: &[&str],
) -> Result<(Fixture, Serve, tempfile::TempDir)> {
    let fixture = Fixture::new(target).await?;
    let folder = tempfile::tempdir()?;
    let function = format!("app-rotation={command}");
    let arguments: Vec<&str> = ["--function", &function].iter().chain(arguments).copied().collect();
    let environment = [("TLS_CA_FILE", &*authority(&fixture, folder.path())?)];
    let serve = Serve::start_with(&arguments, &environment).await?;
    Ok((fixture, serve, folder))
}

/// Starts a service with the function for PostgreSQL, and creates the secret `app` that it can
/// rotate.
pub(crate) async fn prepared(
    target: &Target,
    arguments: &[&str],
) -> Result<(Fixture, Serve, tempfile::TempDir)> {
    let program = binary("rotation-postgres").display().to_string();
    let (fixture, serve, folder) = started(target, &program, arguments).await?;
    let value = fixture.value("AWSCURRENT")?.to_string();
    serve.client().create_secret().name("app").secret_string(value).send().await?;
    Ok((fixture, serve, folder))
}

pub(crate) fn function_arn() -> String {
    format!("arn:aws:lambda:{REGION}:123456789012:function:app-rotation")
}

async fn current(serve: &Serve) -> Result<(String, Value)> {
    let current = serve.client().get_secret_value().secret_id("app").send().await?;
    let value = serde_json::from_str(current.secret_string.as_deref().unwrap_or_default())?;
    Ok((current.version_id.context("the secret has no current version")?, value))
}

/// With `--json`, every line of standard output is an object.
#[tokio::test]
async fn events_are_printed_as_json_lines() {
    on_each(|target| async move {
        let (_scene, serve, _folder) = prepared(&target, &["--json", "--attempts", "1"]).await?;
        let finished = async |version: Option<String>| {
            let version = version.context("RotateSecret returned no version id")?;
            until("the end is printed", async || {
                let mut found = None;
                for line in serve.output().lines() {
                    let event: Value =
                        serde_json::from_str(line).with_context(|| line.to_owned())?;
                    if event["event"] == "finished" && event["version"] == version.as_str() {
                        found = Some(event);
                    }
                }
                Ok(found)
            })
            .await
        };
        let sdk = serve.client();
        let staged =
            sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn()).send().await?;
        let event = finished(staged.version_id).await?;
        assert_eq!(event["status"], "passed", "{event}");
        ensure!(
            event["secret"].as_str().is_some_and(|arn| arn.contains(":secret:app-")),
            "{event}"
        );
        let (_, mut value) = current(&serve).await?;
        value["host"] = "no-such-host.invalid".into();
        sdk.put_secret_value().secret_id("app").secret_string(value.to_string()).send().await?;
        let staged = sdk.rotate_secret().secret_id("app").send().await?;
        let event = finished(staged.version_id).await?;
        assert_eq!(event["status"], "failed", "{event}");
        assert_eq!(event["errorType"], "HostNameNotFound", "{event}");
        ensure!(
            event["message"].as_str().is_some_and(|message| message.contains("What to do:")),
            "{event}"
        );
        let events: Vec<Value> =
            serve.output().lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let kinds: Vec<_> =
            events.iter().map(|event| event["event"].as_str().unwrap_or_default()).collect();
        assert_eq!(kinds, ["ready", "started", "finished", "started", "finished"]);
        assert_eq!(events[0]["endpoint"], serve.endpoint());
        assert_eq!(events[0]["functions"], serde_json::json!(["app-rotation"]));
        let password = value["password"].as_str().unwrap_or("?");
        ensure!(!serve.output().contains(password), "a password was printed");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn rotate_secret_call_rotates_database() {
    on_each(|target| async move {
        let (fixture, serve, _folder) = prepared(&target, &["--verbose"]).await?;
        let stranger = client(&serve.endpoint(), "stranger", REGION);
        ensure!(stranger.list_secrets().send().await.is_err(), "a wrong access key was accepted");
        let sdk = serve.client();
        let arn = sdk
            .describe_secret()
            .secret_id("app")
            .send()
            .await?
            .arn
            .context("the secret has no ARN")?;
        ensure!(
            arn.starts_with("arn:aws:secretsmanager:eu-west-3:123456789012:secret:app-"),
            "{arn}"
        );
        let before = current(&serve).await?.1;
        let staged =
            sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn()).send().await?;
        let token = staged.version_id.context("RotateSecret returned no version id")?;
        let after = until("AWSCURRENT moves", async || {
            let (version, value) = current(&serve).await?;
            Ok((version == token).then_some(value))
        })
        .await?;
        ensure!(after["password"] != before["password"], "the password is the same");
        fixture.log_in_with(&after).await?;
        until("the end of the rotation is printed", async || {
            Ok(serve.output().contains("rotation of arn").then_some(()))
        })
        .await?;
        for secret in [&before, &after] {
            ensure!(
                !serve.output().contains(secret["password"].as_str().unwrap_or("?")),
                "a password was printed"
            );
        }
        Ok(())
    })
    .await;
}

/// Functions in other languages are started by command lines such as
/// `python3 -m awslambdaric lambda_function.handler`.
#[tokio::test]
async fn function_may_be_a_command_line() {
    on_each(|target| async move {
        let command =
            format!("env ROTATION_STRATEGY=single-user {}", binary("rotation-postgres").display());
        let (fixture, serve, _folder) = started(&target, &command, &[]).await?;
        let value = fixture.value("AWSCURRENT")?.to_string();
        serve.client().create_secret().name("app").secret_string(value).send().await?;
        serve
            .client()
            .rotate_secret()
            .secret_id("app")
            .rotation_lambda_arn(function_arn())
            .send()
            .await?;
        serve.until_rotated().await?;
        fixture.log_in_with(&current(&serve).await?.1).await?;
        Ok(())
    })
    .await;
}

/// Two functions can use the same program with different variables, such as the strategy. Malformed
/// values are rejected.
#[tokio::test]
async fn functions_get_their_own_variables() {
    let folder = tempfile::tempdir().unwrap();
    let own =
        script(folder.path(), "own", "echo \"STRATEGY=$ROTATION_STRATEGY\"; sleep 1").unwrap();
    let serve = Serve::start(&[
        "--function",
        &own,
        "--env",
        "own:ROTATION_STRATEGY=master-user",
        "--verbose",
        "--attempts",
        "1",
    ])
    .await
    .unwrap();
    serve.client().create_secret().name("s").secret_string("x").send().await.unwrap();
    let arn = format!("arn:aws:lambda:{REGION}:123456789012:function:own");
    serve.client().rotate_secret().secret_id("s").rotation_lambda_arn(arn).send().await.unwrap();
    until("the function starts", async || {
        Ok(serve.output().contains("STRATEGY=master-user").then_some(()))
    })
    .await
    .unwrap();
    for (wrong, part) in
        [("own", "NAME:VARIABLE=VALUE"), ("other:A=b", "there is no --function other")]
    {
        let output = std::process::Command::new(binary("rotation-local"))
            .args(["serve", "--port", "0", "--function", &own, "--env", wrong])
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && message.contains(part), "{message}");
    }
}

/// With `RotateImmediately=false`, only `testSecret` runs, on a version that is deleted afterwards.
#[tokio::test]
async fn rotate_immediately_false_runs_test_secret_only() {
    on_each(|target| async move {
        let (fixture, serve, _folder) = prepared(&target, &[]).await?;
        let sdk = serve.client();
        let rules = RotationRulesType::builder().automatically_after_days(30).build();
        let configure = || {
            let call = sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn());
            call.rotation_rules(rules.clone()).rotate_immediately(false).send()
        };
        configure().await?;
        serve.until_rotated().await?;
        let message = serve.output();
        ensure!(message.contains("testSecret") && !message.contains("createSecret"), "{message}");
        let described = sdk.describe_secret().secret_id("app").send().await?;
        ensure!(
            described.version_ids_to_stages.context("the secret has no versions")?.len() == 1,
            "the version of the test still exists"
        );
        ensure!(described.rotation_enabled == Some(true) && described.next_rotation_date.is_some());
        ensure!(described.last_rotated_date.is_none(), "nothing was rotated");

        let wrong = fixture.secret(&fixture.user, "a-wrong-password").to_string();
        sdk.put_secret_value().secret_id("app").secret_string(wrong).send().await?;
        configure().await?;
        until("the test fails", async || Ok(serve.output().contains(": failed").then_some(())))
            .await?;
        ensure!(serve.output().contains("CredentialsRefused"), "{}", serve.output());
        Ok(())
    })
    .await;
}

/// The whole rotation is retried with the same token, up to the number of `--attempts`.
#[tokio::test]
async fn failed_rotation_is_attempted_again_on_request() {
    on_each(|target| async move {
        let (fixture, serve, _folder) =
            prepared(&target, &["--attempts", "3", "--pause", "0.05"]).await?;
        let sdk = serve.client();
        let right = current(&serve).await?.1;
        let mut wrong = right.clone();
        wrong["dbname"] = "no_such_database".into();
        sdk.put_secret_value().secret_id("app").secret_string(wrong.to_string()).send().await?;
        let staged =
            sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn()).send().await?;
        until("it has failed", async || {
            Ok(serve.output().contains("stopped retrying").then_some(()))
        })
        .await?;
        ensure!(serve.output().matches("✗ setSecret").count() == 3, "{}", serve.output());
        // Another rotation is rejected, and the pending one is attempted again.
        let again = sdk.rotate_secret().secret_id("app").send().await;
        let refused = again.err().context("a second rotation was started")?.into_service_error();
        ensure!(refused.is_invalid_request_exception(), "{refused:?}");
        until("it is reattempted", async || {
            Ok((serve.output().matches("stopped retrying").count() == 2).then_some(()))
        })
        .await?;
        ensure!(serve.output().matches("✗ setSecret").count() == 6, "{}", serve.output());

        sdk.put_secret_value().secret_id("app").secret_string(right.to_string()).send().await?;
        let token = staged.version_id.context("RotateSecret returned no version id")?;
        sdk.cancel_rotate_secret().secret_id("app").send().await?;
        let remove = sdk.update_secret_version_stage().secret_id("app").version_stage("AWSPENDING");
        remove.remove_from_version_id(token).send().await?;
        let staged = sdk.rotate_secret().secret_id("app").send().await?;
        until("AWSCURRENT moves", async || {
            Ok((Some(current(&serve).await?.0) == staged.version_id).then_some(()))
        })
        .await?;
        fixture.log_in_with(&current(&serve).await?.1).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn unknown_function_changes_nothing() {
    let serve = Serve::start(&[]).await.unwrap();
    let sdk = serve.client();
    sdk.create_secret().name("app").secret_string("x").send().await.unwrap();
    let refused =
        sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn()).send().await;
    let refused = format!("{:?}", refused.unwrap_err());
    assert!(
        refused.contains("AccessDenied") && refused.contains("--function app-rotation=PATH"),
        "{refused}"
    );
    let described = sdk.describe_secret().secret_id("app").send().await.unwrap();
    assert_eq!(described.rotation_enabled, None);
    assert_eq!(described.version_ids_to_stages.unwrap().len(), 1);
}

/// After `CancelRotateSecret` during a step, no other step runs.
#[tokio::test]
async fn cancelled_rotation_runs_no_further_step() {
    let folder = tempfile::tempdir().unwrap();
    let function = script(folder.path(), "app-rotation", "sleep 1; exit 1").unwrap();
    let serve = Serve::start(&["--attempts", "5", "--pause", "0.01", "--function", &function])
        .await
        .unwrap();
    let sdk = serve.client();
    sdk.create_secret().name("app").secret_string("x").send().await.unwrap();
    let rotating = || sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn());
    let token = rotating().send().await.unwrap().version_id.unwrap();
    // The same request twice starts one rotation.
    rotating().client_request_token(&token).send().await.unwrap();
    sdk.cancel_rotate_secret().secret_id("app").send().await.unwrap();
    until("it ends", async || Ok(serve.output().contains("stopped retrying").then_some(())))
        .await
        .unwrap();
    assert_eq!(serve.output().matches("✗ createSecret").count(), 1, "{}", serve.output());
}

/// Four hours of the service's clock take one second.
#[tokio::test]
async fn schedule_starts_rotations() {
    on_each(|target| async move {
        let (fixture, serve, _folder) = prepared(&target, &["--time-scale", "14400"]).await?;
        let sdk = serve.client();
        let rules = RotationRulesType::builder().schedule_expression("rate(4 hours)").build();
        let call = sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn());
        call.rotation_rules(rules).rotate_immediately(false).send().await?;
        let first = current(&serve).await?.0;
        let second = until("the first rotation starts", async || {
            Ok(Some(current(&serve).await?.0).filter(|now| *now != first))
        })
        .await?;
        until("the second rotation starts", async || {
            Ok(Some(current(&serve).await?.0).filter(|now| *now != second && *now != first))
        })
        .await?;
        sdk.cancel_rotate_secret().secret_id("app").send().await?;
        let described = sdk.describe_secret().secret_id("app").send().await?;
        ensure!(described.next_rotation_date.is_none() && described.last_rotated_date.is_some());
        until("the last rotation ends", async || {
            Ok((serve.output().matches("rotation of").count() % 2 == 0).then_some(()))
        })
        .await?;
        fixture.log_in_with(&current(&serve).await?.1).await?;
        assert_eq!(fixture.failed_logins()?, 0);
        Ok(())
    })
    .await;
}
