//! The replicas of a secret, as the response of `DescribeSecret` shows them.

mod accounts;

use aws_sdk_secretsmanager::types::{ReplicationStatusType, StatusType};

pub(crate) use self::accounts::ReadAccountReplicas;
use crate::error::{Error, Result};

/// The replicas of a secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Replicas {
    /// The replicas in other Regions. They get a new version before its label moves.
    pub(crate) regions: Vec<Replica>,
    /// The replicas in other accounts. They get a new version when it has become `AWSCURRENT`.
    pub(crate) accounts: Vec<Replica>,
}

/// A replica of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    /// The Region of the replica, or the ARN of a replica in another account.
    pub(crate) name: String,
    /// The ARN of the role with which Secrets Manager replicates to another account. Without one,
    /// it uses the credentials of the caller that changes the secret.
    pub(crate) role: Option<String>,
    pub(crate) status: ReplicaStatus,
}

/// The status of a replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ReplicaStatus {
    InSync,
    /// Replication is in progress, or has a status that is not known here.
    InProgress,
    Failed {
        message: String,
    },
    /// The owner of the replica stopped replication.
    Detached,
}

impl ReplicaStatus {
    fn new(status: Option<&str>, message: Option<&str>) -> Self {
        match status {
            Some("InSync") => Self::InSync,
            Some("Failed") => {
                Self::Failed { message: message.unwrap_or("no reason given").to_owned() }
            }
            Some("Detached") => Self::Detached,
            _ => Self::InProgress,
        }
    }
}

impl Replicas {
    pub(crate) fn new(regions: &[ReplicationStatusType], accounts: Vec<Replica>) -> Self {
        let region = |replica: &ReplicationStatusType| Replica {
            name: replica.region().unwrap_or("?").to_owned(),
            role: None,
            status: ReplicaStatus::new(
                replica.status().map(StatusType::as_str),
                replica.status_message(),
            ),
        };
        Self { regions: regions.iter().map(region).collect(), accounts }
    }

    /// Checks that replication to no other account has failed.
    ///
    /// Such a replica has the password of an earlier rotation. With alternating users, that
    /// password is valid until the next rotation, so another rotation would lock out the
    /// applications that read the replica.
    ///
    /// # Errors
    /// Returns [`Error::ReplicationFailed`] for a replica that did not get the last change.
    pub(crate) fn ensure_replicated(&self) -> Result<()> {
        match self.accounts.iter().find_map(Replica::failure) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Replica {
    /// Returns the error of a replica in another account, if its replication has failed.
    pub(crate) fn failure(&self) -> Option<Error> {
        let ReplicaStatus::Failed { message } = &self.status else { return None };
        let (replica, role) = (self.name.clone(), self.role.clone());
        Some(Error::ReplicationFailed { replica, role, message: message.clone() })
    }

    pub(crate) fn is_in_progress(&self) -> bool {
        self.status == ReplicaStatus::InProgress
    }
}
