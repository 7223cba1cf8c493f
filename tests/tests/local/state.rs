//! Tests of `--state`: what the service keeps if the process is killed at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rotation_tests::binary;
use rotation_tests::local::{Serve, script, until};

const PASSPHRASE: (&str, &str) = ("ROTATION_LOCAL_PASSPHRASE", "a passphrase of the tests");

#[tokio::test]
async fn killed_service_keeps_last_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let arguments = ["--state", file.to_str().unwrap()];
    let mut acknowledged = 0_u32;
    for round in 0..5_u64 {
        let serve = Serve::start_with(&arguments, &[PASSPHRASE]).await.unwrap();
        let sdk = serve.client();
        if round == 0 {
            sdk.create_secret().name("s").secret_string("0").tags(tag()).send().await.unwrap();
        }
        let written = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&written);
        let writing = tokio::spawn(async move {
            // This loop ends when the service is killed.
            for number in acknowledged + 1.. {
                let put = sdk.put_secret_value().secret_id("s").secret_string(number.to_string());
                if put.send().await.is_err() {
                    return number - 1;
                }
                count.fetch_add(1, Ordering::SeqCst);
            }
            0
        });
        // The kill comes at any time during a write, but not before the fifth one.
        until("five writes", async || Ok((written.load(Ordering::SeqCst) >= 5).then_some(())))
            .await
            .unwrap();
        tokio::time::sleep(Duration::from_millis(13 * round)).await;
        serve.kill().unwrap();
        acknowledged = writing.await.unwrap();

        let serve = Serve::start_with(&arguments, &[PASSPHRASE]).await.unwrap();
        let got = serve.client().get_secret_value().secret_id("s").send().await.unwrap();
        let kept: u32 = got.secret_string.unwrap().parse().unwrap();
        println!("round {round}: {acknowledged} acknowledged, {kept} kept");
        // A write whose answer was lost may have been saved.
        assert!(
            kept == acknowledged || kept == acknowledged + 1,
            "{kept} instead of {acknowledged}"
        );
        acknowledged = kept;
        let described = serve.client().describe_secret().secret_id("s").send().await.unwrap();
        assert_eq!(described.tags(), [tag()]);
        serve.kill().unwrap();
    }
    assert!(acknowledged > 20, "only {acknowledged} writes");
}

/// Clients keep their configuration when the service restarts.
#[tokio::test]
async fn access_key_is_kept_with_the_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let arguments = ["--state", file.to_str().unwrap()];
    let first = Serve::start_with(&arguments, &[PASSPHRASE]).await.unwrap();
    let key = first.key.clone();
    first.kill().unwrap();
    let second = Serve::start_with(&arguments, &[PASSPHRASE]).await.unwrap();
    assert_eq!(second.key, key);
    let bytes = std::fs::read(&file).unwrap();
    assert!(
        !bytes.windows(key.len()).any(|part| part == key.as_bytes()),
        "the access key is in the file unencrypted"
    );
    let other = folder.path().join("other");
    let third =
        Serve::start_with(&["--state", other.to_str().unwrap()], &[PASSPHRASE]).await.unwrap();
    assert_ne!(third.key, key);
}

fn tag() -> aws_sdk_secretsmanager::types::Tag {
    aws_sdk_secretsmanager::types::Tag::builder().key("Team").value("Payments").build()
}

#[tokio::test]
async fn state_file_is_encrypted_and_locked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let passphrase = folder.path().join("passphrase");
    std::fs::write(&passphrase, format!("{}\n", PASSPHRASE.1)).unwrap();
    let arguments =
        ["--state", file.to_str().unwrap(), "--passphrase-file", passphrase.to_str().unwrap()];
    let serve = Serve::start(&arguments).await.unwrap();
    let making =
        serve.client().create_secret().name("the-name").secret_string("the-password-in-it");
    making.send().await.unwrap();
    let started = |passphrase: &'static str| {
        let mut command = std::process::Command::new(rotation_tests::binary("rotation-local"));
        command.args(["serve", "--port", "0", "--state"]).arg(&file).env(PASSPHRASE.0, passphrase);
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(started(PASSPHRASE.1).contains("another process"));
    serve.kill().unwrap();
    assert!(started("another").contains("passphrase is not the one"));
    assert!(started("").contains(PASSPHRASE.0));
    let bytes = std::fs::read(&file).unwrap();
    for text in ["the-name", "the-password-in-it"] {
        assert!(
            !bytes.windows(text.len()).any(|window| window == text.as_bytes()),
            "{text} is in the file unencrypted"
        );
    }
}

/// A rotation that was running continues, and the temporary version of a test that was running is
/// deleted.
#[tokio::test]
async fn restarted_service_resumes_rotations() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let function = script(folder.path(), "slow", "sleep 60").unwrap();
    let arguments = ["--state", file.to_str().unwrap(), "--function", &function];
    let arn = "arn:aws:lambda:eu-west-3:123456789012:function:slow";
    let serve = Serve::start_with(&arguments, &[PASSPHRASE]).await.unwrap();
    let sdk = serve.client();
    for (name, immediately) in [("rotated", true), ("tested", false)] {
        sdk.create_secret().name(name).secret_string("x").send().await.unwrap();
        let rotating = sdk.rotate_secret().secret_id(name).rotation_lambda_arn(arn);
        rotating.rotate_immediately(immediately).send().await.unwrap();
    }
    serve.kill().unwrap();

    let serve = Serve::start_with(&arguments, &[PASSPHRASE]).await.unwrap();
    until("it continues", async || Ok(serve.output().contains("resumed from").then_some(())))
        .await
        .unwrap();
    assert_eq!(serve.output().matches("resumed from").count(), 1, "{}", serve.output());
    let stages = async |name: &str| {
        let described = serve.client().describe_secret().secret_id(name).send().await.unwrap();
        described.version_ids_to_stages.unwrap().len()
    };
    assert_eq!((stages("rotated").await, stages("tested").await), (2, 1));
}

/// With another account, the owner could not find the stored secrets by their names.
#[tokio::test]
async fn stored_secrets_belong_to_the_account_of_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state");
    let with = |account| ["--state", file.to_str().unwrap(), "--account", account];
    let serve = Serve::start_with(&with("111111111111"), &[PASSPHRASE]).await.unwrap();
    serve.client().create_secret().name("s").secret_string("0").send().await.unwrap();
    serve.kill().unwrap();

    let (name, value) = PASSPHRASE;
    let output = std::process::Command::new(binary("rotation-local"))
        .arg("serve")
        .args(with("222222222222"))
        .env(name, value)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && message.contains("--account 111111111111"), "{message}");

    let serve = Serve::start_with(&with("111111111111"), &[PASSPHRASE]).await.unwrap();
    assert!(serve.client().get_secret_value().secret_id("s").send().await.is_ok());
}
