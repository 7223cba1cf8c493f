//! The wait for replicas that are not in sync.

use std::time::Duration;

use crate::context::Context;
use crate::replicas::{Replica, ReplicaStatus, Replicas};

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
pub(super) async fn wait_for_regions(cx: &Context<'_>, regions: Vec<Replica>) -> Option<String> {
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
pub(super) async fn wait_for_accounts(cx: &Context<'_>, mut accounts: Vec<Replica>) -> Vec<String> {
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
