//! The interface between a rotator and the rotation that calls it.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;

use crate::deadline::Deadline;
use crate::error::Result;
use crate::event::{Event, VersionId};
use crate::manager::Manager;
use crate::secret::SecretValue;
use crate::staging::{CURRENT, PREVIOUS, Staging};
use crate::step::Step;

/// One invocation, as a [`crate::Rotator`] sees it.
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) event: &'a Event,
    pub(crate) manager: &'a Manager,
    pub(crate) deadline: &'a Deadline,
}

impl Context<'_> {
    /// Returns the step that this invocation runs.
    pub fn step(&self) -> Step {
        self.event.step
    }

    /// Returns the ARN (or name) of the secret.
    pub fn secret_id(&self) -> &str {
        &self.event.secret_id
    }

    /// Returns the version that is being rotated to.
    ///
    /// # Errors
    /// Returns [`crate::Error::MalformedEvent`] in preflight, which has no version. The steps of a
    /// rotation always have one.
    pub fn version(&self) -> Result<&VersionId> {
        self.event.version()
    }

    /// Returns the time that is left for the whole step.
    pub fn remaining(&self) -> Duration {
        self.deadline.remaining()
    }

    /// Logs the current activity, such as "logging in to db:5432", and stores it for the error
    /// [`crate::Error::DeadlineExceeded`]. The text must not contain a secret.
    pub fn set_activity(&self, what: impl AsRef<str>) {
        self.deadline.set_activity(what.as_ref());
        tracing::info!("{}", what.as_ref());
    }

    /// Logs that a login has ended, with its duration. The error type is `None` if it succeeded.
    /// The texts must not contain a secret.
    pub fn log_login(&self, endpoint: &str, user: &str, took: Duration, error_type: Option<&str>) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let result = if error_type.is_some() { "failed" } else { "succeeded" };
        tracing::info!(
            event = "login",
            endpoint,
            user,
            milliseconds,
            error_type,
            "the login to {endpoint} as {user} {result} after {milliseconds} ms"
        );
    }

    /// Logs a warning. The text must not contain a secret.
    pub fn warn(&self, what: impl AsRef<str>) {
        tracing::warn!("{}", what.as_ref());
    }

    /// Returns `true` if the version is still the pending one. Each call asks Secrets Manager.
    ///
    /// Check this before you retry a change: in the meantime, the rotation may have been cancelled,
    /// and another one may have started.
    pub async fn is_still_pending(&self) -> bool {
        let description = self.manager.describe(&self.event.secret_id).await;
        let staging = description.and_then(|description| description.staging_of(self.version()?));
        matches!(staging, Ok(Staging::Pending { .. }))
    }

    /// Returns the `AWSCURRENT` value of the secret, if there is one. In `setSecret`, the rotator
    /// already has it in its arguments.
    ///
    /// # Errors
    /// Returns an error if the call to Secrets Manager fails.
    pub async fn current(&self) -> Result<Option<SecretValue>> {
        self.manager.value(&self.event.secret_id, CURRENT).await
    }

    /// Returns the `AWSPREVIOUS` value of the secret, if there is one. It is read only on request,
    /// because most rotations do not need it.
    ///
    /// # Errors
    /// Returns an error if the call to Secrets Manager fails.
    pub async fn previous(&self) -> Result<Option<SecretValue>> {
        self.manager.value(&self.event.secret_id, PREVIOUS).await
    }

    /// Returns the versions of the secret without `AWSCURRENT` and `AWSPENDING`, newest first: the
    /// previous version, and the deprecated versions (which have no staging labels), for example
    /// those of cancelled rotations.
    ///
    /// # Errors
    /// Returns an error if the call to Secrets Manager fails.
    pub async fn earlier(&self) -> Result<Vec<VersionId>> {
        self.manager.earlier(&self.event.secret_id).await
    }

    /// Returns the value of a version of the secret, or `None` if the version has no value.
    ///
    /// # Errors
    /// Returns an error if the call to Secrets Manager fails.
    pub async fn value_of(&self, version: &VersionId) -> Result<Option<SecretValue>> {
        self.manager.value_of(&self.event.secret_id, version).await
    }

    /// Returns the tags of another secret.
    ///
    /// # Errors
    /// Returns an error if the call to Secrets Manager fails.
    pub async fn tags_of(&self, id: &str) -> Result<HashMap<String, String>> {
        self.manager.tags(id).await
    }

    /// Returns the configuration (credentials, Region, timeouts) for clients of other AWS services.
    /// It is `None` if the caller of [`crate::perform`] provided the Secrets Manager client.
    pub fn aws(&self) -> Option<&SdkConfig> {
        self.manager.config()
    }

    /// Returns the `AWSCURRENT` value of another secret.
    ///
    /// # Errors
    /// Returns an error if the call to Secrets Manager fails, or [`crate::Error::NotFound`] if the
    /// secret has no `AWSCURRENT` value.
    pub async fn other_secret(&self, id: &str) -> Result<SecretValue> {
        self.manager.current_value_of(id).await
    }
}
