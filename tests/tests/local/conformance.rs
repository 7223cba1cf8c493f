//! Conformance tests in plain SDK calls: they check what AWS documents about Secrets Manager, on
//! `rotation-local`, on moto and on a real account.
//!
//! `SECRETS_MANAGER_CONFORMANCE=aws` also runs them in the account of the usual AWS variables. They
//! create secrets there whose names begin with `conformance/`, and delete each of them without a
//! recovery window when its case ends.

mod cases;

use std::process::Command;

use anyhow::{Result, ensure};
use aws_config::BehaviorVersion;
use aws_sdk_secretsmanager::Client;
use rotation_tests::child_process::{ChildProcess, output_of};
use rotation_tests::local::{REGION, Serve, aws, client, http};
use rotation_tests::{repository, tool};

/// The cases in which moto 5.2.5 differs from AWS's documentation. Every other case must pass on
/// moto, and these must fail.
const MOTO_DIFFERENCES: &[(&str, &str)] = &[
    ("names_are_checked", "moto accepts any name"),
    (
        "custom_label_move_must_name_current_holder",
        "RemoveFromVersionId is needed only for AWSCURRENT",
    ),
    ("moved_current_label_changes_current_value", "a plain GetSecretValue returns the old value"),
    (
        "next_value_removes_pending_label_of_finished_rotation",
        "AWSPENDING stays on the old version",
    ),
    ("current_label_can_be_moved_but_not_removed", "AWSCURRENT can be removed"),
    ("version_has_at_most_twenty_labels", "moto accepts any number of labels"),
    ("deprecated_versions_are_listed_on_request", "moto always lists them"),
    ("versions_are_listed_in_pages", "moto ignores MaxResults"),
    ("binary_values_round_trip", "moto accepts a binary value and a text together"),
    ("values_have_at_most_65536_bytes", "moto accepts a value of any length"),
    ("tags_have_limits", "moto accepts any tag"),
    ("a_deleted_secret_can_be_restored", "moto writes to a secret that is marked for deletion"),
    ("secrets_are_listed_in_pages_and_in_order", "moto ignores SortBy"),
    ("secrets_can_be_deleted_between_pages", "the next page skips secrets after a deletion"),
    (
        "many_values_are_read_at_once",
        "moto accepts a request with neither or both of list and filters",
    ),
    (
        "passwords_follow_the_requested_options",
        "moto returns an error that the service does not have",
    ),
    ("resource_policies_are_kept_and_checked", "moto accepts any text as a policy"),
    ("reads_and_changes_update_their_dates", "moto sets no LastAccessedDate after a read"),
    ("rotation_needs_a_function", "moto starts a rotation without a function"),
    ("rotation_is_rejected_while_another_is_pending", "moto starts a second rotation"),
    ("rotation_to_an_earlier_version_is_rejected", "moto rotates to AWSPREVIOUS"),
    ("rotation_rules_are_checked_and_shown", "moto accepts any rules"),
    ("rotation_rate_in_hours_is_shown_in_days_too", "moto keeps no schedule expression"),
    ("rotation_refused_leaves_no_trace", "moto starts the rotation"),
    ("rotation_version_without_a_value_is_not_listed", "moto lists the version"),
    (
        "descriptions_are_filtered_by_the_beginnings_of_words",
        "moto does not split upper-case words",
    ),
    ("words_of_all_fields_must_be_in_one_field", "moto does not split upper-case words"),
    ("filter_without_a_key_is_rejected", "moto fails with an internal error"),
    ("excluded_space_is_never_generated", "the password contains the space"),
    ("labels_are_returned_in_alphabetical_order", "moto keeps the order of the request"),
    ("update_does_not_accept_an_existing_version", "moto accepts the token of a version"),
    ("secret_without_a_value_gets_a_first_current_version", "moto demands RemoveFromVersionId"),
    ("label_of_a_new_value_is_taken_from_its_holder", "moto lists deprecated versions"),
    ("policies_of_a_deleted_secret_cannot_be_used", "moto changes the policy of a deleted secret"),
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
async fn local_service_passes_conformance_cases() {
    // The function fails immediately, because the cases do not depend on what it does.
    let arguments = ["--function", "some-rotation=/bin/false", "--attempts", "1"];
    let serve = Serve::start(&arguments).await.unwrap();
    let failures = failures(&serve.client(), true).await;
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Starts moto's own server, with a rotation function that does nothing.
async fn moto() -> Result<(ChildProcess, String)> {
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
        output_of(aws(&endpoint, "x").args(arguments))?;
    }
    Ok((server, endpoint))
}

#[tokio::test]
async fn moto_fails_only_the_listed_cases() {
    let (_moto, endpoint) = moto().await.unwrap();
    let failures = failures(&client(&endpoint, "test", REGION), true).await;
    for (case, why) in &failures {
        println!("{case}: {why}");
    }
    let failed: Vec<&str> = failures.iter().map(|(case, _)| *case).collect();
    let listed: Vec<&str> = MOTO_DIFFERENCES.iter().map(|(case, _)| *case).collect();
    assert_eq!(failed, listed);
    let page = std::fs::read_to_string(repository().join("docs/local.md")).unwrap();
    for (case, why) in MOTO_DIFFERENCES {
        let row = format!("| {} | {why} |", case.replace('_', " "));
        assert!(page.contains(&row), "docs/local.md has no row: {row}");
    }
}

#[tokio::test]
async fn real_account_passes_conformance_cases() {
    if std::env::var("SECRETS_MANAGER_CONFORMANCE").as_deref() != Ok("aws") {
        println!("skipped: SECRETS_MANAGER_CONFORMANCE=aws runs it in your account");
        return;
    }
    let config = aws_config::load_defaults(BehaviorVersion::v2026_01_12()).await;
    let failures = failures(&Client::new(&config), false).await;
    assert!(failures.is_empty(), "{failures:#?}");
}
