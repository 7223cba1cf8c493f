//! The one thing that differs between rotations: what the credential is.

use std::future::Future;

use crate::context::Context;
use crate::error::Result;
use crate::event::Step;
use crate::password::PasswordSettings;
use crate::preflight::Checks;
use crate::record::Done;
use crate::secret::{Password, SecretValue};

/// The names under which a rotator's metrics are filed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// What is rotated: `postgres`, `api-key`, …
    pub engine: String,
    /// How: `single-user`, `master-user`, …
    pub strategy: String,
}

/// The two values that `setSecret` works with.
#[derive(Debug)]
pub struct Versions {
    /// The `AWSCURRENT` value.
    pub current: SecretValue,
    /// The `AWSPENDING` value, made by `createSecret`.
    pub pending: SecretValue,
}

/// A kind of credential that can be rotated. Implement this for anything: an API key, a database, a
/// device.
///
/// The service may die between any two effects of a step and then repeats the whole rotation, with
/// the same version. So every method must converge from whatever an earlier attempt left: look
/// first, then act. What a method returns or logs must hold no secret.
pub trait Rotator: Send + Sync + 'static {
    /// The names for metrics.
    fn labels(&self) -> Labels;

    /// A step has begun, and what it needs of Secrets Manager is being read: whatever needs none of
    /// it may begin as well.
    fn begin(&self, _step: Step, _secret_id: &str) {}

    /// The step is over, however it went: what has begun and was not used ends.
    fn end(&self) {}

    /// Asks for a random password to be fetched (`GetRandomPassword`) while the versions are read.
    fn password(&self) -> Option<&PasswordSettings> {
        None
    }

    /// Checks the current value in `createSecret`, before anything else; also when the new value
    /// exists already.
    ///
    /// # Errors
    /// Every fault of the value at once.
    fn validate(&self, _current: &SecretValue) -> Result<()> {
        Ok(())
    }

    /// `createSecret`: makes the new value from the current one. Not called when the pending
    /// version has a value.
    ///
    /// `random` is the password that [`Rotator::password`] asked for.
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

    /// `testSecret`: proves that the pending credential works.
    fn test(
        &self,
        cx: &Context<'_>,
        pending: &SecretValue,
    ) -> impl Future<Output = Result<Done>> + Send;

    /// Before `finishSecret` moves `AWSCURRENT`: whether the pending credential still works, and
    /// still belongs to the current one, which somebody may have edited since. Gives what a person
    /// should know, one sentence each.
    ///
    /// # Errors
    /// When the credential is refused. Not when nobody can be asked: `testSecret` has proved it,
    /// and applications must not wait for a credential that may be the only one that works.
    fn confirm(
        &self,
        _cx: &Context<'_>,
        _pending: &SecretValue,
        _current: Option<&SecretValue>,
    ) -> impl Future<Output = Result<Vec<String>>> + Send {
        async { Ok(Vec::new()) }
    }

    /// `preflight`: looks at everything that the steps will need, and changes nothing. Called with
    /// a value that [`Rotator::validate`] has passed, and the password that was made for the look.
    fn preflight(
        &self,
        _cx: &Context<'_>,
        _current: &SecretValue,
        _random: Option<Password>,
        _checks: &mut Checks,
    ) -> impl Future<Output = ()> + Send {
        async {}
    }

    /// After `finishSecret` has moved `AWSCURRENT`, for instance to revoke what is no longer
    /// needed.
    ///
    /// An error here fails the step; the service repeats it, and it is called again although the
    /// label has moved.
    fn finished(&self, _cx: &Context<'_>) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}
