//! The replicas of a secret: their status in the response of `DescribeSecret`, and the wait for
//! those that are not in sync.

mod accounts;

use std::time::Duration;

use aws_sdk_secretsmanager::types::{ReplicationStatusType, StatusType};

pub(crate) use self::accounts::ReadAccountReplicas;
use crate::context::Context;
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

    fn is_in_progress(&self) -> bool {
        self.status == ReplicaStatus::InProgress
    }
}

/// The pauses between the checks of the replicas.
const BACKOFF: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(2),
];

/// Waits until no replica in another Region is in progress, so that they have the new value before
/// its label moves. Returns a note about replicas that are not in sync.
///
/// The wait is limited: the database already has the new password, and the primary Region must not
/// wait for problems of another Region.
pub(crate) async fn wait_for_regions(cx: &Context<'_>, regions: Vec<Replica>) -> Option<String> {
    let regions = wait(cx, regions, |replicas| replicas.regions).await;
    let in_progress = regions.iter().filter(|replica| replica.is_in_progress());
    let in_progress: Vec<_> = in_progress.map(|replica| replica.name.clone()).collect();
    let failed = regions.iter().filter_map(|replica| match &replica.status {
        ReplicaStatus::Failed { message } => Some(format!("{} ({message})", replica.name)),
        _ => None,
    });
    let failed: Vec<_> = failed.collect();
    match (in_progress.is_empty(), failed.is_empty()) {
        (true, true) => None,
        (false, _) => Some(format!(
            "The replicas in {} are not in sync yet.",
            [in_progress, failed].concat().join(", ")
        )),
        (true, false) => Some(format!("The replicas in {} are not in sync.", failed.join(", "))),
    }
}

/// Waits until replication to other accounts is complete, after the label has moved. Returns a note
/// about each replica that is not in sync. The wait is limited, as that for other Regions is.
pub(crate) async fn wait_for_accounts(cx: &Context<'_>, mut accounts: Vec<Replica>) -> Vec<String> {
    for replica in &mut accounts {
        // The status is from before the label moved.
        if replica.status != ReplicaStatus::Detached {
            replica.status = ReplicaStatus::InProgress;
        }
    }
    let accounts = wait(cx, accounts, |replicas| replicas.accounts).await;
    accounts.iter().filter_map(note).collect()
}

/// Returns a note about a replica in another account that is not in sync.
fn note(replica: &Replica) -> Option<String> {
    let name = &replica.name;
    match &replica.status {
        ReplicaStatus::InSync => None,
        ReplicaStatus::InProgress => Some(format!("The replica {name} is not in sync yet.")),
        ReplicaStatus::Failed { .. } => replica
            .failure()
            .map(|error| format!("The replica is not in sync: {error}. {}", error.remedy())),
        ReplicaStatus::Detached => Some(format!(
            "The replica {name} is detached: its owner stopped replication, so it keeps the old \
             value."
        )),
    }
}

/// Waits until none of the replicas is in progress, or the time is up. Returns the last known
/// state. `of` chooses the replicas of one kind.
async fn wait(
    cx: &Context<'_>,
    mut replicas: Vec<Replica>,
    of: fn(Replicas) -> Vec<Replica>,
) -> Vec<Replica> {
    for pause in BACKOFF {
        let in_progress = replicas.iter().filter(|replica| replica.is_in_progress());
        let in_progress: Vec<_> = in_progress.map(|replica| replica.name.as_str()).collect();
        if in_progress.is_empty() || cx.remaining() < pause * 3 {
            break;
        }
        cx.set_activity(format!("waiting for the replicas in {}", in_progress.join(", ")));
        tokio::time::sleep(pause).await;
        // If this call fails, the last known status stays.
        if let Ok(description) = cx.manager.describe(cx.secret_id()).await {
            replicas = of(description.replicas);
        }
    }
    replicas
}
