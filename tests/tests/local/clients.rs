//! Clients read a secret while it is rotated: none of them gets an error, and each sees the new
//! value. The clients are AWS's caching library for Python, and the calls that other programs make.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ProvideErrorMetadata as _;
use aws_sdk_secretsmanager::types::{Filter, FilterNameStringType, Tag};
use rotation_tests::local::{REGION, Serve, aws, until};
use rotation_tests::postgres::on_each;
use rotation_tests::tool;

use crate::serve::{function_arn, prepared};

/// Reads the secret `app` with AWS's caching library, which refreshes its cache every second, and
/// prints each version that it has not printed yet. It ends with the standard input.
const CACHING: &str = r#"
import hashlib, json, select, sys, time
import botocore.session
from aws_secretsmanager_caching import SecretCache, SecretCacheConfig

client = botocore.session.get_session().create_client("secretsmanager")
cache = SecretCache(SecretCacheConfig(secret_refresh_interval=1), client)
last = None
while not select.select([sys.stdin], [], [], 0.02)[0]:
    value = cache.get_secret_string("app")
    if value != last:
        print(json.loads(value)["password"], flush=True)
        last = value
print("reads ended without an error", flush=True)
"#;

struct CachingClient {
    program: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl CachingClient {
    fn start(serve: &Serve) -> Result<Self> {
        let mut command = Command::new(tool("python"));
        let library = tool("").join("../clients");
        command.args(["-c", CACHING]).env("PYTHONPATH", library);
        for (name, value) in aws(&serve.endpoint(), &serve.key).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut program = command.spawn().context("Python is not installed")?;
        let output = program.stdout.take().context("no output")?;
        Ok(Self { program, lines: BufReader::new(output).lines() })
    }

    fn next_line(&mut self) -> Result<String> {
        self.lines.next().context("the client has ended, see its error output")?.map_err(Into::into)
    }

    fn end(mut self) -> Result<String> {
        self.program.stdin.take().context("no input")?.write_all(b"end\n")?;
        let last = self.next_line()?;
        ensure!(self.program.wait()?.success());
        Ok(last)
    }
}

async fn rotate(sdk: &Client) -> Result<()> {
    let staged =
        sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn()).send().await?;
    let token = staged.version_id.context("RotateSecret returned no version id")?;
    until("the rotation ends", async || {
        let described = sdk.describe_secret().secret_id("app").send().await?;
        let stages = described.version_ids_to_stages.unwrap_or_default();
        let is_current =
            stages.get(&token).is_some_and(|all| all.iter().any(|l| l == "AWSCURRENT"));
        Ok(is_current.then_some(()))
    })
    .await
}

async fn password(sdk: &Client) -> Result<String> {
    let got = sdk.get_secret_value().secret_id("app").send().await?;
    let value: serde_json::Value = serde_json::from_str(got.secret_string().context("no value")?)?;
    Ok(value["password"].as_str().context("no password")?.to_owned())
}

#[tokio::test]
async fn caching_library_follows_a_rotation() {
    on_each(|target| async move {
        let (_fixture, serve, _folder) = prepared(&target, &[]).await?;
        let sdk = serve.client();
        let mut client = CachingClient::start(&serve)?;
        assert_eq!(client.next_line()?, password(&sdk).await?);
        for _ in 0..2 {
            rotate(&sdk).await?;
            assert_eq!(client.next_line()?, password(&sdk).await?);
        }
        assert_eq!(client.end()?, "reads ended without an error");
        Ok(())
    })
    .await;
}

/// Reads the secret as these programs do, once each: aws-secretsmanager-agent compares the current
/// version in DescribeSecret and then reads it, external-secrets finds secrets by filters and reads
/// many at once, and Terraform reads a version by its id.
async fn read_as_programs_do(sdk: &Client) -> Result<[String; 3]> {
    let described = sdk.describe_secret().secret_id("app").send().await?;
    let stages = described.version_ids_to_stages().context("no versions")?;
    let is_current = |labels: &Vec<String>| labels.iter().any(|label| label == "AWSCURRENT");
    let (current, _) =
        stages.iter().find(|(_, labels)| is_current(labels)).context("no current version")?;
    let by_id = sdk.get_secret_value().secret_id("app").version_id(current).send().await?;
    let arn = described.arn().context("no ARN")?;
    let by_label = sdk.get_secret_value().secret_id(arn).version_stage("AWSCURRENT").send().await?;
    let filter = Filter::builder().key(FilterNameStringType::Name).values("app").build();
    let many = sdk.batch_get_secret_value().filters(filter).send().await?;
    ensure!(many.errors().is_empty(), "{:?}", many.errors());
    let many = many.secret_values().first().context("no value in the batch")?;
    let text = |value: Option<&str>| value.map(str::to_owned).context("no value");
    Ok([text(by_id.secret_string())?, text(by_label.secret_string())?, text(many.secret_string())?])
}

#[tokio::test]
async fn calls_of_other_clients_follow_a_rotation() {
    on_each(|target| async move {
        let (_fixture, serve, _folder) = prepared(&target, &[]).await?;
        let sdk = serve.client();
        let before = read_as_programs_do(&sdk).await?;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let reader = serve.client();
        let reading = tokio::spawn(async move {
            let mut reads = 0;
            while !*stopped.borrow() {
                read_as_programs_do(&reader).await?;
                reads += 1;
            }
            anyhow::Ok(reads)
        });
        rotate(&sdk).await?;
        stop.send_replace(true);
        let reads = reading.await??;
        ensure!(reads > 0, "the client did not read during the rotation");
        let after = read_as_programs_do(&sdk).await?;
        ensure!(after.iter().all(|value| *value == after[0] && *value != before[0]));
        Ok(())
    })
    .await;
}

/// These are the calls of Terraform's provider for `aws_secretsmanager_secret`, `_version`,
/// `_policy` and `_rotation`, from creation to the check that the secret is gone.
#[tokio::test]
async fn terraform_calls_manage_a_secret() {
    let serve = Serve::start(&["--function", "f=/bin/false", "--attempts", "1"]).await.unwrap();
    let sdk = serve.client();
    let tag = Tag::builder().key("team").value("red").build();
    let created = sdk.create_secret().name("app").description("d").tags(tag).send().await.unwrap();
    let arn = created.arn.unwrap();
    let refresh = async || {
        let policy = sdk.get_resource_policy().secret_id(&arn).send().await.unwrap();
        (sdk.describe_secret().secret_id(&arn).send().await.unwrap(), policy.resource_policy)
    };
    let (described, policy) = refresh().await;
    assert_eq!((described.description(), policy), (Some("d"), None));
    assert!(described.replication_status.is_none() && described.rotation_enabled.is_none());

    let put = sdk.put_secret_value().secret_id(&arn).secret_string("one").send().await.unwrap();
    let version = put.version_id.unwrap();
    let got = sdk.get_secret_value().secret_id(&arn).version_id(&version).send().await.unwrap();
    assert_eq!(
        (got.secret_string(), got.version_stages()),
        (Some("one"), &["AWSCURRENT".into()][..])
    );

    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*",
        "Action":"*","Resource":"*"}]}"#;
    let put = sdk.put_resource_policy().secret_id(&arn).resource_policy(policy).send().await;
    assert_eq!(put.unwrap().arn.as_ref(), Some(&arn));
    assert_eq!(refresh().await.1.as_deref(), Some(policy));
    sdk.delete_resource_policy().secret_id(&arn).send().await.unwrap();

    let rules = aws_sdk_secretsmanager::types::RotationRulesType::builder();
    let rules = rules.schedule_expression("rate(4 hours)").build();
    let function = format!("arn:aws:lambda:{REGION}:123456789012:function:f");
    let rotating = sdk.rotate_secret().secret_id(&arn).rotation_lambda_arn(&function);
    rotating.rotation_rules(rules).rotate_immediately(false).send().await.unwrap();
    let (described, _) = refresh().await;
    assert_eq!(described.rotation_enabled, Some(true));
    assert_eq!(described.rotation_lambda_arn.as_ref(), Some(&function));
    sdk.cancel_rotate_secret().secret_id(&arn).send().await.unwrap();

    sdk.untag_resource().secret_id(&arn).tag_keys("team").send().await.unwrap();
    sdk.delete_secret().secret_id(&arn).recovery_window_in_days(7).send().await.unwrap();
    assert!(refresh_fails(&sdk, &arn).await.unwrap().contains("marked for deletion"));
    assert!(sdk.describe_secret().secret_id(&arn).send().await.unwrap().deleted_date.is_some());
    let deleting = sdk.delete_secret().secret_id(&arn).force_delete_without_recovery(true);
    deleting.send().await.unwrap();
    let gone = sdk.describe_secret().secret_id(&arn).send().await.unwrap_err();
    assert_eq!(gone.code(), Some("ResourceNotFoundException"));
}

async fn refresh_fails(sdk: &Client, arn: &str) -> Result<String> {
    let refused = sdk.get_resource_policy().secret_id(arn).send().await.err();
    let refused = refused.context("the call succeeded")?;
    ensure!(refused.code() == Some("InvalidRequestException"), "{refused:?}");
    Ok(refused.message().unwrap_or_default().to_owned())
}
