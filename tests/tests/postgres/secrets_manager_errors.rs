//! Tests of errors of Secrets Manager, which the function must tell apart.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rotation_tests::fixture::{MASTER_ARN, SECRET_ARN};
use rotation_tests::machine_speed::scaled;
use rotation_tests::postgres::{Fixture, on_each};
use rotation_tests::proxy::tls_proxy;
use secretsmanager_emulator::{Fault, ServiceError, When};
use serde_json::json;
use test_servers::Certificates;

#[tokio::test]
async fn secrets_manager_errors_are_distinct() {
    on_each(|target| async move {
        let cases = [
            (
                "DescribeSecret",
                "AccessDeniedException",
                "User is not authorized",
                "AccessDenied",
                "secretsmanager:DescribeSecret",
            ),
            (
                "GetSecretValue",
                "AccessDeniedException",
                "Access to KMS is not allowed",
                "KmsKeyUnusable",
                "kms:Decrypt",
            ),
            (
                "GetSecretValue",
                "DecryptionFailure",
                "The key is disabled",
                "KmsKeyUnusable",
                "kms:Decrypt",
            ),
            (
                "PutSecretValue",
                "EncryptionFailure",
                "The key is pending deletion",
                "KmsKeyUnusable",
                "kms:GenerateDataKey",
            ),
            (
                "GetRandomPassword",
                "ThrottlingException",
                "Rate exceeded",
                "Throttled",
                "retries the rotation",
            ),
            (
                "PutSecretValue",
                "AccessDeniedException",
                "not created by Lambda",
                "AccessDenied",
                SECRET_ARN,
            ),
            (
                "GetSecretValue",
                "InvalidRequestException",
                "because it was marked for deletion",
                "SecretMarkedForDeletion",
                "restore-secret",
            ),
            (
                "PutSecretValue",
                "LimitExceededException",
                "The secret has too many versions",
                "SecretsManagerError",
                "follow the service's message",
            ),
            (
                "GetRandomPassword",
                "UnrecognizedClientException",
                "The security token is invalid",
                "AwsCredentials",
                "execution role",
            ),
        ];
        for (operation, code, words, error_type, part) in cases {
            let fixture = Fixture::new(&target).await?;
            let function = fixture.function("single-user");
            fixture.service.set_fault(move |_, called, when| {
                (called == operation && when == When::Before)
                    .then(|| Fault::Refuse(ServiceError::new(code, words)))
            });
            let error = fixture.failure(&function).await?;
            assert_eq!(error.error_type, error_type, "{}", error.message);
            assert!(
                error.message.contains(part)
                    && error.message.contains(words)
                    && error.message.contains("createSecret"),
                "{}",
                error.message
            );
            fixture.search_for_passwords(&error.message)?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn binary_secret_is_reported() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let binary = json!({"SecretId": SECRET_ARN, "SecretBinary": "AAEC"});
        fixture.service.perform("PutSecretValue", &binary)?;
        let function = fixture.function("single-user");
        fixture.expect(&function, "NotASecretString", "SecretBinary").await?;
        Ok(())
    })
    .await;
}

/// The alternate user's name is longer than that of the base user, so the new value exceeds the
/// limit of the service.
#[tokio::test]
async fn too_large_value_is_not_stored() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let size = fixture.value("AWSCURRENT")?.to_string().len() + r#","padding":"""#.len();
        fixture.change(&json!({"padding": "x".repeat(65_536 - size)}))?;
        let function = fixture.function("master-user");
        fixture.expect(&function, "SecretTooLarge", "the limit is 65536").await?;
        let pending = json!({"SecretId": SECRET_ARN, "VersionStage": "AWSPENDING"});
        assert!(fixture.service.perform("GetSecretValue", &pending).is_err());
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn missing_credentials_are_reported() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let program = fixture
            .program("single-user")
            .env("AWS_ACCESS_KEY_ID", "")
            .env("AWS_SECRET_ACCESS_KEY", "");
        let token = fixture.stage(None)?;
        let rotation = fixture.attempt(&program.into(), &token, 1).await;
        let error = rotation.failed.expect("the attempt must fail");
        assert_eq!(error.error_type, "AwsCredentials", "{}", error.message);
        assert!(error.message.contains("AWS_ACCESS_KEY_ID"), "{}", error.message);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn unreachable_secrets_manager_is_reported() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (silent, _) = rotation_tests::proxy::impostor(Vec::new()).await?;
        for endpoint in [
            "http://127.0.0.1:9".to_owned(),
            format!("http://{silent}"),
            "http://no-such-host.invalid".into(),
        ] {
            let function =
                fixture.program("single-user").env("SECRETS_MANAGER_ENDPOINT", &*endpoint).into();
            let token = fixture.stage(None)?;
            let start = Instant::now();
            let error = fixture.attempt(&function, &token, 1).await.failed.expect(
                "the attempt must \
                fail",
            );
            println!("{endpoint}: {:?}: {}", start.elapsed(), error.message);
            // The function's own limit for a call is 5 s.
            let limit = Duration::from_secs(5) + scaled(Duration::from_secs(2));
            assert!(start.elapsed() < limit, "{:?}", start.elapsed());
            assert_eq!(error.error_type, "SecretsManagerUnreachable", "{}", error.message);
            assert!(
                error.message.contains(&endpoint) && error.message.contains("VPC"),
                "{}",
                error.message
            );
            fixture.service.perform(
                "UpdateSecretVersionStage",
                &json!({
                    "SecretId": SECRET_ARN,
                    "VersionStage": "AWSPENDING",
                    "RemoveFromVersionId": token,
                }),
            )?;
        }
        Ok(())
    })
    .await;
}

/// As in AWS, the connection is encrypted, and the certificate must be issued by a trusted CA for
/// the right host.
#[tokio::test]
async fn secrets_manager_certificate_is_verified() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let certificates = Certificates::for_names(&["localhost"])?;
        let authority = tempfile::NamedTempFile::new()?;
        std::fs::write(&authority, &certificates.authority)?;
        let address = fixture.service.endpoint().trim_start_matches("http://").parse()?;
        let port = tls_proxy(address, &certificates).await?.port();
        let at = |host: &str| {
            let endpoint = format!("https://{host}:{port}");
            fixture.program("single-user").env("SECRETS_MANAGER_ENDPOINT", endpoint)
        };

        let token = fixture.stage(None)?;
        let trusting = |host| at(host).env("SSL_CERT_FILE", authority.path().to_string_lossy());
        for (function, expected) in
            [(at("localhost"), "UnknownIssuer"), (trusting("127.0.0.1"), "127.0.0.1")]
        {
            let error = fixture
                .attempt(&function.into(), &token, 1)
                .await
                .failed
                .context("the attempt did not fail")?;
            assert_eq!(error.error_type, "SecretsManagerUnreachable", "{}", error.message);
            assert!(error.message.contains("SSL_CERT_FILE"), "{}", error.message);
            assert!(error.message.contains(expected), "{}", error.message);
        }
        assert_eq!(fixture.attempt(&trusting("localhost").into(), &token, 1).await.failed, None);
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn rotation_token_is_passed_and_not_logged() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("single-user");
        let token = fixture.stage(None)?;
        let event = json!({"Step": "createSecret", "SecretId": SECRET_ARN,
            "ClientRequestToken": token,
            "RotationToken": "rotation-token-of-this-test-which-is-long"});
        function.invoke(&event).await.map_err(|error| anyhow::anyhow!(error.message))?;
        let calls = fixture.service.calls();
        let put = calls
            .iter()
            .find(|call| call.operation == "PutSecretValue")
            .expect("PutSecretValue must be called");
        assert_eq!(put.rotation_token, Some("rotation-token-of-this-test-which-is-long".len()));
        assert!(!fixture.function_log().contains("rotation-token-of-this-test-which-is-long"));
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn invalid_staging_and_events_are_rejected_first() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("single-user");
        let unknown = "00000000-0000-0000-0000-000000000000";
        let error = fixture.step(&function, "setSecret", unknown).await.unwrap_err().to_string();
        assert!(error.starts_with("VersionUnknown: "), "{error}");

        let token = fixture.stage(None)?;
        for step in ["setSecret", "testSecret"] {
            let error = fixture.step(&function, step, &token).await.unwrap_err().to_string();
            assert!(error.starts_with("NoPendingValue: "), "{error}");
        }
        let error = fixture.step(&function, "rotateSecret", &token).await.unwrap_err().to_string();
        assert!(error.starts_with("MalformedEvent: "), "{error}");

        fixture.service.perform("CancelRotateSecret", &json!({"SecretId": SECRET_ARN}))?;
        let error = fixture.step(&function, "createSecret", &token).await.unwrap_err().to_string();
        assert!(error.starts_with("RotationNotEnabled: "), "{error}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn missing_master_secret_is_reported() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        let other = MASTER_ARN.replace("master", "missing");
        fixture.change(&json!({"masterarn": other}))?;
        let error = fixture.failure(&function).await?;
        assert_eq!(error.error_type, "SecretNotFound");
        assert!(error.message.contains(&other), "{}", error.message);
        Ok::<(), anyhow::Error>(())
    })
    .await;
}

#[tokio::test]
async fn invalid_setting_is_reported_by_name() {
    on_each(|target| async move {
        for (name, value) in [
            ("PASSWORD_LENGTH", "long"),
            ("SECRETS_MANAGER_ENDPOINT", "not-a-url"),
            ("TLS_MODE", "maybe"),
        ] {
            let fixture = Fixture::new(&target).await?;
            let function = fixture.program("single-user").env(name, value).into();
            let error = fixture.failure(&function).await?;
            assert_eq!(error.error_type, "InvalidSetting");
            assert!(
                fixture.function_log().contains("\"Failure\":1"),
                "the log has no failure metric: {}",
                fixture.function_log()
            );
            assert!(
                error.message.contains(name) && error.message.contains(value),
                "{}",
                error.message
            );
        }
        let result: Result<()> = Ok(());
        result
    })
    .await;
}
