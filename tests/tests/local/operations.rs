//! A test that performs every operation, and compares the responses with AWS's model.

use rotation_tests::local::Serve;
use serde_json::json;

use crate::raw::{Raw, operations};

/// `Raw::call` compares each response with the model. This test makes every operation answer.
#[tokio::test]
async fn every_operation_answers_as_the_aws_model_describes() {
    let serve = Serve::start(&["--function", "f=/bin/false", "--attempts", "1"]).await.unwrap();
    let own = Raw::new(&serve);
    let other = own.in_account("222222222222");
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*",
        "Action":"*","Resource":"*"}]}"#;
    let regions = json!([{"Region": "eu-west-1"}]);
    let create = json!({"Name": "app", "SecretString": "x", "Tags": [{"Key": "k", "Value": "v"}],
        "AddReplicaRegions": regions, "Description": "d", "KmsKeyId": "key"});
    let created = own.call("CreateSecret", create).await.unwrap();
    let create = json!({"Name": "copy", "CrossAccountPrimaryARN": created["ARN"], "KmsKeyId": "k"});
    let copy = other.call("CreateSecret", create).await.unwrap()["ARN"].clone();
    let rotate = json!({"RotationLambdaARN": "f", "RotationRules": {"AutomaticallyAfterDays": 9}});
    let steps = [
        ("DescribeSecret", json!({})),
        ("GetSecretValue", json!({})),
        ("PutSecretValue", json!({"SecretString": "y"})),
        ("UpdateSecret", json!({"SecretString": "z"})),
        (
            "UpdateSecretVersionStage",
            json!({"VersionStage": "mine", "MoveToVersionId": created["VersionId"]}),
        ),
        ("TagResource", json!({"Tags": [{"Key": "l", "Value": "v"}]})),
        ("UntagResource", json!({"TagKeys": ["l"]})),
        ("PutResourcePolicy", json!({"ResourcePolicy": policy})),
        ("GetResourcePolicy", json!({})),
        ("ListResourcePolicies", json!({})),
        ("ValidateResourcePolicy", json!({"ResourcePolicy": "no policy"})),
        ("DeleteResourcePolicy", json!({})),
        ("AssociateCrossAccountReplica", json!({"CrossAccountReplicaARN": copy})),
        ("RotateSecret", rotate),
        ("CancelRotateSecret", json!({})),
        ("ListSecretVersionIds", json!({"IncludeDeprecated": true})),
        ("BatchGetSecretValue", json!({"SecretIdList": ["app", "absent"]})),
        ("ListSecrets", json!({})),
        ("DescribeSecret", json!({})),
        ("GetRandomPassword", json!({})),
        ("DisassociateCrossAccountReplica", json!({"CrossAccountReplicaARN": copy})),
        ("ReplicateSecretToRegions", json!({"AddReplicaRegions": [{"Region": "eu-west-2"}]})),
        ("RemoveRegionsFromReplication", json!({"RemoveReplicaRegions": ["eu-west-1"]})),
    ];
    let mut seen = vec!["CreateSecret"];
    for (operation, mut body) in steps {
        let without = ["BatchGetSecretValue", "ListSecrets", "GetRandomPassword"];
        if !without.contains(&operation) {
            body["SecretId"] = json!("app");
        }
        own.call(operation, body).await.unwrap();
        seen.push(operation);
    }
    let replica = own.in_region("eu-west-2");
    replica.call("DescribeSecret", json!({"SecretId": "app"})).await.unwrap();
    for operation in ["StopReplicationToReplica", "DeleteSecret", "DescribeSecret", "RestoreSecret"]
    {
        replica.call(operation, json!({"SecretId": "app"})).await.unwrap();
        seen.push(operation);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, operations().unwrap());
}
