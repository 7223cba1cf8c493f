//! Tests of the accounts that the access key of a request selects.

use anyhow::ensure;
use rotation_tests::local::{REGION, Serve, client};
use rotation_tests::postgres::on_each;
use serde_json::{Value, json};

use crate::raw::Raw;
use crate::serve::{function_arn, prepared};

const OTHER: &str = "222222222222";

#[tokio::test]
async fn account_of_the_access_key_has_its_own_secrets() {
    let serve = Serve::start(&[]).await.unwrap();
    let (own, other) = (Raw::new(&serve), Raw::new(&serve).in_account(OTHER));
    for (raw, value) in [(&own, "ours"), (&other, "theirs")] {
        let create = json!({"Name": "app", "SecretString": value});
        raw.call("CreateSecret", create).await.unwrap();
    }
    for (raw, value) in [(&own, "ours"), (&other, "theirs")] {
        let got = raw.call("GetSecretValue", json!({"SecretId": "app"})).await.unwrap();
        assert_eq!(got["SecretString"], value);
        let listed = raw.call("ListSecrets", json!({})).await.unwrap();
        assert_eq!(listed["SecretList"].as_array().unwrap().len(), 1);
        // Policies are not evaluated, so the ARN is enough.
        let by_arn = json!({"SecretId": got["ARN"]});
        for raw in [&own, &other] {
            let got = raw.call("GetSecretValue", by_arn.clone()).await.unwrap();
            assert_eq!(got["SecretString"], value);
        }
    }
    // The service's own account can be named, too. The rest of the key is still checked.
    let named = Raw::new(&serve).in_account("123456789012");
    let got = named.call("GetSecretValue", json!({"SecretId": "app"})).await.unwrap();
    assert_eq!(got["SecretString"], "ours");
    let command = format!("AWS_ACCESS_KEY_ID=wrong-{OTHER} aws secretsmanager list-secrets");
    let refused = serve.run_in_shell(&command, &[]).unwrap_err().to_string();
    assert!(refused.contains("UnrecognizedClientException"), "{refused}");
}

/// The other account has no secret of that name, so the ARN alone must find it.
#[tokio::test]
async fn secret_of_another_account_is_read_by_its_arn() {
    let serve = Serve::start(&[]).await.unwrap();
    let (own, other) = (Raw::new(&serve), Raw::new(&serve).in_account(OTHER));
    for (owner, reader, name) in [(&own, &other, "ours"), (&other, &own, "theirs")] {
        let create = json!({"Name": name, "SecretString": name});
        let arn = owner.call("CreateSecret", create).await.unwrap()["ARN"].clone();
        let got = reader.call("GetSecretValue", json!({"SecretId": arn})).await.unwrap();
        assert_eq!(got["SecretString"], name);
        let described = owner.call("DescribeSecret", json!({"SecretId": name})).await.unwrap();
        assert!(described["LastAccessedDate"].is_number(), "{described}");
        let batch = json!({"SecretIdList": [arn]});
        let batch = reader.call("BatchGetSecretValue", batch).await.unwrap();
        assert_eq!(batch["SecretValues"][0]["SecretString"], name, "{batch}");
    }
}

/// The account of the request has a secret of the same name, which must remain.
#[tokio::test]
async fn secret_of_another_account_is_deleted_by_its_arn() {
    let serve = Serve::start(&[]).await.unwrap();
    let (own, other) = (Raw::new(&serve), Raw::new(&serve).in_account(OTHER));
    for (owner, caller) in [(&own, &other), (&other, &own)] {
        let create = json!({"Name": "app", "SecretString": "x"});
        let arn = owner.call("CreateSecret", create.clone()).await.unwrap()["ARN"].clone();
        let remaining = caller.call("CreateSecret", create).await.unwrap()["ARN"].clone();
        let delete = json!({"SecretId": arn, "ForceDeleteWithoutRecovery": true});
        let deleted = caller.call("DeleteSecret", delete).await.unwrap();
        assert_eq!((&deleted["ARN"], &deleted["Name"]), (&arn, &json!("app")));
        let app = json!({"SecretId": "app"});
        let gone = owner.refused("DescribeSecret", app.clone()).await.unwrap();
        assert_eq!(gone.0, "ResourceNotFoundException");
        let described = caller.call("DescribeSecret", app).await.unwrap();
        assert_eq!(described["ARN"], remaining);
        let delete = json!({"SecretId": remaining, "ForceDeleteWithoutRecovery": true});
        caller.call("DeleteSecret", delete).await.unwrap();
    }
}

/// The function has the credentials of the service's own account, and reads the secret by its ARN.
#[tokio::test]
async fn secret_of_another_account_is_rotated() {
    on_each(|target| async move {
        let (fixture, serve, _folder) = prepared(&target, &["--attempts", "1"]).await?;
        let sdk = client(&serve.endpoint(), &format!("{}-{OTHER}", serve.key), REGION);
        let before = fixture.value("AWSCURRENT")?;
        sdk.create_secret().name("app").secret_string(before.to_string()).send().await?;
        sdk.rotate_secret().secret_id("app").rotation_lambda_arn(function_arn()).send().await?;
        serve.until_rotated().await?;
        let rotated = sdk.get_secret_value().secret_id("app").send().await?;
        let rotated: Value = serde_json::from_str(rotated.secret_string().unwrap_or_default())?;
        ensure!(rotated != before, "the secret has not changed");
        fixture.log_in_with(&rotated).await?;
        Ok(())
    })
    .await;
}
