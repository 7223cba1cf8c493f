//! Tests of cross-account replicas and of their resource policies.

use anyhow::{Result, ensure};
use rotation_tests::local::{REGION, Serve, models};
use serde_json::{Value, json};

use crate::raw::Raw;

/// The account of the replicas. The primaries are in the service's own account.
const OTHER: &str = "222222222222";

/// A service with the primary `app`, and its replica `copy` in the account [`OTHER`].
struct Pair {
    serve: Serve,
    primary: Raw,
    replica: Raw,
    /// The ARN of the primary.
    app: Value,
    /// The ARN of the replica.
    copy: Value,
}

impl Pair {
    /// Creates the two secrets. They are not associated yet.
    async fn created() -> Result<Self> {
        let serve = Serve::start(&[]).await?;
        let (primary, replica) = (Raw::new(&serve), Raw::new(&serve).in_account(OTHER));
        let create = json!({"Name": "app", "SecretString": "one"});
        let app = primary.call("CreateSecret", create).await?["ARN"].clone();
        let create = json!({"Name": "copy", "CrossAccountPrimaryARN": app, "KmsKeyId": "key"});
        let created = replica.call("CreateSecret", create).await?;
        ensure!(created.get("VersionId").is_none(), "{created}");
        let copy = created["ARN"].clone();
        Ok(Self { serve, primary, replica, app, copy })
    }

    async fn associated() -> Result<Self> {
        let pair = Self::created().await?;
        pair.primary.call("AssociateCrossAccountReplica", pair.link()).await?;
        Ok(pair)
    }

    fn link(&self) -> Value {
        json!({"SecretId": "app", "CrossAccountReplicaARN": self.copy})
    }

    async fn put(&self, value: &str) -> Result<Value> {
        self.primary.call("PutSecretValue", json!({"SecretId": "app", "SecretString": value})).await
    }

    async fn value_of_replica(&self) -> Result<Value> {
        let got = self.replica.call("GetSecretValue", json!({"SecretId": "copy"})).await?;
        Ok(got["SecretString"].clone())
    }

    /// Returns the statuses that the primary and the replica show.
    async fn statuses(&self) -> Result<(Value, Value)> {
        let primary = self.primary.call("DescribeSecret", json!({"SecretId": "app"})).await?;
        let replica = self.replica.call("DescribeSecret", json!({"SecretId": "copy"})).await?;
        Ok((
            primary["CrossAccountReplicas"][0]["ReplicationStatus"].clone(),
            replica["CrossAccountPrimary"]["ReplicationStatus"].clone(),
        ))
    }
}

#[tokio::test]
async fn value_is_replicated_to_another_account() {
    let pair = Pair::created().await.unwrap();
    assert_eq!(pair.statuses().await.unwrap(), (Value::Null, json!("Pending")));
    let id = || json!({"SecretId": "copy"});
    let empty = pair.replica.refused("GetSecretValue", id()).await.unwrap();
    assert_eq!(empty.0, "ResourceNotFoundException");

    let role = "arn:aws:iam::123456789012:role/replication";
    let mut link = pair.link();
    link["ReplicationRoleARN"] = json!(role);
    let linked = pair.primary.call("AssociateCrossAccountReplica", link).await.unwrap();
    assert_eq!((&linked["ARN"], &linked["CrossAccountReplicaARN"]), (&pair.app, &pair.copy));
    assert_eq!(linked["ReplicationStatus"], "InProgress");
    assert_eq!(pair.statuses().await.unwrap(), (json!("InSync"), json!("InSync")));
    assert_eq!(pair.value_of_replica().await.unwrap(), "one");
    pair.put("two").await.unwrap();
    assert_eq!(pair.value_of_replica().await.unwrap(), "two");

    let described = pair.primary.call("DescribeSecret", json!({"SecretId": "app"})).await.unwrap();
    let replica = &described["CrossAccountReplicas"][0];
    assert_eq!(
        (&replica["ReplicaSecretARN"], &replica["ReplicationRoleARN"]),
        (&pair.copy, &json!(role))
    );
    let described = pair.replica.call("DescribeSecret", id()).await.unwrap();
    assert_eq!(described["CrossAccountPrimary"]["PrimarySecretARN"], pair.app);
    assert_eq!(described["KmsKeyId"], "key");
    assert!(described["ARN"].as_str().unwrap().contains(&format!("{REGION}:{OTHER}:secret:copy-")));

    // The replica has its own metadata, but not its own value.
    let tag = json!({"SecretId": "copy", "Tags": [{"Key": "k", "Value": "v"}]});
    pair.replica.call("TagResource", tag).await.unwrap();
    for (operation, mut body) in [
        ("PutSecretValue", json!({"SecretString": "x"})),
        ("UpdateSecret", json!({"SecretString": "x"})),
        (
            "UpdateSecretVersionStage",
            json!({"VersionStage": "m", "MoveToVersionId": "x".repeat(32)}),
        ),
        ("RotateSecret", json!({"RotationLambdaARN": "f"})),
        ("ReplicateSecretToRegions", json!({"AddReplicaRegions": [{"Region": "eu-west-1"}]})),
    ] {
        body["SecretId"] = json!("copy");
        let refused = pair.replica.refused(operation, body).await.unwrap();
        assert_eq!(refused.0, "InvalidRequestException", "{operation}: {refused:?}");
    }
    pair.put("three").await.unwrap();
    assert_eq!(pair.value_of_replica().await.unwrap(), "three");
    let described = pair.replica.call("DescribeSecret", id()).await.unwrap();
    assert_eq!(described["Tags"], json!([{"Key": "k", "Value": "v"}]));
}

#[tokio::test]
async fn each_account_stops_replication_on_its_side() {
    let pair = Pair::associated().await.unwrap();
    assert_eq!(pair.value_of_replica().await.unwrap(), "one");
    let app = || json!({"SecretId": "app", "ForceDeleteWithoutRecovery": true});
    let copy = || json!({"SecretId": "copy", "ForceDeleteWithoutRecovery": true});
    for refused in [
        pair.primary.refused("DeleteSecret", app()).await.unwrap(),
        pair.replica.refused("DeleteSecret", copy()).await.unwrap(),
    ] {
        assert_eq!(refused.0, "InvalidRequestException", "{refused:?}");
    }
    pair.primary.call("DisassociateCrossAccountReplica", pair.link()).await.unwrap();
    assert_eq!(pair.statuses().await.unwrap(), (Value::Null, json!("Detached")));
    let again = pair.primary.refused("DisassociateCrossAccountReplica", pair.link()).await.unwrap();
    assert_eq!(again.0, "InvalidRequestException");
    pair.put("two").await.unwrap();
    assert_eq!(pair.value_of_replica().await.unwrap(), "one");
    let put = json!({"SecretId": "copy", "SecretString": "x"});
    assert_eq!(
        pair.replica.refused("PutSecretValue", put.clone()).await.unwrap().0,
        "InvalidRequestException"
    );
    // A detached replica can be associated again.
    pair.primary.call("AssociateCrossAccountReplica", pair.link()).await.unwrap();
    assert_eq!(pair.value_of_replica().await.unwrap(), "two");

    let stop = json!({"SecretId": "copy"});
    let stopped = pair.replica.call("StopReplicationToReplica", stop).await.unwrap();
    assert_eq!(stopped["ARN"], pair.copy);
    assert_eq!(pair.statuses().await.unwrap(), (json!("Detached"), Value::Null));
    pair.replica.call("PutSecretValue", put).await.unwrap();
    pair.put("three").await.unwrap();
    assert_eq!(pair.value_of_replica().await.unwrap(), "x");
    assert_eq!(pair.statuses().await.unwrap().0, "Detached");
    pair.replica.call("DeleteSecret", copy()).await.unwrap();
    assert_eq!(
        pair.primary.refused("DeleteSecret", app()).await.unwrap().0,
        "InvalidRequestException"
    );
    pair.primary.call("DisassociateCrossAccountReplica", pair.link()).await.unwrap();
    pair.primary.call("DeleteSecret", app()).await.unwrap();
}

#[tokio::test]
async fn impossible_cross_account_replicas_are_rejected() {
    let pair = Pair::created().await.unwrap();
    let arn = |change: (&str, &str)| pair.app.as_str().unwrap().replace(change.0, change.1);
    for (change, value) in [
        ("SecretString", json!("x")),
        ("SecretBinary", json!("eA==")),
        ("Description", json!("x")),
        ("Type", json!("x")),
        ("AddReplicaRegions", json!([{"Region": "eu-west-1"}])),
        ("KmsKeyId", json!("")),
        ("KmsKeyId", json!("alias/aws/secretsmanager")),
        ("CrossAccountPrimaryARN", json!(arn((REGION, "eu-west-1")))),
        ("CrossAccountPrimaryARN", json!(arn(("arn:aws:", "arn:aws-cn:")))),
        ("CrossAccountPrimaryARN", json!(arn(("123456789012", OTHER)))),
        ("CrossAccountPrimaryARN", json!("not the ARN of a secret")),
    ] {
        let mut create =
            json!({"Name": "r", "CrossAccountPrimaryARN": pair.app, "KmsKeyId": "key"});
        create[change] = value;
        let refused = pair.replica.refused("CreateSecret", create.clone()).await.unwrap();
        assert_eq!(refused.0, "InvalidParameterException", "{create}: {refused:?}");
    }
    let create = |name: &str| json!({"Name": name, "SecretString": "x"});
    let standalone =
        pair.replica.call("CreateSecret", create("alone")).await.unwrap()["ARN"].clone();
    let absent = format!("{}x", pair.copy.as_str().unwrap());
    for (replica, code) in [
        (standalone, "InvalidRequestException"),
        (json!(absent), "ResourceNotFoundException"),
        (pair.app.clone(), "InvalidParameterException"),
    ] {
        let link = json!({"SecretId": "app", "CrossAccountReplicaARN": replica});
        let refused = pair.primary.refused("AssociateCrossAccountReplica", link).await.unwrap();
        assert_eq!(refused.0, code, "{refused:?}");
    }
    // The account of the primary must make the call.
    let link = json!({"SecretId": pair.app, "CrossAccountReplicaARN": pair.copy});
    let refused = pair.replica.refused("AssociateCrossAccountReplica", link).await.unwrap();
    assert_eq!(refused.0, "InvalidRequestException");
    assert_eq!(pair.statuses().await.unwrap(), (Value::Null, json!("Pending")));

    // The call can be repeated for the same replica, but not for a second one.
    for _ in 0..2 {
        pair.primary.call("AssociateCrossAccountReplica", pair.link()).await.unwrap();
    }
    let second = json!({"Name": "second", "CrossAccountPrimaryARN": pair.app, "KmsKeyId": "key"});
    let second = pair.replica.call("CreateSecret", second).await.unwrap()["ARN"].clone();
    let link = json!({"SecretId": "app", "CrossAccountReplicaARN": second});
    let refused = pair.primary.refused("AssociateCrossAccountReplica", link).await.unwrap();
    assert_eq!(refused.0, "LimitExceededException");
}

#[tokio::test]
async fn failed_cross_account_replication_is_shown_on_both_sides() {
    let pair = Pair::associated().await.unwrap();
    assert_eq!(pair.value_of_replica().await.unwrap(), "one");
    let kms = |operation: &str| {
        pair.serve.run_in_shell(&format!("aws kms {operation} --key-id key"), &[]).unwrap()
    };
    kms("disable-key");
    pair.put("two").await.unwrap();
    assert_eq!(pair.statuses().await.unwrap(), (json!("Failed"), json!("Failed")));
    kms("enable-key");
    assert_eq!(pair.value_of_replica().await.unwrap(), "one");
    // The same call repairs replication.
    pair.primary.call("AssociateCrossAccountReplica", pair.link()).await.unwrap();
    assert_eq!(pair.value_of_replica().await.unwrap(), "two");

    let slow = json!({"Destination": OTHER, "DelaySeconds": 3600});
    pair.primary.send("Emulator.ControlReplication", &slow).await.unwrap();
    pair.put("three").await.unwrap();
    assert_eq!(pair.statuses().await.unwrap(), (json!("InProgress"), json!("InProgress")));
    assert_eq!(pair.value_of_replica().await.unwrap(), "two");
}

/// The replica has no pending version, so it gets a value only when that value becomes current.
#[tokio::test]
async fn only_current_and_previous_values_are_replicated_to_another_account() {
    let pair = Pair::associated().await.unwrap();
    assert_eq!(pair.statuses().await.unwrap(), (json!("InSync"), json!("InSync")));
    let slow = json!({"Destination": OTHER, "DelaySeconds": 3600});
    pair.primary.send("Emulator.ControlReplication", &slow).await.unwrap();
    let tag = json!({"SecretId": "app", "Tags": [{"Key": "k", "Value": "v"}]});
    pair.primary.call("TagResource", tag).await.unwrap();
    let pending =
        json!({"SecretId": "app", "SecretString": "two", "VersionStages": ["AWSPENDING"]});
    let pending = pair.primary.call("PutSecretValue", pending).await.unwrap();
    assert_eq!(pair.statuses().await.unwrap(), (json!("InSync"), json!("InSync")));
    let current = pair.primary.call("GetSecretValue", json!({"SecretId": "app"})).await.unwrap();
    let promote = json!({
        "SecretId": "app",
        "VersionStage": "AWSCURRENT",
        "MoveToVersionId": pending["VersionId"],
        "RemoveFromVersionId": current["VersionId"],
    });
    pair.primary.call("UpdateSecretVersionStage", promote).await.unwrap();
    assert_eq!(pair.statuses().await.unwrap(), (json!("InProgress"), json!("InProgress")));
}

#[tokio::test]
async fn only_the_default_resource_policy_can_be_changed() {
    let pair = Pair::created().await.unwrap();
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*",
        "Action":"*","Resource":"*"}]}"#;
    let of = |name: Option<&str>| match name {
        Some(name) => json!({"SecretId": "copy", "PolicyName": name}),
        None => json!({"SecretId": "copy"}),
    };
    let managed = "cross-account-replication";
    let names = async || {
        let listed = pair.replica.call("ListResourcePolicies", of(None)).await.unwrap();
        let listed = listed["ResourcePolicies"].as_array().unwrap().clone();
        listed.into_iter().map(|policy| policy["PolicyName"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names().await, [managed]);
    for name in [None, Some("default")] {
        let mut put = of(name);
        put["ResourcePolicy"] = json!(policy);
        let put = pair.replica.call("PutResourcePolicy", put).await.unwrap();
        assert_eq!(put["PolicyName"], "default");
        let got = pair.replica.call("GetResourcePolicy", of(name)).await.unwrap();
        assert_eq!(
            (&got["PolicyName"], &got["ResourcePolicy"]),
            (&json!("default"), &json!(policy))
        );
    }
    // The default policy comes first, and the list has pages.
    assert_eq!(names().await, ["default", managed]);
    let page = json!({"SecretId": "copy", "MaxResults": 1});
    let first = pair.replica.call("ListResourcePolicies", page).await.unwrap();
    assert_eq!(first["ResourcePolicies"], json!([{"PolicyName": "default"}]));
    let page = json!({"SecretId": "copy", "NextToken": first["NextToken"]});
    let second = pair.replica.call("ListResourcePolicies", page).await.unwrap();
    assert_eq!(second["ResourcePolicies"], json!([{"PolicyName": managed}]));
    assert!(second["NextToken"].is_null());
    let wrong = json!({"SecretId": "copy", "NextToken": "nonsense!"});
    assert_eq!(
        pair.replica.refused("ListResourcePolicies", wrong).await.unwrap().0,
        "InvalidNextTokenException"
    );

    let got = pair.replica.call("GetResourcePolicy", of(Some(managed))).await.unwrap();
    assert!(got["ResourcePolicy"].as_str().unwrap().contains("AcceptCrossAccountReplication"));
    let unknown = pair.replica.refused("GetResourcePolicy", of(Some("other"))).await.unwrap();
    assert_eq!(unknown.0, "ResourceNotFoundException");
    let mut put = of(Some(managed));
    put["ResourcePolicy"] = json!(policy);
    for (operation, body) in
        [("PutResourcePolicy", put), ("DeleteResourcePolicy", of(Some(managed)))]
    {
        let refused = pair.replica.refused(operation, body).await.unwrap();
        assert_eq!(refused.0, "InvalidParameterException", "{operation}");
    }
    pair.replica.call("DeleteResourcePolicy", of(Some("default"))).await.unwrap();
    pair.replica.call("StopReplicationToReplica", of(None)).await.unwrap();
    assert_eq!(names().await, Vec::<Value>::new());
}

/// An older AWS CLI knows the newest operations with AWS's newest model.
#[tokio::test]
async fn aws_cli_associates_a_cross_account_replica() {
    let pair = Pair::created().await.unwrap();
    let models = models();
    let environment = [("AWS_DATA_PATH", models.to_str().unwrap())];
    let aws = |command: &str| {
        let command = format!("aws secretsmanager {command} --output text");
        pair.serve.run_in_shell(&command, &environment).unwrap()
    };
    let link =
        format!("--secret-id app --cross-account-replica-arn {}", pair.copy.as_str().unwrap());
    let status = aws(&format!("associate-cross-account-replica {link} --query ReplicationStatus"));
    assert_eq!(status, "InProgress\n");
    let described = "describe-secret --secret-id app \
        --query CrossAccountReplicas[].ReplicationStatus";
    assert_eq!(aws(described), "InSync\n");
    assert_eq!(pair.value_of_replica().await.unwrap(), "one");
    assert_eq!(aws("list-resource-policies --secret-id app --query ResourcePolicies"), "");
    aws(&format!("disassociate-cross-account-replica {link}"));
    assert_eq!(pair.statuses().await.unwrap().1, "Detached");
}
