//! The operations that create, describe, change, delete and restore a secret.

use std::ops::RangeInclusive;

use serde_json::{Map, Value, json};

use super::{Done, cross_account, named, replicas, set};
use crate::clock::DAY;
use crate::error::ServiceError;
use crate::keys::Keys;
use crate::request::{Request, validate_name};
use crate::secret::{CURRENT, Deletion, PENDING, PREVIOUS, Primary, Secret};
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

pub(crate) fn create(store: &mut Store, request: &Request<'_>) -> Answer {
    let name = request.text("Name").unwrap_or_default();
    validate_name(name)?;
    let primary = cross_account::primary_of(store, request)?;
    let value = request.value()?;
    let token = request.token();
    if let Ok(there) = store.find(request.scope, name) {
        return create_existing(store, there, request, &token);
    }
    let arn = store.new_arn(request.scope, name);
    let mut secret = Secret::new(request.scope.region, name, arn, request.now);
    secret.account = request.scope.account.map(str::to_owned);
    secret.replication.primary = primary;
    secret.replication.regions = replicas::requested(request)?;
    secret.description =
        request.text("Description").map(str::to_owned).filter(|text| !text.is_empty());
    secret.kind = request.text("Type").map(str::to_owned);
    secret.kms_key_id = request.key().map(str::to_owned);
    super::tags::add(&mut secret, request)?;
    let mut answer = named(&secret);
    if let Some(value) = value {
        store.keys().ensure_can_encrypt(secret.kms_key_id.as_deref())?;
        answer["VersionId"] = secret.put(token, value, None, request.now)?.into();
    }
    add_replicas(store, &secret, &mut answer);
    store.save(secret)?;
    Ok(answer.into())
}

/// Adds `ReplicationStatus` to the description of a secret that has replicas in other Regions.
fn add_replicas(store: &Store, secret: &Secret, answer: &mut Value) {
    if !secret.replication.regions.is_empty() {
        answer["ReplicationStatus"] = replicas::statuses(store, secret).into();
    }
}

/// Answers `CreateSecret` for a name that exists. A repeated request succeeds without a change. Any
/// other request fails.
fn create_existing(store: &Store, existing: &Secret, request: &Request<'_>, token: &str) -> Answer {
    if existing.deletion.is_some() {
        return Err(ServiceError::request(
            "You can't create this secret because a secret with this name is already scheduled for \
             deletion.",
        ));
    }
    let same = existing.version(token).is_some_and(|version| {
        version.value.is_some() && request.value().is_ok_and(|value| value == version.value)
    });
    if !same {
        return Err(ServiceError::exists(format!(
            "The operation failed because the secret {} already exists.",
            existing.name
        )));
    }
    let mut answer = named(existing);
    answer["VersionId"] = token.into();
    add_replicas(store, existing, &mut answer);
    Ok(answer.into())
}

pub(crate) fn describe(store: &mut Store, request: &Request<'_>) -> Answer {
    let secret = store.find(request.scope, request.secret_id()?)?;
    let mut answer = described(secret);
    set(&mut answer, "VersionIdsToStages", stages(secret));
    add_replicas(store, secret, &mut answer);
    cross_account::describe(store, secret, &mut answer);
    // This is the date for which the deletion is scheduled. In ListSecrets it is the date on which
    // DeleteSecret was called.
    set(&mut answer, "DeletedDate", secret.deletion.map(|deletion| deletion.due));
    Ok(answer.into())
}

/// Returns the staging labels of every version that has any, or `None` if no version has any.
pub(crate) fn stages(secret: &Secret) -> Option<Value> {
    let labelled = secret.versions.iter().filter(|version| !version.is_deprecated());
    let stages: Map<String, Value> =
        labelled.map(|version| (version.id.clone(), json!(version.sorted_labels()))).collect();
    Some(stages).filter(|stages| !stages.is_empty()).map(Value::from)
}

/// Returns the fields that `DescribeSecret` and `ListSecrets` share.
pub(crate) fn described(secret: &Secret) -> Value {
    let mut answer = named(secret);
    set(&mut answer, "Type", secret.kind.clone());
    set(&mut answer, "Description", secret.description.clone());
    set(&mut answer, "KmsKeyId", secret.kms_key_id.clone());
    if let Some(rotation) = &secret.rotation {
        answer["RotationEnabled"] = rotation.enabled.into();
        answer["RotationLambdaARN"] = rotation.function.as_str().into();
        set(&mut answer, "RotationRules", rotation.rules.as_ref().map(|rules| rules.as_json()));
        let next = rotation.next.filter(|_| rotation.enabled);
        set(&mut answer, "NextRotationDate", next.map(|window| window.closes));
    }
    set(&mut answer, "LastRotatedDate", secret.rotated);
    answer["LastChangedDate"] = secret.changed.into();
    set(&mut answer, "LastAccessedDate", secret.accessed);
    set(&mut answer, "PrimaryRegion", secret.primary_region());
    if secret.was_tagged || !secret.tags.is_empty() {
        let tags = secret.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value}));
        answer["Tags"] = tags.collect();
    }
    answer["CreatedDate"] = secret.created.into();
    answer
}

pub(crate) fn update(store: &mut Store, request: &Request<'_>) -> Answer {
    let value = request.value()?;
    let id = request.secret_id()?;
    let changes_key_only = request.body.as_object().is_some_and(|body| {
        let only = ["SecretId", "KmsKeyId", "ClientRequestToken"];
        let mut given = body.iter().filter(|(_, value)| !value.is_null());
        request.text("KmsKeyId").is_some() && given.all(|(name, _)| only.contains(&&**name))
    });
    if changes_key_only && store.alive(request.scope, id)?.is_region_replica() {
        return replicas::set_key(store, request, id);
    }
    let answer = store.edit_active(request.scope, id, |secret, keys| {
        if value.is_some() {
            secret.ensure_own_value()?;
            ensure_new_version(secret, &request.token())?;
        }
        if let Some(description) = request.text("Description") {
            secret.description = Some(description.to_owned()).filter(|text| !text.is_empty());
        }
        if let Some(kind) = request.text("Type") {
            secret.kind = Some(kind.to_owned());
        }
        if request.text("KmsKeyId").is_some() {
            if matches!(secret.replication.primary, Some(Primary::Account { .. })) {
                cross_account::ensure_customer_key(request)?;
            }
            secret.kms_key_id = request.key().map(str::to_owned);
            encrypt_again(secret, keys);
        }
        secret.changed = request.now;
        let mut answer = named(secret);
        if let Some(value) = value {
            keys.ensure_can_encrypt(secret.kms_key_id.as_deref())?;
            answer["VersionId"] = secret.put(request.token(), value, None, request.now)?.into();
            super::rotation::reschedule(secret, request.now);
        }
        Ok(answer)
    })?;
    Ok(answer.into())
}

/// Rejects a token that names an existing version. `UpdateSecret` is not idempotent, unlike
/// `PutSecretValue`.
fn ensure_new_version(secret: &Secret, token: &str) -> Result<(), ServiceError> {
    if secret.version(token).is_none_or(|version| version.value.is_none()) {
        return Ok(());
    }
    Err(ServiceError::exists(format!(
        "You can't use ClientRequestToken {token} because that value is already in use for a \
         version of secret {}.",
        secret.arn
    )))
}

/// Encrypts the versions labelled `AWSCURRENT`, `AWSPENDING` or `AWSPREVIOUS` with the secret's new
/// key. A version keeps its key if that key or the new one is disabled.
fn encrypt_again(secret: &mut Secret, keys: &Keys) {
    let key = secret.kms_key_id.clone();
    if keys.ensure_can_encrypt(key.as_deref()).is_err() {
        return;
    }
    for version in &mut secret.versions {
        let has_label = [CURRENT, PENDING, PREVIOUS].iter().any(|label| version.has(label));
        if has_label && keys.ensure_can_decrypt(version.key.as_deref()).is_ok() {
            version.key.clone_from(&key);
        }
    }
}

/// The recovery windows in days that a deletion can have.
const RECOVERY_DAYS: RangeInclusive<i64> = 7..=30;
const DEFAULT_RECOVERY_DAYS: i64 = 30;

pub(crate) fn delete(store: &mut Store, request: &Request<'_>) -> Answer {
    let forced = request.flag("ForceDeleteWithoutRecovery", false);
    let days = request.number("RecoveryWindowInDays");
    if forced && days.is_some() {
        return Err(ServiceError::parameter(
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ));
    }
    let days = days.unwrap_or(DEFAULT_RECOVERY_DAYS);
    if !RECOVERY_DAYS.contains(&days) {
        return Err(ServiceError::parameter(
            "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
        ));
    }
    let id = request.secret_id()?;
    if forced {
        return delete_immediately(store, request, id);
    }
    #[expect(clippy::cast_precision_loss, reason = "thirty at most")]
    let due = request.now + days as f64 * DAY;
    let answer = store.edit_active(request.scope, id, |secret, _| {
        secret.ensure_not_linked()?;
        secret.deletion = Some(Deletion { asked: request.now, due });
        let mut answer = named(secret);
        answer["DeletionDate"] = due.into();
        Ok(answer)
    })?;
    Ok(answer.into())
}

/// Deletes a secret immediately. It also succeeds for a secret that does not exist, as the API
/// reference specifies.
fn delete_immediately(store: &mut Store, request: &Request<'_>, id: &str) -> Answer {
    let mut answer = match store.find(request.scope, id) {
        Ok(secret) => {
            secret.ensure_not_linked()?;
            named(secret)
        }
        Err(_) if id.starts_with("arn:") => json!({"ARN": id, "Name": id}),
        Err(_) => json!({"ARN": store.new_arn(request.scope, id), "Name": id}),
    };
    answer["DeletionDate"] = request.now.into();
    store.remove(request.scope, id)?;
    Ok(answer.into())
}

pub(crate) fn restore(store: &mut Store, request: &Request<'_>) -> Answer {
    let answer = store.edit(request.scope, request.secret_id()?, |secret, _| {
        secret.ensure_not_region_replica()?;
        secret.deletion = None;
        Ok(named(secret))
    })?;
    Ok(answer.into())
}
