//! Tests of `ASSUME_ROLE_ARN` with moto. Its credentials of a role belong to the role's account.

use anyhow::{Context, Result, ensure};
use aws_config::{BehaviorVersion, Region};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::Credentials;
use aws_sdk_secretsmanager::types::RotationRulesType;
use rotation_driver::{Function, Program, STEPS};
use rotation_tests::local::aws;
use rotation_tests::moto;
use rotation_tests::postgres::{Fixture, on_newest};
use serde_json::{Value, json};

const ROLE: &str = "arn:aws:iam::222222222222:role/rotation";
const REGION: &str = "us-east-1";

/// Returns a client with the credentials of the role.
fn client_of_role(moto: &str) -> Result<Client> {
    let mut command = aws(moto, "test");
    command.args(["sts", "assume-role", "--role-session-name", "test", "--role-arn", ROLE]);
    let output = command.args(["--region", REGION]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    let text = |key: &str| answer["Credentials"][key].as_str().unwrap_or_default().to_owned();
    let (key, secret) = (text("AccessKeyId"), text("SecretAccessKey"));
    let credentials = Credentials::new(key, secret, Some(text("SessionToken")), None, "role");
    let config = aws_sdk_secretsmanager::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(REGION))
        .credentials_provider(credentials)
        .endpoint_url(moto)
        .build();
    Ok(Client::from_conf(config))
}

/// Returns the function with moto as the only AWS service.
fn program(fixture: &Fixture, moto: &str) -> Program {
    fixture
        .program("single-user")
        .env("SECRETS_MANAGER_ENDPOINT", moto)
        .env("AWS_ENDPOINT_URL_STS", moto)
}

async fn current(client: &Client) -> Result<Value> {
    let current = client.get_secret_value().secret_id("app").send().await?;
    Ok(serde_json::from_str(current.secret_string().unwrap_or_default())?)
}

#[tokio::test]
async fn secret_of_another_account_is_rotated_with_an_assumed_role() {
    on_newest(|target| async move {
        let (_server, moto) = moto::server().await?;
        let (fixture, client) = (Fixture::new(&target).await?, client_of_role(&moto)?);
        let before = fixture.value("AWSCURRENT")?;
        let created =
            client.create_secret().name("app").secret_string(before.to_string()).send().await?;
        let arn = created.arn().context("no ARN")?;
        ensure!(arn.contains(":222222222222:secret:app-"), "{arn}");
        let rules = RotationRulesType::builder().automatically_after_days(30).build();
        let staged = client.rotate_secret().secret_id("app").rotation_rules(rules).send().await?;
        let token = staged.version_id().context("no version id")?;
        // Without a Lambda function, moto labels the empty version AWSCURRENT.
        let first = created.version_id().context("no version id")?;
        for (label, version, from) in
            [("AWSCURRENT", first, Some(token)), ("AWSPENDING", token, None)]
        {
            let moved = client.update_secret_version_stage().secret_id("app").version_stage(label);
            let moved = moved.move_to_version_id(version);
            moved.set_remove_from_version_id(from.map(str::to_owned)).send().await?;
        }
        let event =
            |step: &str| json!({"Step": step, "SecretId": arn, "ClientRequestToken": token});

        // moto finds the secret in the account of the credentials only.
        let own: Function = program(&fixture, &moto).into();
        let error = own.invoke(&event("createSecret")).await.err().context("no role was needed")?;
        assert_eq!(error.error_type, "SecretNotFound", "{}", error.message);

        let function: Function = program(&fixture, &moto).env("ASSUME_ROLE_ARN", ROLE).into();
        for step in STEPS {
            let answer = function.invoke(&event(step)).await;
            answer.map_err(|error| anyhow::anyhow!("{}: {}", error.error_type, error.message))?;
        }
        let rotated = current(&client).await?;
        ensure!(rotated["password"] != before["password"], "the password has not changed");
        fixture.log_in_with(&rotated).await?;
        let log = fixture.function_log();
        for secret in [&before, &rotated] {
            let password = secret["password"].as_str().context("no password")?;
            ensure!(!log.contains(password), "a password was logged");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn role_that_cannot_be_assumed_is_reported() {
    on_newest(|target| async move {
        let fixture = Fixture::new(&target).await?;
        // Nothing listens on one port. On the other one, nothing answers.
        let closed = test_servers::free_port()?;
        let silent = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        for port in [closed, silent.local_addr()?.port()] {
            let program = fixture.program("single-user").env("ASSUME_ROLE_ARN", ROLE);
            let endpoint = format!("http://127.0.0.1:{port}");
            let unreachable: Function = program.env("AWS_ENDPOINT_URL_STS", endpoint).into();
            let token = fixture.stage(fixture.version("AWSPENDING")?.as_deref())?;
            let error = fixture.attempt(&unreachable, &token, 1).await.failed;
            let error = error.context("the rotation succeeded")?;
            assert_eq!(error.error_type, "AwsCredentials", "{}", error.message);
            for part in ["ASSUME_ROLE_ARN", "sts:AssumeRole", "trust policy", "reach STS"] {
                ensure!(error.message.contains(part), "{part} is not in {}", error.message);
            }
        }
        let malformed: Function = fixture
            .program("single-user")
            .env("ASSUME_ROLE_ARN", "arn:aws:iam::222222222222:user/rotation")
            .into();
        let error = fixture.again(&malformed).await?.failed.context("the rotation succeeded")?;
        assert_eq!(error.error_type, "InvalidSetting", "{}", error.message);
        ensure!(error.message.contains("ASSUME_ROLE_ARN"), "{}", error.message);
        Ok(())
    })
    .await;
}
