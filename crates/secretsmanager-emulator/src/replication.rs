//! Replication: it copies a primary secret to its replicas after each change.
//!
//! Replication is asynchronous, as in AWS: the response of the operation that changes the primary
//! shows the status `InProgress`, and the replica changes before the next operation, or later if a
//! test has set a delay.

use crate::error::ServiceError;
use crate::replication_queue::Job;
use crate::scope::{ArnPart, Scope, arn_part, with_region};
use crate::secret::{
    AccountReplica, CURRENT, PENDING, PREVIOUS, Primary, Progress, RegionReplica, Secret, Status,
    Version,
};
use crate::store::Store;

impl Store {
    /// Finishes the replications that are due. If the state file cannot be written, the next
    /// operation tries again.
    pub(crate) fn finish_replications(&mut self, now: f64) {
        for (job, failure) in self.replications.take_due(now) {
            if self.finish(&job, failure, now).is_err() {
                self.replications.add_again(job);
            }
        }
    }

    /// Copies a primary to its replica, and saves the status in the primary. `failure` is the
    /// failure that a test wants.
    fn finish(&mut self, job: &Job, failure: Option<String>, now: f64) -> Result<(), ServiceError> {
        let scope = Scope::own(&job.region);
        let Ok(primary) = self.find(scope, &job.primary) else { return Ok(()) };
        if !primary.replication.unfinished().contains(&job.destination) {
            // The replica was removed or detached in the meantime.
            return Ok(());
        }
        let copied = match failure {
            Some(failure) => Err(failure),
            None => self.replica_of(primary, &job.destination, now),
        };
        let progress = match copied {
            Ok(replica) => {
                self.save(replica)?;
                Progress::new(Status::InSync, "Replication succeeded")
            }
            Err(failure) => Progress::new(Status::Failed, failure),
        };
        self.edit(scope, &job.primary, |primary, _| {
            primary.replication.set_progress(&job.destination, progress);
            Ok(())
        })
    }

    /// Returns the new state of a replica, or the reason if it cannot be changed.
    fn replica_of(&self, primary: &Secret, destination: &str, now: f64) -> Result<Secret, String> {
        let replication = &primary.replication;
        let region = replication.regions.iter().find(|replica| replica.region == destination);
        match (region, &replication.account) {
            (Some(replica), _) => self.region_replica(primary, replica, now),
            (None, Some(replica)) => self.account_replica(primary, replica, now),
            (None, None) => Err(format!("The secret is not replicated to {destination}.")),
        }
    }

    /// Returns the replica in another Region: the primary's name, values and metadata, with the
    /// Region and the KMS key of the replica.
    fn region_replica(
        &self,
        primary: &Secret,
        link: &RegionReplica,
        now: f64,
    ) -> Result<Secret, String> {
        let labelled = primary.versions.iter().filter(|version| !version.is_deprecated());
        self.ensure_can_copy(labelled, link.kms_key_id.as_deref())?;
        let scope = Scope { account: primary.account.as_deref(), region: &link.region };
        let arn = with_region(&primary.arn, &link.region);
        let existing = self.find(scope, &primary.name).ok();
        let known = existing.filter(|one| one.arn == arn && one.is_region_replica());
        let is_replaceable = |one: &Secret| {
            link.overwrite && one.replication.primary.is_none() && one.ensure_not_linked().is_ok()
        };
        if known.is_none() && existing.is_some_and(|one| !is_replaceable(one)) {
            return Err(format!(
                "Replication failed: Secret name {} already exists in region {}.",
                primary.name, link.region
            ));
        }
        let mut replica = primary.clone();
        replica.region.clone_from(&link.region);
        replica.arn = arn;
        replica.kms_key_id.clone_from(&link.kms_key_id);
        replica.replication = Default::default();
        replica.replication.primary = Some(Primary::Region(primary.region.clone()));
        replica.created = known.map_or(now, |known| known.created);
        replica.changed = now;
        replica.accessed = known.and_then(|known| known.accessed);
        replica.versions.retain(|version| !version.is_test_copy);
        rekey(&mut replica.versions, known, link.kms_key_id.as_ref());
        Ok(replica)
    }

    /// Returns the replica in another account. It keeps its metadata, and gets the current and the
    /// previous value.
    fn account_replica(
        &self,
        primary: &Secret,
        link: &AccountReplica,
        now: f64,
    ) -> Result<Secret, String> {
        let known = self
            .alive(Scope::own(&primary.region), &link.arn)
            .map_err(|_| format!("The replica secret {} does not exist.", link.arn))?;
        // A promoted replica is an independent secret.
        let is_of_primary = matches!(&known.replication.primary,
            Some(Primary::Account { arn, .. }) if *arn == primary.arn);
        if !is_of_primary {
            return Err(format!("The secret {} is not a replica of this secret.", link.arn));
        }
        let mut versions = primary.versions.clone();
        versions.retain(|version| {
            version.value.is_some() && (version.has(CURRENT) || version.has(PREVIOUS))
        });
        self.ensure_can_copy(versions.iter(), known.kms_key_id.as_deref())?;
        let mut replica = known.clone();
        for version in &mut versions {
            version.labels.retain(|label| label != PENDING);
        }
        rekey(&mut versions, Some(known), known.kms_key_id.as_ref());
        replica.versions = versions;
        replica.changed = now;
        Ok(replica)
    }

    /// Checks the KMS keys as replication uses them: it decrypts the values of the primary, and
    /// encrypts them with the key of the replica.
    fn ensure_can_copy<'a>(
        &self,
        versions: impl Iterator<Item = &'a Version>,
        key: Option<&str>,
    ) -> Result<(), String> {
        for version in versions.filter(|version| version.value.is_some()) {
            let decrypted = self.keys().ensure_can_decrypt(version.key.as_deref());
            decrypted.map_err(|error| error.message)?;
        }
        self.keys().ensure_can_encrypt(key).map_err(|error| error.message)
    }

    /// Returns the status of a cross-account replica, which its primary knows.
    pub(crate) fn progress_of(&self, replica: &Secret) -> Option<Progress> {
        let Some(Primary::Account { arn, was_associated }) = &replica.replication.primary else {
            return None;
        };
        let primary = self.find(Scope::own(&replica.region), arn).ok();
        let link = primary.and_then(|primary| primary.replication.account.as_ref());
        let unlinked = if *was_associated { Status::Detached } else { Status::Pending };
        Some(match link.filter(|link| link.arn == replica.arn) {
            Some(link) => link.progress.clone(),
            None => Progress { status: unlinked, message: None },
        })
    }

    /// Returns the id of the account that a secret belongs to.
    pub(crate) fn account_of<'a>(&'a self, secret: &'a Secret) -> &'a str {
        arn_part(&secret.arn, ArnPart::Account).unwrap_or_else(|| self.account())
    }
}

/// Sets the KMS key of the copied versions, and keeps the dates of their last reads.
fn rekey(versions: &mut [Version], known: Option<&Secret>, key: Option<&String>) {
    for version in versions {
        version.key = key.cloned();
        let known = known.and_then(|known| known.version(&version.id));
        version.accessed = known.and_then(|known| known.accessed);
    }
}
