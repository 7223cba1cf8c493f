//! Tests of replicas in other Regions: a client of another Region sees its replica, and the status
//! shows whether replication succeeds.

use anyhow::{Context, Result, ensure};
use aws_sdk_secretsmanager::types::{ReplicaRegionType, StatusType};
use rotation_tests::local::{REGION, Serve, client, until};
use serde_json::{Value, json};

use crate::raw::Raw;

/// The Region of the replicas. The primaries are in [`REGION`].
const OTHER: &str = "us-east-2";

const READ_ONLY: &str =
    "Operation not permitted on a replica secret. Call must be made in primary secret's region.";

/// Starts a service with the secret `app`, whose replica is in [`OTHER`].
async fn replicated(arguments: &[&str]) -> Result<(Serve, Raw, Raw)> {
    let serve = Serve::start(arguments).await?;
    let (primary, replica) = (Raw::new(&serve), Raw::new(&serve).in_region(OTHER));
    let secret = json!({
        "Name": "app", "SecretString": "one", "AddReplicaRegions": [{"Region": OTHER}],
        "Description": "of the app", "Tags": [{"Key": "team", "Value": "red"}],
    });
    let created = primary.call("CreateSecret", secret).await?;
    ensure!(created["ReplicationStatus"][0]["Status"] == "InProgress", "{created}");
    Ok((serve, primary, replica))
}

async fn status(primary: &Raw) -> Result<(String, String)> {
    let described = primary.call("DescribeSecret", json!({"SecretId": "app"})).await?;
    let status = &described["ReplicationStatus"][0];
    let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
    Ok((text("Status"), text("StatusMessage")))
}

async fn value(raw: &Raw) -> Result<Value> {
    Ok(raw.call("GetSecretValue", json!({"SecretId": "app"})).await?["SecretString"].clone())
}

#[tokio::test]
async fn client_of_another_region_reads_its_replica() {
    let (serve, primary, replica) = replicated(&[]).await.unwrap();
    // The SDK, as an application uses it.
    let sdk = client(&serve.endpoint(), &serve.key, OTHER);
    let got = sdk.get_secret_value().secret_id("app").send().await.unwrap();
    assert_eq!(got.secret_string.as_deref(), Some("one"));
    let (here, there) = (
        primary.call("DescribeSecret", json!({"SecretId": "app"})).await.unwrap(),
        replica.call("DescribeSecret", json!({"SecretId": "app"})).await.unwrap(),
    );
    let arn = here["ARN"].as_str().unwrap();
    assert_eq!(there["ARN"], arn.replace(REGION, OTHER));
    for same in ["Description", "Tags", "VersionIdsToStages", "Name"] {
        assert_eq!(here[same], there[same], "{same}");
    }
    assert_eq!((&here["PrimaryRegion"], &there["PrimaryRegion"]), (&json!(REGION), &json!(REGION)));
    let status = &here["ReplicationStatus"][0];
    assert_eq!(status["Status"], "InSync");
    assert_eq!(status["Region"], OTHER);
    assert_eq!(status["KmsKeyId"], "alias/aws/secretsmanager");
    assert!(status["LastAccessedDate"].is_number() && here["LastAccessedDate"].is_null());
    // ListSecrets finds the replica in its Region.
    let by = |region: &str| json!({"Filters": [{"Key": "primary-region", "Values": [region]}]});
    let listed = replica.call("ListSecrets", by(REGION)).await.unwrap();
    assert_eq!(listed["SecretList"][0]["PrimaryRegion"], REGION, "{listed}");
    let listed = replica.call("ListSecrets", by(OTHER)).await.unwrap();
    assert_eq!(listed["SecretList"], json!([]));
}

/// A rotation ends with two calls: `PutSecretValue` with `AWSPENDING`, and the move of
/// `AWSCURRENT`. Metadata of the primary follow, too.
#[tokio::test]
async fn rotation_and_metadata_of_primary_reach_the_replica() {
    let (_serve, primary, replica) = replicated(&[]).await.unwrap();
    let id = json!("app");
    let put = json!({"SecretId": id, "SecretString": "two", "VersionStages": ["AWSPENDING"]});
    let put = primary.call("PutSecretValue", put).await.unwrap();
    let pending = json!({"SecretId": id, "VersionStage": "AWSPENDING"});
    let pending = replica.call("GetSecretValue", pending).await.unwrap();
    assert_eq!(
        (&pending["VersionId"], &pending["SecretString"]),
        (&put["VersionId"], &json!("two"))
    );
    assert_eq!(value(&replica).await.unwrap(), "one");
    let described = primary.call("DescribeSecret", json!({"SecretId": id})).await.unwrap();
    let stages = described["VersionIdsToStages"].as_object().unwrap();
    let (current, _) = stages.iter().find(|(_, stages)| **stages == json!(["AWSCURRENT"])).unwrap();
    let promote = json!({
        "SecretId": id, "VersionStage": "AWSCURRENT",
        "MoveToVersionId": put["VersionId"], "RemoveFromVersionId": current,
    });
    primary.call("UpdateSecretVersionStage", promote).await.unwrap();
    assert_eq!(value(&replica).await.unwrap(), "two");
    let previous = json!({"SecretId": id, "VersionStage": "AWSPREVIOUS"});
    let previous = replica.call("GetSecretValue", previous).await.unwrap();
    assert_eq!(previous["SecretString"], "one");

    let policy = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}]})
    .to_string();
    let put = json!({"SecretId": id, "ResourcePolicy": policy});
    primary.call("PutResourcePolicy", put).await.unwrap();
    primary.call("UntagResource", json!({"SecretId": id, "TagKeys": ["team"]})).await.unwrap();
    let update = json!({"SecretId": id, "Description": "new"});
    primary.call("UpdateSecret", update).await.unwrap();
    let got = replica.call("GetResourcePolicy", json!({"SecretId": id})).await.unwrap();
    assert_eq!(got["ResourcePolicy"], policy);
    let described = replica.call("DescribeSecret", json!({"SecretId": id})).await.unwrap();
    assert_eq!((&described["Tags"], &described["Description"]), (&json!([]), &json!("new")));
    assert_eq!(status(&primary).await.unwrap().0, "InSync");
}

#[tokio::test]
async fn replica_can_only_change_its_kms_key() {
    let (serve, primary, replica) = replicated(&[]).await.unwrap();
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*",
        "Action":"*","Resource":"*"}]}"#;
    let function = format!("arn:aws:lambda:{OTHER}:123456789012:function:f");
    for (operation, mut body) in [
        ("PutSecretValue", json!({"SecretString": "x"})),
        ("UpdateSecret", json!({"SecretString": "x"})),
        ("UpdateSecret", json!({"Description": "x", "KmsKeyId": "alias/mine"})),
        (
            "UpdateSecretVersionStage",
            json!({"VersionStage": "mine", "MoveToVersionId": "x".repeat(32)}),
        ),
        ("TagResource", json!({"Tags": [{"Key": "k", "Value": "v"}]})),
        ("UntagResource", json!({"TagKeys": ["team"]})),
        ("RotateSecret", json!({"RotationLambdaARN": function})),
        ("CancelRotateSecret", json!({})),
        ("PutResourcePolicy", json!({"ResourcePolicy": policy})),
        ("DeleteResourcePolicy", json!({})),
        ("ReplicateSecretToRegions", json!({"AddReplicaRegions": [{"Region": "eu-west-1"}]})),
        ("RemoveRegionsFromReplication", json!({"RemoveReplicaRegions": [OTHER]})),
        ("DeleteSecret", json!({})),
        ("DeleteSecret", json!({"ForceDeleteWithoutRecovery": true})),
        ("RestoreSecret", json!({})),
    ] {
        body["SecretId"] = json!("app");
        let refused = replica.refused(operation, body).await.unwrap();
        assert_eq!(refused, ("InvalidParameterException".into(), READ_ONLY.into()), "{operation}");
    }
    let change = json!({"SecretId": "app", "KmsKeyId": "alias/there"});
    replica.call("UpdateSecret", change).await.unwrap();
    let described = primary.call("DescribeSecret", json!({"SecretId": "app"})).await.unwrap();
    assert_eq!(described["ReplicationStatus"][0]["KmsKeyId"], "alias/there");
    // Values that arrive later have the key, too.
    let put = json!({"SecretId": "app", "SecretString": "two"});
    primary.call("PutSecretValue", put).await.unwrap();
    let disable = "aws kms disable-key --key-id alias/there";
    serve.run_in_shell(disable, &[]).unwrap();
    assert_eq!(value(&primary).await.unwrap(), "two");
    let (code, _) = replica.refused("GetSecretValue", json!({"SecretId": "app"})).await.unwrap();
    assert_eq!(code, "DecryptionFailure");
}

#[tokio::test]
async fn primary_is_deleted_after_its_replicas() {
    let (_serve, primary, replica) = replicated(&[]).await.unwrap();
    let delete = json!({"SecretId": "app", "ForceDeleteWithoutRecovery": true});
    for delete in [json!({"SecretId": "app"}), delete.clone()] {
        let (code, message) = primary.refused("DeleteSecret", delete).await.unwrap();
        assert_eq!(code, "InvalidParameterException");
        assert!(message.ends_with("that still has replica regions [us-east-2]."), "{message}");
    }
    let remove = |region: &str| json!({"SecretId": "app", "RemoveReplicaRegions": [region]});
    let unknown = primary.refused("RemoveRegionsFromReplication", remove("eu-west-1")).await;
    assert_eq!(unknown.unwrap().0, "InvalidParameterException");
    let removed = primary.call("RemoveRegionsFromReplication", remove(OTHER)).await.unwrap();
    assert_eq!(removed["ReplicationStatus"], json!([]));
    let gone = replica.refused("GetSecretValue", json!({"SecretId": "app"})).await.unwrap();
    assert_eq!(gone.0, "ResourceNotFoundException");
    let described = primary.call("DescribeSecret", json!({"SecretId": "app"})).await.unwrap();
    assert!(described["ReplicationStatus"].is_null() && described["PrimaryRegion"].is_null());
    primary.call("DeleteSecret", delete).await.unwrap();
}

#[tokio::test]
async fn promoted_replica_is_independent() {
    let (_serve, primary, replica) = replicated(&[]).await.unwrap();
    let id = || json!({"SecretId": "app"});
    assert_eq!(
        primary.refused("StopReplicationToReplica", id()).await.unwrap().0,
        "InvalidRequestException"
    );
    let stopped = replica.call("StopReplicationToReplica", id()).await.unwrap();
    assert!(stopped["ARN"].as_str().unwrap().contains(OTHER), "{stopped}");
    let put = |value: &str| json!({"SecretId": "app", "SecretString": value});
    replica.call("PutSecretValue", put("theirs")).await.unwrap();
    primary.call("PutSecretValue", put("ours")).await.unwrap();
    assert_eq!(value(&replica).await.unwrap(), "theirs");
    assert_eq!(value(&primary).await.unwrap(), "ours");
    for raw in [&primary, &replica] {
        let described = raw.call("DescribeSecret", id()).await.unwrap();
        assert!(described["PrimaryRegion"].is_null(), "{described}");
        raw.call("DeleteSecret", id()).await.unwrap();
    }
}

#[tokio::test]
async fn existing_secret_is_replaced_only_by_force() {
    let serve = Serve::start(&[]).await.unwrap();
    let (primary, other) = (Raw::new(&serve), Raw::new(&serve).in_region(OTHER));
    for (raw, value) in [(&primary, "ours"), (&other, "theirs")] {
        let create = json!({"Name": "app", "SecretString": value});
        raw.call("CreateSecret", create).await.unwrap();
    }
    let add = |region: &str, force: bool| {
        json!({"SecretId": "app", "AddReplicaRegions": [{"Region": region}],
            "ForceOverwriteReplicaSecret": force})
    };
    primary.call("ReplicateSecretToRegions", add(OTHER, false)).await.unwrap();
    let message = "Replication failed: Secret name app already exists in region us-east-2.";
    assert_eq!(status(&primary).await.unwrap(), ("Failed".into(), message.into()));
    assert_eq!(value(&other).await.unwrap(), "theirs");
    // Without a replica, there is nothing to delete in the other Region.
    let remove = json!({"SecretId": "app", "RemoveReplicaRegions": [OTHER]});
    primary.call("RemoveRegionsFromReplication", remove).await.unwrap();
    assert_eq!(value(&other).await.unwrap(), "theirs");
    primary.call("ReplicateSecretToRegions", add(OTHER, true)).await.unwrap();
    assert_eq!(status(&primary).await.unwrap().0, "InSync");
    assert_eq!(value(&other).await.unwrap(), "ours");

    for region in [REGION, ""] {
        let refused = primary.refused("ReplicateSecretToRegions", add(region, true)).await.unwrap();
        let codes = ["InvalidParameterException", "ValidationException"];
        assert!(codes.contains(&&*refused.0), "{refused:?}");
    }
    let twice = json!({"SecretId": "app", "AddReplicaRegions":
        [{"Region": "eu-west-1"}, {"Region": "eu-west-1"}]});
    let refused = primary.refused("ReplicateSecretToRegions", twice).await.unwrap();
    assert_eq!(refused.0, "InvalidParameterException");
}

#[tokio::test]
async fn replication_fails_while_its_kms_key_is_disabled() {
    let serve = Serve::start(&[]).await.unwrap();
    let (primary, replica) = (Raw::new(&serve), Raw::new(&serve).in_region(OTHER));
    let kms = |operation: &str| serve.run_in_shell(&format!("aws kms {operation} --key-id k"), &[]);
    kms("disable-key").unwrap();
    let create = json!({"Name": "app", "SecretString": "one",
        "AddReplicaRegions": [{"Region": OTHER, "KmsKeyId": "k"}]});
    primary.call("CreateSecret", create).await.unwrap();
    let (failed, message) = status(&primary).await.unwrap();
    assert!(failed == "Failed" && message.contains("KMS key"), "{failed}: {message}");
    let absent = replica.refused("GetSecretValue", json!({"SecretId": "app"})).await.unwrap();
    assert_eq!(absent.0, "ResourceNotFoundException");
    kms("enable-key").unwrap();
    let again =
        json!({"SecretId": "app", "AddReplicaRegions": [{"Region": OTHER, "KmsKeyId": "k"}]});
    primary.call("ReplicateSecretToRegions", again).await.unwrap();
    assert_eq!(status(&primary).await.unwrap().0, "InSync");
    assert_eq!(value(&replica).await.unwrap(), "one");
}

/// The operation of tests: it delays replication, and makes it fail with a message.
#[tokio::test]
async fn replication_can_be_delayed_and_made_to_fail() {
    let (serve, primary, replica) = replicated(&["--time-scale", "3600"]).await.unwrap();
    let control = async |body: Value| {
        let answer = primary.send("Emulator.ControlReplication", &body).await?;
        ensure!(answer.status == 200, "{}", answer.body);
        Ok(())
    };
    // With this time scale, an hour passes in a second.
    control(json!({"Destination": OTHER, "DelaySeconds": 3600 * 3600})).await.unwrap();
    let put = |value: &str| json!({"SecretId": "app", "SecretString": value});
    primary.call("PutSecretValue", put("two")).await.unwrap();
    assert_eq!(status(&primary).await.unwrap().0, "InProgress");
    assert_eq!(value(&replica).await.unwrap(), "one");
    control(json!({"Destination": OTHER, "DelaySeconds": 3600})).await.unwrap();
    primary.call("PutSecretValue", put("two again")).await.unwrap();
    until("the delayed change arrives", async || {
        Ok((value(&replica).await? == "two again").then_some(()))
    })
    .await
    .unwrap();
    assert_eq!(status(&primary).await.unwrap().0, "InSync");

    control(json!({"Destination": OTHER, "FailureMessage": "out of order"})).await.unwrap();
    primary.call("PutSecretValue", put("three")).await.unwrap();
    assert_eq!(status(&primary).await.unwrap(), ("Failed".into(), "out of order".into()));
    assert_eq!(value(&replica).await.unwrap(), "two again");
    control(json!({"Destination": OTHER})).await.unwrap();
    primary.call("PutSecretValue", put("four")).await.unwrap();
    assert_eq!(value(&replica).await.unwrap(), "four");

    for (body, code) in
        [(json!({}), "ValidationException"), (json!({"Destination": 5}), "SerializationException")]
    {
        let refused = primary.send("Emulator.ControlReplication", &body).await.unwrap();
        assert_eq!(refused.body["__type"], code, "{body}");
    }
    let unknown = primary.send("Emulator.Other", &json!({})).await.unwrap();
    assert_eq!(unknown.body["__type"], "UnknownOperationException");
    drop(serve);
}

#[tokio::test]
async fn unfinished_replication_continues_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let arguments = ["--state", path.to_str().unwrap()];
    let environment = [("ROTATION_LOCAL_PASSPHRASE", "a passphrase")];
    let serve = Serve::start_with(&arguments, &environment).await.unwrap();
    let raw = Raw::new(&serve);
    let slow = json!({"Destination": OTHER, "DelaySeconds": 3600});
    raw.send("Emulator.ControlReplication", &slow).await.unwrap();
    let region = ReplicaRegionType::builder().region(OTHER).build();
    let sdk = serve.client();
    let creating = sdk.create_secret().name("app").secret_string("one").add_replica_regions(region);
    creating.send().await.unwrap();
    let statuses = async |serve: &Serve| -> Result<Option<StatusType>> {
        let described = serve.client().describe_secret().secret_id("app").send().await?;
        let status = described.replication_status().first().context("no replica")?;
        Ok(status.status.clone())
    };
    assert_eq!(statuses(&serve).await.unwrap(), Some(StatusType::InProgress));
    serve.kill().unwrap();

    let serve = Serve::start_with(&arguments, &environment).await.unwrap();
    // The first request after the restart starts the replication, which now has no delay.
    serve.client().list_secrets().send().await.unwrap();
    assert_eq!(statuses(&serve).await.unwrap(), Some(StatusType::InSync));
    let there = Raw::new(&serve).in_region(OTHER);
    assert_eq!(value(&there).await.unwrap(), "one");
}
