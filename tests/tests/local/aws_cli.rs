//! Tests that run the commands of AWS's own pages with the AWS CLI.

use anyhow::Result;
use rotation_tests::local::Serve;
use serde_json::Value;

const COMMANDS: &str = include_str!("aws_cli_commands.txt");

fn run_in_shell(serve: &Serve, command: &str) -> Result<String> {
    serve.run_in_shell(command, &[])
}

fn json(serve: &Serve, command: &str) -> Result<Value> {
    Ok(serde_json::from_str(&run_in_shell(serve, command)?)?)
}

#[tokio::test]
async fn documented_commands_return_documented_members() {
    let serve = Serve::start(&[]).await.unwrap();
    for name in ["production/MyAwesomeAppSecret", "MySecret2"] {
        run_in_shell(
            &serve,
            &format!("aws secretsmanager create-secret --name {name} --secret-string first"),
        )
        .unwrap();
    }
    let mut lines = COMMANDS.lines().filter(|line| !line.starts_with('#'));
    let mut typed = 0;
    while let Some(command) = lines.next().and_then(|line| line.strip_prefix("$ ")) {
        let members: Vec<&str> = lines.next().unwrap_or_default().split_whitespace().collect();
        println!("{command}");
        let answer = run_in_shell(&serve, command).unwrap();
        typed += 1;
        if members.is_empty() {
            assert_eq!(answer, "", "{command}");
            continue;
        }
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let given: Vec<&String> = answer.as_object().unwrap().keys().collect();
        assert_eq!(given, members, "{command}");
        let arn = answer["ARN"].as_str().unwrap();
        let start =
            "arn:aws:secretsmanager:eu-west-3:123456789012:secret:production/MyAwesomeAppSecret-";
        assert!(arn.starts_with(start) && arn.len() == start.len() + 6, "{arn}");
    }
    assert_eq!(typed, 5);
    let app = json(
        &serve,
        "aws secretsmanager describe-secret --secret-id production/MyAwesomeAppSecret",
    )
    .unwrap();
    assert_eq!(app["Description"], "This is the description I want to attach to the secret.");
    let key = "arn:aws:kms:region:123456789012:key/EXAMPLE1-90ab-cdef-fedc-ba987EXAMPLE";
    assert_eq!(app["KmsKeyId"], key);
    let value = json(
        &serve,
        "aws secretsmanager get-secret-value --secret-id production/MyAwesomeAppSecret",
    )
    .unwrap();
    assert_eq!(value["SecretString"], r#"{"username":"anika","password":"a different password"}"#);
    let previous = "aws secretsmanager get-secret-value --secret-id production/MyAwesomeAppSecret \
        --version-stage AWSPREVIOUS";
    assert_eq!(json(&serve, previous).unwrap()["SecretString"], "first");
    let other = json(&serve, "aws secretsmanager describe-secret --secret-id MySecret2").unwrap();
    assert_eq!(other["Tags"], serde_json::json!([{"Key": "costcenter", "Value": "12345"}]));
}

/// AWS's API reference says of the key of `UpdateSecret` that it encrypts "new secret versions as
/// well as any existing versions with the staging labels AWSCURRENT, AWSPENDING, or AWSPREVIOUS".
#[tokio::test]
async fn value_is_readable_while_its_kms_key_is_enabled() {
    let serve = Serve::start(&[]).await.unwrap();
    let aws = |command: &str| run_in_shell(&serve, &format!("aws {command}"));
    aws("secretsmanager create-secret --name s --secret-string one --kms-key-id alias/old")
        .unwrap();
    let read = "secretsmanager get-secret-value --secret-id s --query SecretString --output text";
    let keys = |expected: &[&str]| {
        let versions = "secretsmanager list-secret-version-ids --secret-id s --include-deprecated \
            --query Versions[].KmsKeyIds[] --output text";
        assert_eq!(aws(versions).unwrap().split_whitespace().collect::<Vec<_>>(), expected);
    };
    aws("kms disable-key --key-id alias/old").unwrap();
    assert!(aws(read).unwrap_err().to_string().contains("DecryptionFailure"));
    // A value that cannot be decrypted keeps its key.
    aws("secretsmanager update-secret --secret-id s --kms-key-id alias/new").unwrap();
    keys(&["alias/old"]);
    aws("kms enable-key --key-id alias/old").unwrap();
    assert_eq!(aws(read).unwrap(), "one\n");
    for value in ["two", "three"] {
        let put = format!("secretsmanager put-secret-value --secret-id s --secret-string {value}");
        aws(&put).unwrap();
    }
    keys(&["alias/old", "alias/new", "alias/new"]);
    // The first version has no label any more. The two others are encrypted again.
    aws("secretsmanager update-secret --secret-id s --kms-key-id alias/newest").unwrap();
    keys(&["alias/old", "alias/newest", "alias/newest"]);
    for key in ["alias/old", "alias/new"] {
        aws(&format!("kms disable-key --key-id {key}")).unwrap();
    }
    assert_eq!(aws(read).unwrap(), "three\n");
    let state =
        aws("kms describe-key --key-id alias/old --query KeyMetadata.KeyState --output text")
            .unwrap();
    assert_eq!(state, "Disabled\n");
    aws("kms disable-key --key-id alias/newest").unwrap();
    let written = aws("secretsmanager put-secret-value --secret-id s --secret-string four");
    assert!(written.unwrap_err().to_string().contains("EncryptionFailure"));
}
