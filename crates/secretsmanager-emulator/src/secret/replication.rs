//! The links between a primary secret and its replicas, in other Regions and in another account.

use serde::{Deserialize, Serialize};

use super::{CURRENT, PREVIOUS, Secret};
use crate::error::ServiceError;
use crate::scope::{ArnPart, arn_part};

/// The replicas of a secret, and the primary that it is a replica of.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Replication {
    /// The replicas in other Regions.
    pub(crate) regions: Vec<RegionReplica>,
    /// The replica in another account. There can be only one.
    pub(crate) account: Option<AccountReplica>,
    /// The primary, if the secret is a replica.
    pub(crate) primary: Option<Primary>,
}

/// A replica in another Region, as its primary stores it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RegionReplica {
    pub(crate) region: String,
    pub(crate) kms_key_id: Option<String>,
    /// `true` if a secret with the same name in that Region is replaced.
    pub(crate) overwrite: bool,
    pub(crate) progress: Progress,
}

/// A replica in another account, as its primary stores it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccountReplica {
    pub(crate) arn: String,
    pub(crate) role: Option<String>,
    pub(crate) progress: Progress,
}

/// The primary of a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Primary {
    /// The secret with the same name in this Region.
    Region(String),
    /// A secret of another account.
    Account {
        arn: String,
        /// `true` after the first `AssociateCrossAccountReplica`.
        was_associated: bool,
    },
}

/// The progress of replication to a replica.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    pub(crate) status: Status,
    pub(crate) message: Option<String>,
}

/// The status of a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    InSync,
    Failed,
    InProgress,
    Pending,
    Detached,
}

impl Status {
    /// Returns the name of the status in the API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::InSync => "InSync",
            Self::Failed => "Failed",
            Self::InProgress => "InProgress",
            Self::Pending => "Pending",
            Self::Detached => "Detached",
        }
    }
}

impl Progress {
    pub(crate) const STARTED: Self = Self { status: Status::InProgress, message: None };

    pub(crate) fn new(status: Status, message: impl Into<String>) -> Self {
        Self { status, message: Some(message.into()) }
    }
}

impl Replication {
    /// Returns the Regions and the account to which replication has not finished.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let regions = self.regions.iter().map(|replica| (&*replica.region, &replica.progress));
        let account = self.account.iter().filter_map(|replica| {
            Some((arn_part(&replica.arn, ArnPart::Account)?, &replica.progress))
        });
        regions
            .chain(account)
            .filter(|(_, progress)| progress.status == Status::InProgress)
            .map(|(destination, _)| destination.to_owned())
            .collect()
    }

    pub(crate) fn region_mut(&mut self, region: &str) -> Option<&mut RegionReplica> {
        self.regions.iter_mut().find(|replica| replica.region == region)
    }

    /// Sets how far replication to a Region or an account has come.
    pub(crate) fn set_progress(&mut self, destination: &str, progress: Progress) {
        if let Some(replica) = self.region_mut(destination) {
            // The secret that the request allowed to overwrite is a replica from now on.
            replica.overwrite &= progress.status != Status::InSync;
            replica.progress = progress;
        } else if let Some(replica) = &mut self.account
            && arn_part(&replica.arn, ArnPart::Account) == Some(destination)
        {
            replica.progress = progress;
        }
    }

    /// Returns `true` if the secret is the primary of a replica.
    pub(crate) fn has_replicas(&self) -> bool {
        !self.regions.is_empty() || self.account.is_some()
    }
}

impl Secret {
    /// Returns the Regions and the account to which the secret is replicated, each with the status
    /// that the API returns, such as `InSync`.
    pub fn replicas(&self) -> Vec<(&str, &'static str)> {
        let regions = self.replication.regions.iter();
        let regions = regions.map(|replica| (&*replica.region, replica.progress.status.as_str()));
        let account = self.replication.account.iter().filter_map(|replica| {
            let account = arn_part(&replica.arn, ArnPart::Account)?;
            Some((account, replica.progress.status.as_str()))
        });
        regions.chain(account).collect()
    }

    /// Returns the Region of the primary, or the primary's ARN in another account, if the secret is
    /// a replica.
    pub fn primary(&self) -> Option<&str> {
        match &self.replication.primary {
            Some(Primary::Region(region)) => Some(region),
            Some(Primary::Account { arn, .. }) => Some(arn),
            None => None,
        }
    }

    pub(crate) fn is_region_replica(&self) -> bool {
        matches!(self.replication.primary, Some(Primary::Region(_)))
    }

    /// Returns the Region of the primary, if the secret is replicated to or from another Region.
    pub(crate) fn primary_region(&self) -> Option<&str> {
        match &self.replication.primary {
            Some(Primary::Region(region)) => Some(region),
            _ => Some(&*self.region).filter(|_| !self.replication.regions.is_empty()),
        }
    }

    /// Rejects a change of a replica in another Region, which only its primary can change.
    pub(crate) fn ensure_not_region_replica(&self) -> Result<(), ServiceError> {
        if !self.is_region_replica() {
            return Ok(());
        }
        Err(ServiceError::parameter(
            "Operation not permitted on a replica secret. Call must be made in primary secret's \
             region.",
        ))
    }

    /// Rejects a change of a value that a primary in another account provides.
    pub(crate) fn ensure_own_value(&self) -> Result<(), ServiceError> {
        match &self.replication.primary {
            Some(Primary::Account { arn, .. }) => Err(ServiceError::request(format!(
                "You can't change the value of a cross-account replica secret. Change the primary \
                 secret {arn}, or call StopReplicationToReplica first."
            ))),
            _ => Ok(()),
        }
    }

    /// Rejects the deletion of a secret that is linked to a replica or to a primary.
    pub(crate) fn ensure_not_linked(&self) -> Result<(), ServiceError> {
        self.ensure_not_region_replica()?;
        let regions: Vec<&str> =
            self.replication.regions.iter().map(|replica| &*replica.region).collect();
        if !regions.is_empty() {
            return Err(ServiceError::parameter(format!(
                "You can't delete secret {} that still has replica regions [{}].",
                self.arn,
                regions.join(", ")
            )));
        }
        if let Some(replica) = &self.replication.account {
            return Err(ServiceError::request(format!(
                "You can't delete secret {} that still has the cross-account replica {}. Call \
                 DisassociateCrossAccountReplica first.",
                self.arn, replica.arn
            )));
        }
        match &self.replication.primary {
            Some(Primary::Account { arn, .. }) => Err(ServiceError::request(format!(
                "You can't delete the cross-account replica of {arn}. Call \
                 StopReplicationToReplica first."
            ))),
            _ => Ok(()),
        }
    }

    /// Starts to replicate a change to the replicas that it concerns. Returns their Regions and the
    /// account of the replica in another account.
    pub(crate) fn restart_replication(&mut self, before: &Self) -> Vec<String> {
        let (concerns_regions, concerns_account) =
            (self.differs_in_regions(before), self.differs_in_account(before));
        let replication = &mut self.replication;
        let mut restarted = Vec::new();
        for replica in replication.regions.iter_mut().filter(|_| concerns_regions) {
            replica.progress = Progress::STARTED;
            restarted.push(replica.region.clone());
        }
        if let Some(replica) = &mut replication.account
            && concerns_account
            && replica.progress.status != Status::Detached
        {
            replica.progress = Progress::STARTED;
            restarted.extend(arn_part(&replica.arn, ArnPart::Account).map(str::to_owned));
        }
        restarted
    }

    /// Returns `true` if the replica in another account differs from that of an earlier state of
    /// this secret. It gets only the current and the previous value.
    fn differs_in_account<'a>(&'a self, before: &'a Self) -> bool {
        let values = |secret: &'a Self| {
            [CURRENT, PREVIOUS]
                .map(|label| secret.labelled(label).map(|version| (&version.id, &version.value)))
        };
        values(self) != values(before)
    }

    /// Returns `true` if the replicas in other Regions differ from those of an earlier state of
    /// this secret.
    fn differs_in_regions<'a>(&'a self, before: &'a Self) -> bool {
        let versions = |secret: &'a Self| {
            let versions = secret.versions.iter().filter(|version| !version.is_test_copy);
            versions.map(|version| (&version.id, &version.value, &version.labels))
        };
        self.description != before.description
            || self.kind != before.kind
            || self.policy != before.policy
            || self.tags != before.tags
            || self.rotation != before.rotation
            || !versions(self).eq(versions(before))
    }
}
