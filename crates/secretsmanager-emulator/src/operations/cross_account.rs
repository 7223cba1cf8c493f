//! The operations that link a primary secret to a replica in another account.

use serde_json::{Value, json};

use super::{Done, set};
use crate::error::ServiceError;
use crate::request::Request;
use crate::scope::{ArnPart, arn_part};
use crate::secret::{AccountReplica, Primary, Progress, Secret};
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

/// The members that `CreateSecret` cannot have together with `CrossAccountPrimaryARN`.
const NOT_OF_A_REPLICA: [&str; 5] =
    ["SecretString", "SecretBinary", "Description", "AddReplicaRegions", "Type"];

/// Returns the primary in the `CrossAccountPrimaryARN` of `CreateSecret`.
pub(super) fn primary_of(
    store: &Store,
    request: &Request<'_>,
) -> Result<Option<Primary>, ServiceError> {
    let Some(arn) = request.text("CrossAccountPrimaryARN") else { return Ok(None) };
    let given = |name: &&&str| request.body.get(**name).is_some_and(|value| !value.is_null());
    if let Some(name) = NOT_OF_A_REPLICA.iter().find(given) {
        return Err(ServiceError::parameter(format!(
            "You can't specify {name} for a cross-account replica secret."
        )));
    }
    ensure_customer_key(request)?;
    let own = request.scope.account.unwrap_or_else(|| store.account());
    ensure_other_account("CrossAccountPrimaryARN", arn, request.scope.region, own)?;
    Ok(Some(Primary::Account { arn: arn.to_owned(), was_associated: false }))
}

/// Checks that a request names a customer managed key for a cross-account replica.
pub(super) fn ensure_customer_key(request: &Request<'_>) -> Result<(), ServiceError> {
    match request.key() {
        Some(_) => Ok(()),
        None => Err(ServiceError::parameter(
            "A cross-account replica secret must have a customer managed KMS key in KmsKeyId.",
        )),
    }
}

fn ensure_other_account(
    member: &str,
    arn: &str,
    region: &str,
    own: &str,
) -> Result<(), ServiceError> {
    let is = |part: ArnPart, value: &str| arn_part(arn, part) == Some(value);
    let problem = if !is(ArnPart::Service, "secretsmanager") {
        "it must be the ARN of a secret"
    } else if !is(ArnPart::Region, region) || !is(ArnPart::Partition, "aws") {
        "both secrets must be in the same Region and partition"
    } else if arn_part(arn, ArnPart::Account).is_none() || is(ArnPart::Account, own) {
        "the secrets must be in different accounts"
    } else {
        return Ok(());
    };
    Err(ServiceError::parameter(format!("Invalid {member} {arn}: {problem}.")))
}

pub(crate) fn associate(store: &mut Store, request: &Request<'_>) -> Answer {
    let arn = request.text("CrossAccountReplicaARN").unwrap_or_default();
    let primary = own_primary(store, request)?;
    primary.ensure_own_value()?;
    primary.ensure_not_region_replica()?;
    ensure_other_account(
        "CrossAccountReplicaARN",
        arn,
        request.scope.region,
        store.account_of(primary),
    )?;
    let known = primary.replication.account.as_ref();
    if let Some(known) = known.filter(|known| known.arn != arn) {
        return Err(ServiceError::new(
            "LimitExceededException",
            format!("The secret already has the cross-account replica {}.", known.arn),
        ));
    }
    let replica = store.alive(request.scope, arn)?;
    match &replica.replication.primary {
        Some(Primary::Account { arn, .. }) if *arn == primary.arn => {}
        _ => {
            return Err(ServiceError::request(format!(
                "The secret {arn} was not created as a cross-account replica of {}.",
                primary.arn
            )));
        }
    }
    // AWS checks the permissions on both KMS keys in a dry run.
    let current = primary.labelled(crate::secret::CURRENT);
    let keys = [
        store.keys().ensure_can_decrypt(current.and_then(|version| version.key.as_deref())),
        store.keys().ensure_can_encrypt(replica.kms_key_id.as_deref()),
    ];
    for key in keys {
        key.map_err(|error| ServiceError::request(error.message))?;
    }
    let (primary, replica) = (primary.arn.clone(), replica.arn.clone());
    store.edit(request.scope, &replica, |replica, _| {
        if let Some(Primary::Account { was_associated, .. }) = &mut replica.replication.primary {
            *was_associated = true;
        }
        Ok(())
    })?;
    let link = AccountReplica {
        arn: replica.clone(),
        role: request.text("ReplicationRoleARN").map(str::to_owned),
        progress: Progress::STARTED,
    };
    store.edit(request.scope, &primary, |primary, _| {
        primary.replication.account = Some(link);
        Ok(())
    })?;
    let status = Progress::STARTED.status.as_str();
    Ok(json!({"ARN": primary, "CrossAccountReplicaARN": replica, "ReplicationStatus": status})
        .into())
}

pub(crate) fn disassociate(store: &mut Store, request: &Request<'_>) -> Answer {
    let replica = request.text("CrossAccountReplicaARN").unwrap_or_default();
    let primary = own_primary(store, request)?;
    if primary.replication.account.as_ref().is_none_or(|known| known.arn != replica) {
        return Err(ServiceError::request(format!(
            "The secret {} does not have the cross-account replica {replica}.",
            primary.arn
        )));
    }
    let arn = primary.arn.clone();
    store.edit(request.scope, &arn, |primary, _| {
        primary.replication.account = None;
        Ok(())
    })?;
    Ok(json!({"ARN": arn, "CrossAccountReplicaARN": replica}).into())
}

/// Returns the secret of the request, which must belong to the account of the request.
fn own_primary<'a>(store: &'a Store, request: &Request<'_>) -> Result<&'a Secret, ServiceError> {
    let primary = store.alive(request.scope, request.secret_id()?)?;
    if primary.account.as_deref() == request.scope.account {
        return Ok(primary);
    }
    Err(ServiceError::request("The account that owns the primary secret must make this call."))
}

/// Adds `CrossAccountPrimary` and `CrossAccountReplicas` to the response of `DescribeSecret`.
pub(super) fn describe(store: &Store, secret: &Secret, answer: &mut Value) {
    let status = |progress: &Progress| {
        let mut shown = json!({"ReplicationStatus": progress.status.as_str()});
        set(&mut shown, "StatusMessage", progress.message.clone());
        shown
    };
    if let (Some(Primary::Account { arn, .. }), Some(progress)) =
        (&secret.replication.primary, store.progress_of(secret))
    {
        let mut primary = status(&progress);
        primary["PrimarySecretARN"] = arn.as_str().into();
        answer["CrossAccountPrimary"] = primary;
    }
    if let Some(link) = &secret.replication.account {
        let mut replica = status(&link.progress);
        replica["ReplicaSecretARN"] = link.arn.as_str().into();
        set(&mut replica, "ReplicationRoleARN", link.role.clone());
        answer["CrossAccountReplicas"] = json!([replica]);
    }
}
