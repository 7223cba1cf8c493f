//! Rotations of a fixture: whole rotations, single steps, and rotations that must fail.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rotation_local::{Attempt, Function, FunctionError, Program, Rotation, rotate_secret};
use serde_json::{Value, json};

use super::foretold::must_foretell;
use super::{Fixture, SECRET_ARN};
use crate::binary;
use crate::machine::scaled;
use crate::server::Server;

impl<T: Server> Fixture<T> {
    /// Returns the function's program for a strategy such as `single-user` or `master-user`.
    pub fn program(&self, strategy: &str) -> Program {
        self.program_of(T::BINARY, strategy)
    }

    /// Returns the program of another function, configured for this server.
    pub fn program_of(&self, function: &str, strategy: &str) -> Program {
        let written = Arc::clone(&self.written);
        let [key, token] = &self.credentials;
        let program = Program::new(binary(function))
            .env("SECRETS_MANAGER_ENDPOINT", self.service.endpoint())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", key)
            .env("AWS_SESSION_TOKEN", token)
            .env("AWS_LAMBDA_LOG_LEVEL", "TRACE")
            .env("RUST_BACKTRACE", "1")
            .env("ROTATION_STRATEGY", strategy)
            // On Lambda, these variables are not set and the trust store is the default one.
            .without("SSL_CERT_FILE")
            .without("SSL_CERT_DIR")
            .log(move |line| written.log(line));
        if self.target.authority().is_some() {
            program.env("TLS_CA_FILE", self.folder.path().join("authority.pem").to_string_lossy())
        } else {
            program
        }
    }

    /// Returns the function, started as on Lambda.
    pub fn function(&self, strategy: &str) -> Function {
        self.program(strategy).into()
    }

    /// Starts a rotation without invoking the function. Uses the given version or creates a new
    /// one, and returns its token.
    ///
    /// # Errors
    /// Returns the service's error.
    pub fn stage(&self, token: Option<&str>) -> Result<String> {
        let mut request =
            json!({"SecretId": SECRET_ARN, "RotationLambdaARN": "arn:aws:lambda:test"});
        if let Some(token) = token {
            request["ClientRequestToken"] = token.into();
        }
        let staged = self.service.perform("RotateSecret", &request)?;
        Ok(staged["VersionId"].as_str().context("RotateSecret returned no version id")?.to_owned())
    }

    /// Runs a whole rotation with one attempt.
    ///
    /// # Errors
    /// Returns the function's error.
    pub async fn rotate(&self, function: &Function) -> Result<Rotation> {
        let token = self.stage(None)?;
        let rotation = self.attempt(function, &token, 1).await;
        match &rotation.failed {
            Some(error) => bail!("{}: {}", error.error_type, error.message),
            None => Ok(rotation),
        }
    }

    /// Runs a rotation of a version that is already pending, with at most `most` attempts.
    pub async fn attempt(&self, function: &Function, token: &str, most: u32) -> Rotation {
        let attempts = Attempt { most, pause: Duration::from_millis(20) };
        let rotation =
            rotate_secret(&self.service, function, SECRET_ARN, token, attempts, &mut ()).await;
        rotation.steps.iter().for_each(|step| self.written.answer(&format!("{:?}", step.result)));
        // Reading the value adds its password to those that the logs are searched for.
        let _ = self.value("AWSPENDING");
        rotation
    }

    /// Retries a failed rotation once, as the service does.
    ///
    /// # Errors
    /// Returns the service's error.
    pub async fn again(&self, function: &Function) -> Result<Rotation> {
        let token = self.stage(self.version("AWSPENDING")?.as_deref())?;
        Ok(self.attempt(function, &token, 1).await)
    }

    /// Cancels a rotation with `CancelRotateSecret` and removes `AWSPENDING`.
    ///
    /// # Errors
    /// Returns the service's error.
    pub fn give_up(&self, token: &str) -> Result<()> {
        self.service.perform("CancelRotateSecret", &json!({"SecretId": SECRET_ARN}))?;
        let remove = json!({
            "SecretId": SECRET_ARN,
            "VersionStage": "AWSPENDING",
            "RemoveFromVersionId": token,
        });
        self.service.perform("UpdateSecretVersionStage", &remove)?;
        Ok(())
    }

    /// Runs a rotation that must fail, and returns its error.
    ///
    /// # Errors
    /// Returns an error if the rotation succeeds.
    pub async fn failure(&self, function: &Function) -> Result<FunctionError> {
        let token = self.stage(None)?;
        let rotation = self.attempt(function, &token, 1).await;
        rotation.failed.context("the rotation succeeded")
    }

    /// Runs preflight and then a rotation that must fail. The error must have the given type, a
    /// message that contains `part`, and a remedy. No password may leak, and a silent server must
    /// not take longer than the function's own time limit. Preflight must have found the error,
    /// too.
    ///
    /// # Errors
    /// Returns an error if the rotation ends in any other way.
    pub async fn expect(
        &self,
        function: &Function,
        error_type: &str,
        part: &str,
    ) -> Result<FunctionError> {
        let foretold = self.foretell(function).await?;
        let error = self.expect_unforetold(function, error_type, part).await?;
        must_foretell(&foretold, &error)?;
        Ok(error)
    }

    /// Does the same as [`Fixture::expect`] without running preflight first, for faults that happen
    /// only once.
    ///
    /// # Errors
    /// Returns an error if the rotation ends in any other way.
    pub async fn expect_unforetold(
        &self,
        function: &Function,
        error_type: &str,
        part: &str,
    ) -> Result<FunctionError> {
        let start = Instant::now();
        let error = self.failure(function).await?;
        let took = start.elapsed();
        println!("{took:?} {}: {}", error.error_type, error.message);
        ensure!(
            error.error_type == error_type,
            "{} instead of {error_type}: {}",
            error.error_type,
            error.message
        );
        ensure!(error.message.contains(part), "{part:?} is not in: {}", error.message);
        ensure!(error.message.contains("What to do: "), "no remedy: {}", error.message);
        // One login that is never answered takes 5 s. A second one must not follow. The limit shows
        // this only on a machine that is not much slower than the reference.
        let limit = Duration::from_secs(5) + scaled(Duration::from_secs(4));
        ensure!(error_type != "DatabaseSilent" || took < limit, "{error_type} took {took:?}");
        self.search_for_passwords(&error.message)?;
        Ok(error)
    }

    /// Runs one step.
    ///
    /// # Errors
    /// Returns the function's error.
    pub async fn step(&self, function: &Function, step: &str, token: &str) -> Result<Value> {
        let event = json!({"Step": step, "SecretId": SECRET_ARN, "ClientRequestToken": token});
        let answer = function.invoke(&event).await;
        self.written.answer(&format!("{answer:?}"));
        answer.map_err(|error| anyhow::anyhow!("{}: {}", error.error_type, error.message))
    }

    /// Invokes preflight, and returns its record.
    pub(super) async fn run_preflight(&self, function: &Function) -> Result<Value, FunctionError> {
        let answer = function.invoke(&json!({"Step": "preflight", "SecretId": SECRET_ARN})).await;
        self.written.answer(&format!("{answer:?}"));
        answer
    }

    /// Runs a rotation with alternating users and returns the notes of its `setSecret` step.
    ///
    /// # Errors
    /// Returns the function's error.
    pub async fn notes_of_set_secret(&self) -> Result<String> {
        let function = self.function("master-user");
        let token = self.stage(None)?;
        self.step(&function, "createSecret", &token).await?;
        let record = self.step(&function, "setSecret", &token).await?;
        let rotation = self.attempt(&function, &token, 1).await;
        ensure!(rotation.failed.is_none(), "{:?}", rotation.failed);
        Ok(record["notes"].to_string())
    }

    /// Runs preflight and returns its checks.
    ///
    /// # Errors
    /// Returns the function's error.
    pub async fn preflight(&self, function: &Function) -> Result<Vec<Value>> {
        let record = self.run_preflight(function).await;
        let record =
            record.map_err(|error| anyhow::anyhow!("{}: {}", error.error_type, error.message))?;
        self.search_for_passwords(&record.to_string())?;
        record["checks"].as_array().cloned().context("preflight returned no checks")
    }

    /// Checks that preflight finds an error of the given type, with a remedy that contains `part`.
    ///
    /// # Errors
    /// Returns an error if it does not.
    pub async fn preflight_finds(
        &self,
        function: &Function,
        error_type: &str,
        part: &str,
    ) -> Result<()> {
        let checks = self.preflight(function).await?;
        let is_it = |check: &&Value| {
            let remedy = check["remedy"].as_str().unwrap_or_default();
            check["found"] == "bad" && check["errorType"] == error_type && remedy.contains(part)
        };
        ensure!(
            checks.iter().any(|check| is_it(&check)),
            "no {error_type} with {part:?} in {checks:#?}"
        );
        Ok(())
    }
}
