//! Tests of the rotations that are not of databases: of an API key, and of a Redis user.

mod api_key;
mod redis_acl;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rotation_driver::{Attempt, Function, Program, Rotation, rotate_secret};
use rotation_tests::binary;
use rotation_tests::fixture::SECRET_ARN;
use secretsmanager_emulator::{Fault, Service, ServiceError, When};
use serde_json::{Value, json};

/// A secret, and the function that rotates it.
struct Fixture {
    service: Service,
    function: Function,
    log: Arc<Mutex<String>>,
}

impl Fixture {
    async fn new(program: &str, secret: &Value) -> Result<Self> {
        let service = Service::start(0).await?;
        service.put_secret("test/secret", SECRET_ARN, &secret.to_string())?;
        let log = Arc::<Mutex<String>>::default();
        let lines = Arc::clone(&log);
        let function = Self::program(&service, program)
            .log(move |line| {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push_str(&format!("{line}\n"));
            })
            .into();
        Ok(Self { service, function, log })
    }

    fn program(service: &Service, binary_name: &str) -> Program {
        Program::new(binary(binary_name))
            .env("SECRETS_MANAGER_ENDPOINT", service.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
    }

    fn stage(&self) -> Result<String> {
        let request = json!({"SecretId": SECRET_ARN, "RotationLambdaARN": "arn:aws:lambda:test"});
        let staged = self.service.perform("RotateSecret", &request)?;
        Ok(staged["VersionId"].as_str().context("RotateSecret returned no version id")?.to_owned())
    }

    async fn attempt(&self, token: &str) -> Rotation {
        let attempts = Attempt { most: 1, pause: Duration::ZERO };
        rotate_secret(&self.service, &self.function, SECRET_ARN, token, attempts, &mut ()).await
    }

    async fn rotate(&self) -> Result<Value> {
        let rotation = self.attempt(&self.stage()?).await;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        self.value("AWSCURRENT")
    }

    fn value(&self, label: &str) -> Result<Value> {
        let request = json!({"SecretId": SECRET_ARN, "VersionStage": label});
        let answer = self.service.perform("GetSecretValue", &request)?;
        Ok(serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default())?)
    }

    /// Makes the n-th call of Secrets Manager fail before or after its effect, and then retries.
    /// Returns `false` if there are fewer calls.
    async fn fail_and_retry(&self, point: usize, when: When) -> Result<bool> {
        let token = self.stage()?;
        self.service.clear_calls();
        self.service.set_fault(move |number, _, asked| {
            (number == point && asked == when).then(|| {
                Fault::Refuse(ServiceError::new("InvalidRequestException", "a fault of this test"))
            })
        });
        let first = self.attempt(&token).await;
        self.service.clear_fault();
        if first.failed.is_none() && self.service.calls().len() <= point {
            return Ok(false);
        }
        let second = self.attempt(&token).await;
        ensure!(second.failed.is_none(), "{when:?} call {point}: {:?}", second.failed);
        Ok(true)
    }

    /// Checks that the function's log does not contain a secret.
    fn search(&self, secret: &str) -> Result<()> {
        let log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(log.contains("createSecret"), "nothing was logged: {log}");
        ensure!(!log.contains(secret), "found a secret in the log");
        Ok(())
    }
}
