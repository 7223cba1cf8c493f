//! What a rotator may ask of the rotation it is part of.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;

use crate::deadline::Deadline;
use crate::error::Result;
use crate::event::{Event, Step, VersionId};
use crate::manager::Manager;
use crate::secret::SecretValue;
use crate::staging::{CURRENT, PREVIOUS, Staging};

/// One invocation, seen by a [`crate::Rotator`].
#[derive(Debug)]
pub struct Context<'a> {
    pub(crate) event: &'a Event,
    pub(crate) manager: &'a Manager,
    pub(crate) deadline: &'a Deadline,
}

impl Context<'_> {
    /// The step.
    pub fn step(&self) -> Step {
        self.event.step
    }

    /// The ARN (or name) of the secret.
    pub fn secret_id(&self) -> &str {
        &self.event.secret_id
    }

    /// The version being rotated to.
    pub fn version(&self) -> &VersionId {
        &self.event.version
    }

    /// The time that is left for the whole step.
    pub fn remaining(&self) -> Duration {
        self.deadline.remaining()
    }

    /// Says what is about to be done: a line in the log, and the answer to "what was it waiting
    /// for?" when the time runs out. No secrets.
    pub fn doing(&self, what: impl AsRef<str>) {
        self.deadline.doing(what.as_ref());
        tracing::info!("{}", what.as_ref());
    }

    /// Adds a warning to the log. No secrets.
    pub fn warn(&self, what: impl AsRef<str>) {
        tracing::warn!("{}", what.as_ref());
    }

    /// Returns `true` if the version is still the one to rotate to, asked anew: before anything is
    /// done a second time, for the rotation may have been given up meanwhile, and another one
    /// begun.
    pub async fn is_still_pending(&self) -> bool {
        let description = self.manager.describe(&self.event.secret_id).await;
        let staging =
            description.and_then(|description| description.staging_of(&self.event.version));
        matches!(staging, Ok(Staging::Pending { .. }))
    }

    /// The `AWSCURRENT` value of the secret, if there is one. `setSecret` has it already.
    ///
    /// # Errors
    /// What Secrets Manager refuses.
    pub async fn current(&self) -> Result<Option<SecretValue>> {
        self.manager.value(&self.event.secret_id, CURRENT).await
    }

    /// The `AWSPREVIOUS` value of the secret, if there is one. Read when asked for: most rotations
    /// do not need it.
    ///
    /// # Errors
    /// What Secrets Manager refuses.
    pub async fn previous(&self) -> Result<Option<SecretValue>> {
        self.manager.value(&self.event.secret_id, PREVIOUS).await
    }

    /// The versions of the secret before `AWSCURRENT` and `AWSPENDING`, newest first: the previous
    /// one, and those that have no label any more, as after rotations that were given up.
    ///
    /// # Errors
    /// What Secrets Manager refuses.
    pub async fn earlier(&self) -> Result<Vec<VersionId>> {
        self.manager.earlier(&self.event.secret_id).await
    }

    /// The value of a version of the secret; `None` when it has none.
    ///
    /// # Errors
    /// What Secrets Manager refuses.
    pub async fn value_of(&self, version: &VersionId) -> Result<Option<SecretValue>> {
        self.manager.value_of(&self.event.secret_id, version).await
    }

    /// The tags of another secret.
    ///
    /// # Errors
    /// What Secrets Manager refuses.
    pub async fn tags_of(&self, id: &str) -> Result<HashMap<String, String>> {
        self.manager.tags(id).await
    }

    /// What other AWS clients are made from: credentials, region, time-outs.
    pub fn aws(&self) -> Option<&SdkConfig> {
        self.manager.config()
    }

    /// The `AWSCURRENT` value of another secret.
    ///
    /// # Errors
    /// What Secrets Manager refuses, or [`crate::Error::NotFound`].
    pub async fn other_secret(&self, id: &str) -> Result<SecretValue> {
        self.manager.current_value_of(id).await
    }
}
