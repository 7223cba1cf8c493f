//! Conformance tests in plain SDK calls: they check what AWS documents about Secrets Manager, on
//! `rotation-local`, on moto and on a real account.
//!
//! `SECRETS_MANAGER_CONFORMANCE=aws` also runs them in the account of the usual AWS variables. They
//! create secrets there whose names begin with `conformance/`, and delete each of them without a
//! recovery window when its case ends.

mod cases;

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use aws_config::BehaviorVersion;
use aws_sdk_secretsmanager::Client;
use rotation_tests::background::Background;
use rotation_tests::local::{REGION, Serve, aws, client, http};
use rotation_tests::tool;

/// The cases in which moto 5.2.5 differs from AWS's documentation. Every other case must pass on
/// moto, and these must fail.
const MOTO_DIFFERS: &[(&str, &str)] = &[
    ("names_are_checked", "any name is taken"),
    (
        "another_label_must_name_its_version_as_well",
        "RemoveFromVersionId is demanded for AWSCURRENT only",
    ),
    (
        "after_a_move_the_current_value_is_the_other",
        "a plain GetSecretValue still answers the old value",
    ),
    (
        "the_pending_label_of_an_ended_rotation_goes_with_the_next_value",
        "AWSPENDING stays on the old version",
    ),
    ("current_can_be_moved_and_not_removed", "AWSCURRENT can be removed"),
    ("a_version_has_twenty_labels_at_most", "any number of labels is taken"),
    ("deprecated_versions_are_listed_when_asked_for", "they are always listed"),
    ("versions_are_listed_in_pages", "MaxResults counts for nothing"),
    ("bytes_come_back_as_they_were", "bytes and a text are taken together"),
    ("a_value_is_65536_bytes_long_at_most", "a value of any length is taken"),
    ("tags_have_limits", "any tag is taken"),
    ("a_deleted_secret_can_be_restored", "a secret that is marked for deletion can be written to"),
    ("secrets_are_listed_in_pages_and_in_order", "SortBy counts for nothing"),
    (
        "secrets_may_be_deleted_while_they_are_listed_in_pages",
        "the next page begins behind what has moved up",
    ),
    (
        "many_values_are_read_at_once",
        "neither a list nor filters is taken, and filters with a list",
    ),
    ("passwords_are_made_as_asked_for", "another error's name, which the model does not have"),
    ("resource_policies_are_kept_and_checked", "anything is taken for a policy"),
    ("reading_and_changing_leave_their_dates", "reading leaves no LastAccessedDate"),
    ("rotation_needs_a_function", "a rotation without a function is begun"),
    ("rotation_is_refused_while_another_is_not_complete", "a second rotation is begun"),
    ("rotation_to_a_version_that_was_something_else_is_refused", "AWSPREVIOUS is rotated to"),
    ("rotation_rules_are_checked_and_shown", "any rules are taken"),
];

/// Runs the cases and returns those that fail, with their errors.
async fn failures(client: &Client, with_rotation: bool) -> Vec<(&'static str, String)> {
    let mut failures = Vec::new();
    for (name, run) in cases::all() {
        if name.starts_with("rotation_") && !with_rotation {
            println!("skipped: {name} needs a rotation function");
            continue;
        }
        if let Err(error) = run(client.clone()).await {
            failures.push((*name, format!("{error:#}")));
        }
    }
    failures
}

#[tokio::test]
async fn the_local_service_does_as_aws_documents() {
    // The function fails immediately, because the cases do not depend on what it does.
    let arguments = ["--function", "some-rotation=/bin/false", "--attempts", "1"];
    let serve = Serve::start(&arguments).await.unwrap();
    let failures = failures(&serve.client(), true).await;
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Starts moto's own server, with a rotation function that does nothing.
async fn moto() -> Result<(Background, String)> {
    let (server, endpoint) = rotation_tests::moto::server().await?;
    let config = http()?.post(format!("{endpoint}/moto-api/config"));
    config.body(r#"{"lambda": {"use_docker": false}}"#).send().await?.error_for_status()?;
    let folder = tempfile::tempdir()?;
    let zip = folder.path().join("function.zip");
    let script = "import sys, zipfile; zipfile.ZipFile(sys.argv[1], 'w').writestr('f.py', 'def \
        f(event, context): pass')";
    ensure!(Command::new(tool("python")).args(["-c", script]).arg(&zip).status()?.success());
    let zip = format!("fileb://{}", zip.display());
    let role = ["iam", "create-role", "--role-name", "r", "--assume-role-policy-document", "{}"];
    let function = [
        "lambda",
        "create-function",
        "--function-name",
        "some-rotation",
        "--runtime",
        "python3.12",
    ];
    let its =
        ["--role", "arn:aws:iam::123456789012:role/r", "--handler", "f.f", "--zip-file", &zip];
    for arguments in [&role[..], &[&function[..], &its[..]].concat()] {
        let output = aws(&endpoint, "x").args(arguments).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok((server, endpoint))
}

#[tokio::test]
async fn moto_differs_where_the_table_says_so() {
    let (_moto, endpoint) = moto().await.unwrap();
    let failures = failures(&client(&endpoint, "test", REGION), true).await;
    for (case, why) in &failures {
        println!("{case}: {why}");
    }
    let failed: Vec<&str> = failures.iter().map(|(case, _)| *case).collect();
    let listed: Vec<&str> = MOTO_DIFFERS.iter().map(|(case, _)| *case).collect();
    assert_eq!(failed, listed);
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/local.md"))
            .unwrap();
    for (case, why) in MOTO_DIFFERS {
        let row = format!("| {} | {why} |", case.replace('_', " "));
        assert!(page.contains(&row), "docs/local.md has no row: {row}");
    }
}

#[tokio::test]
async fn a_real_account_does_as_aws_documents() {
    if std::env::var("SECRETS_MANAGER_CONFORMANCE").as_deref() != Ok("aws") {
        println!("skipped: SECRETS_MANAGER_CONFORMANCE=aws runs it in your account");
        return;
    }
    let config = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let failures = failures(&Client::new(&config), false).await;
    assert!(failures.is_empty(), "{failures:#?}");
}
