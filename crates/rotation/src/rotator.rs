//! The trait for a kind of credential.

use std::future::Future;

use crate::checks::Checks;
use crate::context::Context;
use crate::error::Result;
use crate::password::PasswordSettings;
use crate::record::Done;
use crate::secret::{Password, SecretValue};
use crate::step::Step;

/// The metric dimensions of a rotator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// The kind of credential: `postgres`, `api-key`, …
    pub engine: String,
    /// The strategy: `single-user`, `master-user`, …
    pub strategy: String,
}

/// The two values that `setSecret` works with.
#[derive(Debug)]
pub struct Versions {
    /// The value of the version that is labelled `AWSCURRENT`.
    pub current: SecretValue,
    /// The `AWSPENDING` value, which `createSecret` has stored.
    pub pending: SecretValue,
}

/// A kind of credential that can be rotated, such as an API key, a database user or a device.
///
/// The function can stop between any two effects of a step. Secrets Manager then retries the whole
/// rotation with the same version. Every method must therefore converge from any state that an
/// earlier attempt has left: check first, then act. Results and log lines of a method must not
/// contain a secret.
pub trait Rotator: Send + Sync + 'static {
    /// Returns the dimensions of the metrics.
    fn labels(&self) -> Labels;

    /// Called at the start of a step, before the secret is read from Secrets Manager. Start work
    /// here that does not need the secret, such as a connection.
    fn begin(&self, _step: Step, _secret_id: &str) {}

    /// Called at the end of a step, also after an error or a panic. Stop unused work of
    /// [`Rotator::begin`] here.
    fn end(&self) {}

    /// Returns the settings of a random password that `createSecret` needs, or `None`. The crate
    /// generates it with `GetRandomPassword` while it reads the versions.
    fn password(&self) -> Option<&PasswordSettings> {
        None
    }

    /// Checks the current value at the start of `createSecret`, even if the new value already
    /// exists.
    ///
    /// # Errors
    /// Returns one error with all problems of the value.
    fn validate(&self, _current: &SecretValue) -> Result<()> {
        Ok(())
    }

    /// `createSecret`: creates the new value from the current one. It is not called if the pending
    /// version has a value.
    ///
    /// `random` is the password for the settings of [`Rotator::password`].
    fn create(
        &self,
        cx: &Context<'_>,
        current: &SecretValue,
        random: Option<Password>,
    ) -> impl Future<Output = Result<SecretValue>> + Send;

    /// `setSecret`: makes the service accept the pending credential.
    fn set(
        &self,
        cx: &Context<'_>,
        versions: &Versions,
    ) -> impl Future<Output = Result<Done>> + Send;

    /// `testSecret`: verifies that the pending credential works.
    fn test(
        &self,
        cx: &Context<'_>,
        pending: &SecretValue,
    ) -> impl Future<Output = Result<Done>> + Send;

    /// The last check before `finishSecret` moves `AWSCURRENT`: verifies that the pending
    /// credential still works and still matches the current value, which an operator may have
    /// edited in the meantime. Returns notes for the operator, one sentence each.
    ///
    /// # Errors
    /// Return an error if the service rejects the credential. Do not return an error if the service
    /// cannot be reached: `testSecret` has verified the credential, and applications must not wait
    /// for a credential that may be the only one that works.
    fn confirm(
        &self,
        _cx: &Context<'_>,
        _pending: &SecretValue,
        _current: Option<&SecretValue>,
    ) -> impl Future<Output = Result<Vec<String>>> + Send {
        async { Ok(Vec::new()) }
    }

    /// `preflight`: checks everything that the steps need, and changes nothing. `_current` has
    /// passed [`Rotator::validate`], and `_random` is a password that was generated for this check.
    fn preflight(
        &self,
        _cx: &Context<'_>,
        _current: &SecretValue,
        _random: Option<Password>,
        _checks: &mut Checks,
    ) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// Called after `finishSecret` has moved `AWSCURRENT`, for example to revoke the old
    /// credential.
    ///
    /// If it returns an error, the step fails. Secrets Manager retries the step, and this method is
    /// called again, although the label has already moved.
    fn finished(&self, _cx: &Context<'_>) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}
