//! Tests of the example that rotates the password of a Redis user.

use anyhow::{Context, Result, ensure};
use rotation_tests::fixture::new_password;
use rotation_tests::redis::Redis;
use secretsmanager_emulator::When;
use serde_json::{Value, json};

use crate::Fixture;

/// Starts a Redis server for one test, and returns it with a secret for its user.
async fn redis(password: &str, rules: &str) -> Result<(Redis, Value)> {
    let users = format!("user default off\nuser app on >{password} ~* &* {rules}\n");
    let redis = Redis::start(&users).await?;
    let secret = json!({
        "host": "127.0.0.1",
        "port": redis.port,
        "username": "app",
        "password": password,
        "tls": false,
    });
    Ok((redis, secret))
}

fn works(redis: &Redis, value: &Value) -> bool {
    redis.run("app", value["password"].as_str().unwrap_or_default(), &["GET", "x"]).is_ok()
}

#[tokio::test]
async fn both_passwords_work_until_finish_secret() -> Result<()> {
    let password = new_password();
    let (redis, secret) = redis(&password, "+@all").await?;
    let fixture = Fixture::new("examples/redis_acl", &secret).await?;
    for _ in 0..2 {
        let before = fixture.value("AWSCURRENT")?;
        let token = fixture.stage()?;
        for step in ["createSecret", "setSecret", "testSecret", "finishSecret"] {
            let event =
                json!({"Step": step, "SecretId": "test/secret", "ClientRequestToken": token});
            let answer = fixture.function.invoke(&event).await;
            answer.map_err(|error| anyhow::anyhow!("{}: {}", error.error_type, error.message))?;
            if step == "setSecret" {
                ensure!(works(&redis, &before) && works(&redis, &fixture.value("AWSPENDING")?));
            }
        }
        let after = fixture.value("AWSCURRENT")?;
        ensure!(works(&redis, &after) && !works(&redis, &before));
        let current = after["password"].as_str().context("the secret has no password")?;
        // Neither the slow log nor the ACL file contains the password.
        let slow_log = redis.run("app", current, &["SLOWLOG", "GET", "1000"])?;
        ensure!(slow_log.to_lowercase().contains("setuser"), "{slow_log}");
        let acl = std::fs::read_to_string(redis.acl_file())?;
        for value in [&before, &after] {
            let password = value["password"].as_str().context("the secret has no password")?;
            ensure!(!slow_log.contains(password) && !acl.contains(password));
            fixture.search(password)?;
        }
        ensure!(acl.contains("user app on"), "the users are not saved: {acl}");
    }
    Ok(())
}

#[tokio::test]
async fn retry_after_any_failed_call_leaves_one_password() -> Result<()> {
    for when in [When::Before, When::After] {
        for point in 0.. {
            let password = new_password();
            let (redis, secret) = redis(&password, "+@all").await?;
            let fixture = Fixture::new("examples/redis_acl", &secret).await?;
            let more = fixture.fail_and_retry(point, when).await?;
            ensure!(
                works(&redis, &fixture.value("AWSCURRENT")?) && !works(&redis, &secret),
                "{when:?} call {point}"
            );
            if !more {
                ensure!(point >= 10, "only {point} calls");
                break;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn failures_have_distinct_errors() -> Result<()> {
    let password = new_password();
    let (_redis, good) = redis(&password, "+@read +auth").await?;
    let mut wrong = good.clone();
    wrong["password"] = "a-wrong-password".into();
    let mut elsewhere = good.clone();
    elsewhere["port"] = 9.into();
    for (secret, error_type) in
        [(good, "PrivilegeMissing"), (wrong, "CredentialsRefused"), (elsewhere, "RedisFailed")]
    {
        let fixture = Fixture::new("examples/redis_acl", &secret).await?;
        let error =
            fixture.attempt(&fixture.stage()?).await.failed.context("the rotation succeeded")?;
        println!("{}", error.message);
        assert_eq!(error.error_type, error_type, "{}", error.message);
        ensure!(error.message.contains("What to do: ") && !error.message.contains(&password));
    }
    Ok(())
}
