//! Tests of what `rotation-local serve` rejects, and of what it does not pass to functions.

use rotation_tests::binary;
use rotation_tests::local::{REGION, Serve, http, script, until};

use crate::serve::function_arn;

/// The function does not get the AWS variables of this process or the passphrase. It may print any
/// bytes.
#[tokio::test]
async fn function_gets_no_secret_of_its_parent_process() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let function = script(
        folder.path(),
        "app-rotation",
        "printf '\\377 no UTF-8\\n'; env; echo the end; exit 1",
    )
    .unwrap();
    let arguments = [
        "--verbose",
        "--attempts",
        "1",
        "--function",
        &function,
        "--state",
        state.to_str().unwrap(),
    ];
    let environment = [
        ("ROTATION_LOCAL_PASSPHRASE", "the-passphrase-of-the-test"),
        ("AWS_SESSION_TOKEN", "the-token-of-the-parent"),
        ("AWS_DEFAULT_REGION", "ap-south-1"),
    ];
    let serve = Serve::start_with(&arguments, &environment).await.unwrap();
    let sdk = serve.client();
    sdk.create_secret().name("app").secret_string("x").send().await.unwrap();
    sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn()).send().await.unwrap();
    until("its last line", async || Ok(serve.output().contains("the end").then_some(())))
        .await
        .unwrap();
    let message = serve.output();
    for part in [
        "no UTF-8".to_owned(),
        format!("AWS_DEFAULT_REGION={REGION}"),
        format!("AWS_ENDPOINT_URL_SECRETS_MANAGER={}", serve.endpoint()),
        "AWS_ACCESS_KEY_ID=***".to_owned(),
    ] {
        assert!(message.contains(&part), "{part} is not in {message}");
    }
    for part in ["the-passphrase-of-the-test", "the-token-of-the-parent", "ap-south-1"] {
        assert!(!message.contains(part), "{part} is in {message}");
    }
}

/// Pages of other sites can send requests to this machine. The browser sends their origin.
#[tokio::test]
async fn request_with_foreign_origin_is_rejected() {
    let serve = Serve::start(&["--any-credentials"]).await.unwrap();
    let asked =
        http().unwrap().post(serve.endpoint()).header("x-amz-target", "secretsmanager.ListSecrets");
    let asked = asked.header("origin", "http://evil.example").body("{}").send().await.unwrap();
    assert_eq!(asked.status(), 400);
    assert!(asked.text().await.unwrap().contains("AccessDenied"));
}

#[tokio::test]
async fn unsafe_options_and_long_requests_are_rejected() {
    for arguments in [
        &["--listen", "0.0.0.0"][..],
        &["--listen", "0.0.0.0", "--expose", "--any-credentials"],
        &["--state", "/tmp/never-made"],
        &["--account", "12"],
        &["--time-scale", "0"],
    ] {
        let output = std::process::Command::new(binary("rotation-local"))
            .arg("serve")
            .args(arguments)
            .output();
        let output = output.unwrap();
        assert!(!output.status.success(), "{arguments:?} was accepted");
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(arguments.iter().any(|argument| message.contains(argument)), "{message}");
    }
    let serve = Serve::start(&["--any-credentials"]).await.unwrap();
    let long = http().unwrap().post(serve.endpoint());
    let answer =
        long.header("x-amz-target", "secretsmanager.CreateSecret").body("x".repeat(600_000));
    assert_eq!(answer.send().await.unwrap().status(), 413);
    let longest = "\u{1}".repeat(65536);
    serve.client().create_secret().name("long").secret_string(longest).send().await.unwrap();
}
