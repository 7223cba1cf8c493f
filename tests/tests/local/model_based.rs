//! Model-based tests: after any sequence of operations, the service shows what a simple model of
//! the documentation predicts.

mod reference;

use anyhow::{Context, Result, ensure};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::types::Tag;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use rotation_tests::local::Serve;

use reference::{Op, Plain};

const FUNCTION: &str = "arn:aws:lambda:eu-west-3:123456789012:function:some-rotation";
/// The version ids in all sequences. There are few of them, so that operations hit existing
/// versions.
const TOKENS: [&str; 4] = [
    "00000000-0000-0000-0000-000000000000",
    "11111111-1111-1111-1111-111111111111",
    "22222222-2222-2222-2222-222222222222",
    "33333333-3333-3333-3333-333333333333",
];
const LABELS: [&str; 4] = ["AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "mine"];

fn op() -> impl Strategy<Value = Op> {
    let token = || prop::sample::select(&TOKENS[..]);
    let label = || prop::sample::select(&LABELS[..]);
    let value = || prop::sample::select(&["one", "two", "three"][..]);
    let labels = prop::option::of(prop::sample::subsequence(&LABELS[..], 1..=3).prop_shuffle());
    prop_oneof![
        2 => (token(), prop::option::of(value()))
            .prop_map(|(token, value)| Op::Create { token, value }),
        6 => (token(), value(), labels)
            .prop_map(|(token, value, labels)| Op::Put { token, value, labels }),
        3 => (token(), prop::option::of(value()))
            .prop_map(|(token, value)| Op::Update { token, value }),
        6 => (label(), prop::option::of(token()), prop::option::of(token()))
            .prop_map(|(label, from, to)| Op::Move { label, from, to }),
        3 => token().prop_map(|token| Op::Rotate { token }),
        1 => Just(Op::Cancel),
        1 => Just(Op::Delete),
        1 => Just(Op::Restore),
        1 => Just(Op::Force),
        1 => (prop::sample::select(&["k", "K"][..]), value())
            .prop_map(|(key, value)| Op::Tag { key, value }),
        1 => Just(Op::Untag { key: "k" }),
    ]
}

/// Returns the code of the error, or `None` if the call succeeded.
fn named<T, E: ProvideErrorMetadata, R>(
    done: std::result::Result<T, SdkError<E, R>>,
) -> Option<String> {
    done.err().map(|error| error.code().unwrap_or("an error without a code").to_owned())
}

async fn perform(client: &Client, name: &str, op: &Op) -> Option<String> {
    match op.clone() {
        Op::Create { token, value } => {
            let making = client.create_secret().name(name).client_request_token(token);
            named(making.set_secret_string(value.map(str::to_owned)).send().await)
        }
        Op::Put { token, value, labels } => {
            let putting = client.put_secret_value().secret_id(name).client_request_token(token);
            let labels = labels.map(|labels| labels.into_iter().map(str::to_owned).collect());
            named(putting.secret_string(value).set_version_stages(labels).send().await)
        }
        Op::Update { token, value } => {
            let updating = client.update_secret().secret_id(name).client_request_token(token);
            named(
                updating
                    .set_secret_string(value.map(str::to_owned))
                    .description("words")
                    .send()
                    .await,
            )
        }
        Op::Move { label, from, to } => {
            let moving = client.update_secret_version_stage().secret_id(name).version_stage(label);
            let moving = moving.set_remove_from_version_id(from.map(str::to_owned));
            named(moving.set_move_to_version_id(to.map(str::to_owned)).send().await)
        }
        Op::Rotate { token } => {
            let rotating = client.rotate_secret().secret_id(name).client_request_token(token);
            named(rotating.rotation_lambda_arn(FUNCTION).send().await)
        }
        Op::Cancel => named(client.cancel_rotate_secret().secret_id(name).send().await),
        Op::Delete => named(client.delete_secret().secret_id(name).send().await),
        Op::Restore => named(client.restore_secret().secret_id(name).send().await),
        Op::Force => named(
            client.delete_secret().secret_id(name).force_delete_without_recovery(true).send().await,
        ),
        Op::Tag { key, value } => {
            let tag = Tag::builder().key(key).value(value).build();
            named(client.tag_resource().secret_id(name).tags(tag).send().await)
        }
        Op::Untag { key } => {
            named(client.untag_resource().secret_id(name).tag_keys(key).send().await)
        }
    }
}

/// Returns what the service shows of a secret, in the form of the model.
async fn shown(client: &Client, name: &str) -> Result<Plain> {
    let Ok(described) = client.describe_secret().secret_id(name).send().await else {
        return Ok(Plain::default());
    };
    let is_deleted = described.deleted_date.is_some();
    let mut plain = Plain { exists: true, is_deleted, ..Plain::default() };
    plain.description = described.description.clone();
    plain.rotates = described.rotation_enabled;
    for tag in described.tags() {
        plain
            .tags
            .insert(tag.key.clone().unwrap_or_default(), tag.value.clone().unwrap_or_default());
    }
    let listed =
        client.list_secret_version_ids().secret_id(name).include_deprecated(true).send().await?;
    for version in listed.versions() {
        let id = version.version_id.clone().context("the version has no id")?;
        let labels = version.version_stages().iter().cloned().collect();
        let got = client.get_secret_value().secret_id(name).version_id(&id).send().await;
        let value = got.ok().and_then(|got| got.secret_string);
        plain.versions.push((id, value, labels));
    }
    // A version without a value is only in the response of DescribeSecret.
    let listed = plain.versions.iter().filter(|(_, _, labels)| !labels.is_empty()).count();
    let stages = described.version_ids_to_stages.unwrap_or_default();
    let mut empty = 0;
    for (id, labels) in &stages {
        if !plain.versions.iter().any(|(listed, _, _)| listed == id) {
            plain.versions.push((id.clone(), None, labels.iter().cloned().collect()));
            empty += 1;
        }
    }
    ensure!(stages.len() == listed + empty, "DescribeSecret and ListSecretVersionIds disagree");
    plain.versions.sort();
    Ok(plain)
}

async fn follow(client: &Client, name: &str, ops: &[Op]) -> Result<()> {
    let mut model = Plain::default();
    for op in ops {
        let expected = model.perform(op);
        let answered = perform(client, name, op).await;
        ensure!(answered.as_deref() == expected, "{op:?}: {answered:?} instead of {expected:?}");
        let mut wanted = model.clone();
        wanted.remove_invisible();
        if wanted.is_deleted {
            // The values of a deleted secret cannot be read.
            wanted.versions.iter_mut().for_each(|(_, value, _)| *value = None);
        }
        let shown = shown(client, name).await?;
        ensure!(shown == wanted, "after {op:?}: {shown:#?} instead of {wanted:#?}");
    }
    Ok(())
}

#[test]
fn operation_sequences_match_reference_model() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let arguments = ["--function", "some-rotation=/bin/false", "--attempts", "1"];
    let serve = runtime.block_on(Serve::start(&arguments)).unwrap();
    let client = serve.client();
    let config = Config { cases: 100, failure_persistence: None, ..Config::default() };
    let sequences = prop::collection::vec(op(), 1..25);
    let tried = TestRunner::new(config).run(&sequences, |ops| {
        let name = format!("random/{}", rotation_tests::fixture::unique());
        let followed = runtime.block_on(follow(&client, &name, &ops));
        followed.map_err(|error| TestCaseError::fail(format!("{error:#}")))
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
}
