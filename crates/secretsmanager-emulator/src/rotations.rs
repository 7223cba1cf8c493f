//! The background work of the service: it finds rotations that are due, unfinished or cancelled,
//! and deletes secrets whose recovery window has ended.

use crate::error::ServiceError;
use crate::operations::StartRotation;
use crate::scope::Scope;
use crate::secret::{CURRENT, PENDING, Secret};
use crate::service::Service;

/// Returns the region and the ARN of a secret.
fn place(secret: &Secret) -> (String, String) {
    (secret.region.clone(), secret.arn.clone())
}

impl Service {
    /// Deletes the copy that a rotation with only `testSecret` ran on.
    ///
    /// # Errors
    /// Returns an error if there is no such secret, or the change cannot be persisted.
    pub fn delete_test_copy(&self, secret: &str, id: &str) -> Result<(), ServiceError> {
        let mut inside = self.inside();
        let place = inside.store.anywhere(secret).map(place);
        let (region, arn) = place.ok_or_else(ServiceError::not_found)?;
        inside.store.edit(Scope::own(&region), &arn, |secret, _| {
            secret.versions.retain(|version| version.id != id || !version.is_test_copy);
            Ok(())
        })
    }

    /// Returns the regions and ARNs of the secrets whose rotation window has opened, and schedules
    /// their next windows. Deletes the secrets whose recovery window has ended.
    ///
    /// # Errors
    /// Returns an error if a change cannot be persisted.
    pub fn due(&self) -> Result<Vec<(String, String)>, ServiceError> {
        let mut inside = self.inside();
        let now = inside.clock.now();
        inside.store.finish_replications(now);
        let is_gone =
            |secret: &&Secret| secret.deletion.is_some_and(|deletion| deletion.due <= now);
        let gone: Vec<_> = inside.store.all().filter(is_gone).map(place).collect();
        for (region, arn) in gone {
            inside.store.remove(Scope::own(&region), &arn)?;
        }
        let is_due = |secret: &&Secret| {
            let next = secret
                .rotation
                .as_ref()
                .filter(|rotation| rotation.enabled)
                .and_then(|one| one.next);
            secret.deletion.is_none()
                && !secret.is_region_replica()
                && next.is_some_and(|window| window.opens <= now)
        };
        let due: Vec<_> = inside.store.all().filter(is_due).map(place).collect();
        for (region, arn) in &due {
            inside.store.edit(Scope::own(region), arn, |secret, _| {
                if let Some(rotation) = &mut secret.rotation {
                    rotation.next =
                        rotation.rules.as_ref().and_then(|rules| rules.next(now, now).ok());
                }
                Ok(())
            })?;
        }
        Ok(due)
    }

    /// Returns the id of the pending version of a rotation that has not finished.
    pub fn unfinished(&self, secret: &str) -> Option<String> {
        self.inside().store.anywhere(secret)?.unfinished().map(|pending| pending.id.clone())
    }

    /// Cleans up after an earlier process: deletes the copies of its `testSecret` runs, and returns
    /// its unfinished rotations so that the caller can resume them.
    ///
    /// # Errors
    /// Returns an error if a change cannot be persisted.
    pub fn resume_unfinished(&self) -> Result<Vec<StartRotation>, ServiceError> {
        let mut inside = self.inside();
        let has_copy =
            |secret: &&Secret| secret.versions.iter().any(|version| version.is_test_copy);
        let copies: Vec<_> = inside.store.all().filter(has_copy).map(place).collect();
        for (region, arn) in copies {
            inside.store.edit(Scope::own(&region), &arn, |secret, _| {
                secret.versions.retain(|version| !version.is_test_copy);
                Ok(())
            })?;
        }
        let start = |secret: &Secret| {
            let rotation = secret.rotation.as_ref().filter(|rotation| rotation.enabled)?;
            let can_rotate = secret.deletion.is_none() && !secret.is_region_replica();
            let pending = secret.unfinished().filter(|_| can_rotate)?;
            Some(StartRotation {
                region: secret.region.clone(),
                secret: secret.arn.clone(),
                function: rotation.function.clone(),
                token: pending.id.clone(),
                test_only: false,
            })
        };
        Ok(inside.store.all().filter_map(start).collect())
    }

    /// Returns the reason why a rotation must stop, or `None` if it can continue.
    pub fn ended(&self, secret: &str, token: &str) -> Option<&'static str> {
        let inside = self.inside();
        let Some(secret) = inside.store.anywhere(secret) else {
            return Some("the secret was deleted");
        };
        if secret.deletion.is_some() {
            return Some("the secret was marked for deletion");
        }
        if secret.rotation.as_ref().is_none_or(|rotation| !rotation.enabled) {
            return Some("the rotation was cancelled");
        }
        let is_staged = secret.is_labelled(PENDING, token) || secret.is_labelled(CURRENT, token);
        (!is_staged).then_some("its version has lost AWSPENDING")
    }
}
