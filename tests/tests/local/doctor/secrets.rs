//! Tests of the findings about secrets, against the local service.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use rotation_tests::local::{REGION, Serve};
use secretsmanager_emulator::{Fault, Secret, Service, ServiceError, When, Window};
use serde_json::{Value, json};

use super::{Account, FINDINGS};
use crate::raw::Raw;

const VALUE: &str = "a-secret-value-that-is-never-read";
const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:app-rotation";
/// The default age from which an unfinished rotation is stuck, and more.
const THREE_HOURS: f64 = 3.0 * 3600.0;

fn account(service: &Service) -> (String, &'static str) {
    (service.endpoint(), "us-east-1")
}

/// Examines a service that runs in this process.
async fn examine(service: &Service, arguments: &[&str]) -> Result<super::Report> {
    let (endpoint, region) = account(service);
    let account = Account {
        variable: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        endpoint: &endpoint,
        region,
        key: ("key", "secret"),
    };
    account.examine(arguments).await
}

/// Creates a secret and starts its rotation. Returns the pending version.
fn rotating(service: &Service, name: &str) -> Result<String> {
    service.perform("CreateSecret", &json!({"Name": name, "SecretString": VALUE}))?;
    let rotate = json!({
        "SecretId": name,
        "RotationLambdaARN": FUNCTION,
        "RotationRules": {"AutomaticallyAfterDays": 30},
    });
    let started = service.perform("RotateSecret", &rotate)?;
    Ok(started["VersionId"].as_str().context("no version")?.to_owned())
}

fn put_pending(service: &Service, name: &str, version: &str) -> Result<()> {
    let put = json!({
        "SecretId": name,
        "ClientRequestToken": version,
        "SecretString": VALUE,
        "VersionStages": ["AWSPENDING"],
    });
    service.perform("PutSecretValue", &put)?;
    Ok(())
}

/// Creates a secret and rotates it successfully.
fn rotated(service: &Service, name: &str) -> Result<()> {
    let version = rotating(service, name)?;
    put_pending(service, name, &version)?;
    let described = service.perform("DescribeSecret", &json!({"SecretId": name}))?;
    let stages = described["VersionIdsToStages"].as_object().context("no versions")?;
    let (current, _) =
        stages.iter().find(|(_, labels)| **labels == json!(["AWSCURRENT"])).context("none")?;
    let promote = json!({
        "SecretId": name,
        "VersionStage": "AWSCURRENT",
        "MoveToVersionId": version,
        "RemoveFromVersionId": current,
    });
    service.perform("UpdateSecretVersionStage", &promote)?;
    Ok(())
}

/// Changes a stored secret, for example its dates.
fn edit(service: &Service, name: &str, change: impl FnOnce(&mut Secret)) -> Result<()> {
    service.with_store(|store| {
        let mut secret = store.all().find(|secret| secret.name == name).context("none")?.clone();
        change(&mut secret);
        Ok(store.save(secret)?)
    })
}

fn now() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

#[tokio::test]
async fn healthy_account_has_no_findings() -> Result<()> {
    let service = Service::start(0).await?;
    rotated(&service, "app")?;
    service.perform("CreateSecret", &json!({"Name": "other", "SecretString": VALUE}))?;
    // A rotation that started just now may be running.
    rotating(&service, "running")?;
    edit(&service, "running", |secret| secret.versions[0].created -= THREE_HOURS)?;
    let report = examine(&service, &[]).await?;
    assert_eq!(report.code, Some(0), "{}", report.text);
    assert_eq!(report.json["findings"], 0);
    assert_eq!(report.json["withoutRotation"], 1);
    let app = report.secret("app")?;
    assert_eq!(app["unfinished"], Value::Null);
    assert_eq!(app["schedule"], "every 30 days");
    ensure!(app["lastRotated"].is_string() && app["nextRotation"].is_string(), "{app}");
    let running = &report.secret("running")?["unfinished"];
    assert_eq!((&running["stuck"], &running["hasValue"]), (&json!(false), &json!(false)));
    ensure!(report.text.contains("a rotation may be running since"), "{}", report.text);
    // The functions of the local service are not in Lambda.
    assert_eq!(app["function"]["status"], "notKnown");
    assert_eq!(report.json["notKnown"].as_array().context("no list")?.len(), 1);
    let reason = report.json["notKnown"][0]["message"].to_string();
    ensure!(reason.contains("AWS_ENDPOINT_URL_LAMBDA names no Lambda"), "{reason}");
    assert_eq!(report.denied_actions(), [""; 0]);
    Ok(())
}

#[tokio::test]
async fn every_problem_of_a_rotation_is_found() -> Result<()> {
    let service = Service::start(0).await?;
    let stuck = rotating(&service, "stuck")?;
    put_pending(&service, "stuck", &stuck)?;
    edit(&service, "stuck", |secret| {
        secret.versions.iter_mut().for_each(|version| version.created -= THREE_HOURS);
    })?;

    rotated(&service, "overdue")?;
    let closes = now()? - 86_400.0;
    edit(&service, "overdue", |secret| {
        if let Some(rotation) = &mut secret.rotation {
            rotation.next = Some(Window { opens: closes - 86_400.0, closes });
        }
    })?;

    service.perform("CreateSecret", &json!({"Name": "never", "SecretString": VALUE}))?;
    let later =
        json!({"SecretId": "never", "RotationLambdaARN": FUNCTION, "RotateImmediately": false});
    let tested = service.perform("RotateSecret", &later)?;
    let arn = tested["ARN"].as_str().context("no ARN")?;
    service.delete_test_copy(arn, tested["VersionId"].as_str().context("no version")?)?;

    rotated(&service, "off")?;
    service.perform("CancelRotateSecret", &json!({"SecretId": "off"}))?;

    rotated(&service, "cancelled")?;
    let again = service.perform("RotateSecret", &json!({"SecretId": "cancelled"}))?;
    let cancelled = again["VersionId"].as_str().context("no version")?.to_owned();
    put_pending(&service, "cancelled", &cancelled)?;
    let remove = json!({
        "SecretId": "cancelled", "VersionStage": "AWSPENDING", "RemoveFromVersionId": cancelled,
    });
    service.perform("UpdateSecretVersionStage", &remove)?;
    edit(&service, "cancelled", |secret| {
        for version in secret.versions.iter_mut().filter(|version| version.id != cancelled) {
            version.created -= 60.0;
        }
    })?;

    rotated(&service, "replicated")?;
    let elsewhere = json!({"Name": "replicated", "SecretString": VALUE});
    service.perform_in("eu-west-1", "CreateSecret", &elsewhere)?;
    let add = json!({
        "SecretId": "replicated",
        "AddReplicaRegions": [{"Region": "eu-west-1", "KmsKeyId": "alias/there"}],
    });
    service.perform("ReplicateSecretToRegions", &add)?;

    service.clear_calls();
    let report = examine(&service, &["--region", "us-east-1"]).await?;
    assert_eq!(report.code, Some(FINDINGS), "{}", report.text);
    for (name, kind, message, command) in [
        ("stuck", "RotationUnfinished", "testSecret or finishSecret failed", &*stuck),
        ("overdue", "RotationOverdue", "(24 hours ago)", "rotate-secret"),
        ("never", "NeverRotated", "never succeeded", "rotate-secret"),
        ("off", "RotationOff", "turned off", "--no-rotate-immediately"),
        ("cancelled", "AttemptCancelled", &*cancelled, "rotate-secret"),
        (
            "replicated",
            "ReplicaNotInSync",
            "eu-west-1 is not in sync: Failed: Replication failed: Secret name",
            "--add-replica-regions Region=eu-west-1,KmsKeyId=alias/there",
        ),
    ] {
        assert_eq!(report.findings(name)?, [kind], "{name}");
        let finding = report.finding(name, kind)?;
        ensure!(finding["message"].as_str().is_some_and(|it| it.contains(message)), "{finding}");
        ensure!(finding["commands"].to_string().contains(command), "{finding}");
        let all = finding["commands"].as_array().context("no commands")?;
        let is_complete = |command: &Value| {
            command.as_str().is_some_and(|command| command.ends_with(" --region us-east-1"))
        };
        ensure!(all.iter().all(is_complete), "{finding}");
        ensure!(report.text.contains(&format!("✗ {kind}")), "{}", report.text);
    }
    assert_eq!(report.json["findings"], 6);
    // The functions of the local service have no log in CloudWatch.
    ensure!(!report.text.contains("aws logs"), "{}", report.text);
    ensure!(report.text.ends_with("error: 6 findings in 6 secrets with rotation\n"));

    // The calls only list and describe, so no value was read.
    let calls: BTreeSet<_> = service.calls().into_iter().map(|call| call.operation).collect();
    let allowed = ["DescribeSecret", "ListSecretVersionIds", "ListSecrets"];
    assert_eq!(calls, allowed.map(str::to_owned).into());
    ensure!(!report.text.contains(VALUE) && !report.json.to_string().contains(VALUE));
    Ok(())
}

/// The version of a pending rotation has no value, and so no date, until the function stores one.
#[tokio::test]
async fn option_decides_when_a_rotation_is_stuck() -> Result<()> {
    let service = Service::start(0).await?;
    rotating(&service, "app")?;
    let report = examine(&service, &["--stuck-after", "0"]).await?;
    assert_eq!(report.findings("app")?, ["RotationUnfinished"]);
    let finding = report.finding("app", "RotationUnfinished")?;
    ensure!(finding["message"].as_str().is_some_and(|it| it.contains("createSecret failed")));
    // Secrets Manager would reject the replacement now.
    ensure!(report.replacement("app")?.contains("First finish or cancel"));
    Ok(())
}

/// A secret that is on the second page is in the report.
#[tokio::test]
async fn all_pages_are_read_and_replicas_are_counted() -> Result<()> {
    let service = Service::start(0).await?;
    for number in 0..250 {
        let secret = json!({"Name": format!("secret-{number:03}"), "SecretString": VALUE});
        service.perform("CreateSecret", &secret)?;
    }
    rotated(&service, "the-last")?;
    let add = json!({"SecretId": "the-last", "AddReplicaRegions": [{"Region": "eu-west-1"}]});
    service.perform("ReplicateSecretToRegions", &add)?;
    service.perform("DescribeSecret", &json!({"SecretId": "the-last"}))?;
    let report = examine(&service, &[]).await?;
    assert_eq!(report.code, Some(0), "{}", report.text);
    assert_eq!(report.json["withoutRotation"], 250);
    assert_eq!(report.secret("the-last")?["replicas"][0]["status"], "InSync");
    let there = examine(&service, &["--region", "eu-west-1"]).await?;
    assert_eq!(there.json["replicasOfOtherRegions"], 1);
    assert_eq!(there.json["secrets"], json!([]));
    Ok(())
}

#[tokio::test]
async fn replica_of_another_account_is_in_the_report() -> Result<()> {
    let serve = Serve::start(&["--function", "app-rotation=/bin/false", "--attempts", "1"]).await?;
    let (primary, replica) = (Raw::new(&serve), Raw::new(&serve).in_account("222222222222"));
    let create = json!({"Name": "app", "SecretString": VALUE});
    let app = primary.call("CreateSecret", create).await?["ARN"].clone();
    let create = json!({"Name": "copy", "CrossAccountPrimaryARN": app, "KmsKeyId": "key"});
    let copy = replica.call("CreateSecret", create).await?["ARN"].clone();
    let rotate = json!({"SecretId": "app", "RotationLambdaARN": crate::serve::function_arn()});
    primary.call("RotateSecret", rotate).await?;
    let control = json!({"Destination": "222222222222", "FailureMessage": "out of order"});
    primary.send("Emulator.ControlReplication", &control).await?;
    let role = "arn:aws:iam::123456789012:role/replication";
    let link = json!({
        "SecretId": "app",
        "CrossAccountReplicaARN": copy,
        "ReplicationRoleARN": role,
    });
    primary.call("AssociateCrossAccountReplica", link).await?;

    let account = Account {
        variable: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        endpoint: &serve.endpoint(),
        region: REGION,
        key: (&serve.key, "local"),
    };
    let report = account.examine(&[]).await?;
    let shown = &report.secret("app")?["replicas"][0];
    assert_eq!((&shown["place"], &shown["status"]), (&copy, &json!("Failed")));
    let finding = report.finding("app", "ReplicaNotInSync")?;
    ensure!(finding["message"].as_str().is_some_and(|it| it.ends_with("Failed: out of order")));
    let command = finding["commands"].to_string();
    ensure!(command.contains("associate-cross-account-replica"), "{command}");
    ensure!(command.contains(&format!("--replication-role-arn {role}")), "{command}");
    Ok(())
}

/// If a call is denied, the report names the action. Only the list is required.
#[tokio::test]
async fn denied_call_is_reported_as_not_known() -> Result<()> {
    let service = Service::start(0).await?;
    let pending = rotating(&service, "app")?;
    put_pending(&service, "app", &pending)?;
    let deny = |operations: &'static [&'static str]| {
        service.set_fault(move |_, operation, when| {
            let denies = when == When::Before && operations.contains(&operation);
            let message = format!("User is not authorized to perform {operation}");
            denies.then(|| Fault::Refuse(ServiceError::new("AccessDeniedException", message)))
        });
    };
    deny(&["DescribeSecret", "ListSecretVersionIds"]);
    let report = examine(&service, &["--stuck-after", "0"]).await?;
    let denied = ["secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"];
    assert_eq!(report.denied_actions(), denied);
    assert_eq!(report.secret("app")?["replicas"], Value::Null);
    assert_eq!(report.secret("app")?["unfinished"]["hasValue"], Value::Null);
    assert_eq!(report.findings("app")?, ["RotationUnfinished"]);
    ensure!(report.text.contains("Allow secretsmanager:DescribeSecret"), "{}", report.text);

    deny(&["ListSecrets"]);
    let (endpoint, region) = account(&service);
    let account = Account {
        variable: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
        endpoint: &endpoint,
        region,
        key: ("key", "secret"),
    };
    let mut command = account.command(&[]);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let error = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in ["not authorized to perform ListSecrets", "Allow secretsmanager:ListSecrets"] {
        ensure!(error.contains(part), "{part} is not in {error}");
    }
    Ok(())
}
