//! The operations on replicas in other Regions, and `StopReplicationToReplica`, which also promotes
//! cross-account replicas.

use serde_json::{Value, json};

use super::{Done, set};
use crate::error::ServiceError;
use crate::keys::{DEFAULT_KEY, non_default};
use crate::request::Request;
use crate::scope::{Scope, with_region};
use crate::secret::{Primary, Progress, RegionReplica, Secret, Status};
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

pub(crate) fn replicate(store: &mut Store, request: &Request<'_>) -> Answer {
    let id = request.secret_id()?;
    let wanted = requested(request)?;
    store.edit_active(request.scope, id, |secret, _| {
        secret.ensure_own_value()?;
        for replica in wanted {
            match secret.replication.region_mut(&replica.region) {
                // A failed replication is tried again.
                Some(known) => *known = replica,
                None => secret.replication.regions.push(replica),
            }
        }
        Ok(())
    })?;
    answer(store, request.scope, id)
}

/// Returns the `AddReplicaRegions` of a request.
pub(super) fn requested(request: &Request<'_>) -> Result<Vec<RegionReplica>, ServiceError> {
    let mut replicas: Vec<RegionReplica> = Vec::new();
    for wanted in request.list("AddReplicaRegions").unwrap_or_default() {
        let region = wanted["Region"].as_str().unwrap_or_default();
        let is_known = replicas.iter().any(|replica| replica.region == region);
        if region.is_empty() || region == request.scope.region || is_known {
            return Err(ServiceError::parameter("Invalid replica region."));
        }
        replicas.push(RegionReplica {
            region: region.to_owned(),
            kms_key_id: non_default(wanted["KmsKeyId"].as_str()).map(str::to_owned),
            overwrite: request.flag("ForceOverwriteReplicaSecret", false),
            progress: Progress::STARTED,
        });
    }
    Ok(replicas)
}

pub(crate) fn remove(store: &mut Store, request: &Request<'_>) -> Answer {
    let id = request.secret_id()?;
    let regions = request.texts("RemoveReplicaRegions").unwrap_or_default();
    let secret = store.alive(request.scope, id)?;
    secret.ensure_not_region_replica()?;
    let known: Vec<&str> =
        secret.replication.regions.iter().map(|replica| &*replica.region).collect();
    if let Some(region) = regions.iter().find(|region| !known.contains(&region.as_str())) {
        return Err(ServiceError::parameter(format!(
            "You can't remove the replica region {region}: the secret is not replicated to it."
        )));
    }
    let arn = secret.arn.clone();
    for region in &regions {
        let (scope, arn) = (Scope { region, ..request.scope }, with_region(&arn, region));
        if store.find(scope, &arn).is_ok_and(Secret::is_region_replica) {
            store.remove(scope, &arn)?;
        }
    }
    store.edit_active(request.scope, id, |secret, _| {
        secret.replication.regions.retain(|replica| !regions.contains(&replica.region));
        Ok(())
    })?;
    answer(store, request.scope, id)
}

fn answer(store: &Store, scope: Scope<'_>, id: &str) -> Answer {
    let secret = store.find(scope, id)?;
    let statuses = statuses(store, secret);
    Ok(json!({"ARN": secret.arn, "ReplicationStatus": statuses}).into())
}

/// Returns the `ReplicationStatus` of a primary secret.
pub(super) fn statuses(store: &Store, primary: &Secret) -> Vec<Value> {
    let shown = |replica: &RegionReplica| {
        let scope = Scope { account: primary.account.as_deref(), region: &replica.region };
        let there = store.find(scope, &with_region(&primary.arn, &replica.region)).ok();
        let mut shown = json!({
            "Region": replica.region,
            "KmsKeyId": replica.kms_key_id.as_deref().unwrap_or(DEFAULT_KEY),
            "Status": replica.progress.status.as_str(),
        });
        set(&mut shown, "StatusMessage", replica.progress.message.clone());
        set(&mut shown, "LastAccessedDate", there.and_then(|there| there.accessed));
        shown
    };
    primary.replication.regions.iter().map(shown).collect()
}

/// Makes a replica a standalone secret.
pub(crate) fn stop(store: &mut Store, request: &Request<'_>) -> Answer {
    let replica = store.alive(request.scope, request.secret_id()?)?;
    let arn = replica.arn.clone();
    let Some(primary) = replica.replication.primary.clone() else {
        return Err(ServiceError::request("The secret is not a replica."));
    };
    // The replica first: if the second change cannot be saved, the primary fails to replicate to
    // it, because it is not a replica any more.
    store.edit(request.scope, &arn, |replica, _| {
        replica.replication.primary = None;
        if matches!(primary, Primary::Region(_)) {
            // Rotation ran in the Region of the primary.
            replica.rotation = None;
        }
        replica.changed = request.now;
        Ok(())
    })?;
    match &primary {
        Primary::Region(region) => {
            let scope = Scope { account: request.scope.account, region };
            edit_if_there(store, scope, &with_region(&arn, region), |primary| {
                let own = request.scope.region;
                primary.replication.regions.retain(|replica| replica.region != own);
            })?;
        }
        Primary::Account { arn: primary, .. } => {
            edit_if_there(store, request.scope, primary, |primary| {
                let link = primary.replication.account.as_mut().filter(|link| link.arn == arn);
                if let Some(link) = link {
                    link.progress = Progress { status: Status::Detached, message: None };
                }
            })?;
        }
    }
    Ok(json!({"ARN": arn}).into())
}

fn edit_if_there(
    store: &mut Store,
    scope: Scope<'_>,
    arn: &str,
    edit: impl FnOnce(&mut Secret),
) -> Result<(), ServiceError> {
    if store.find(scope, arn).is_err() {
        return Ok(());
    }
    store.edit(scope, arn, |secret, _| {
        edit(secret);
        Ok(())
    })
}

/// Changes the KMS key of a replica in another Region. Its primary provides all other settings.
pub(super) fn set_key(store: &mut Store, request: &Request<'_>, id: &str) -> Answer {
    let key = request.key().map(str::to_owned);
    let (arn, name, region) = store.edit(request.scope, id, |replica, keys| {
        keys.ensure_can_encrypt(key.as_deref())?;
        replica.kms_key_id.clone_from(&key);
        for version in &mut replica.versions {
            version.key.clone_from(&key);
        }
        Ok((replica.arn.clone(), replica.name.clone(), replica.primary_region().map(str::to_owned)))
    })?;
    if let Some(region) = region {
        let scope = Scope { account: request.scope.account, region: &region };
        edit_if_there(store, scope, &with_region(&arn, &region), |primary| {
            if let Some(link) = primary.replication.region_mut(request.scope.region) {
                link.kms_key_id = key;
            }
        })?;
    }
    Ok(json!({"ARN": arn, "Name": name}).into())
}
