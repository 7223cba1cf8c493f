//! The operations that read, store and generate values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Done, named};
use crate::clock::DAY;
use crate::error::ServiceError;
use crate::keys::Keys;
use crate::request::Request;
use crate::secret::{CURRENT, Secret, SecretValue, Version};
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

pub(crate) fn get(store: &mut Store, request: &Request<'_>) -> Answer {
    let id = request.secret_id()?;
    let secret = store.alive(request.scope, id)?;
    let version = wanted(secret, request.text("VersionId"), request.text("VersionStage"))?;
    let answer = shown(secret, version, store.keys())?;
    let (version, arn) = (version.id.clone(), secret.arn.clone());
    was_read(store, request, &arn, &version)?;
    Ok(answer.into())
}

/// Records the day on which a version was read. The secret is named by its ARN, because it can
/// belong to another account.
pub(super) fn was_read(
    store: &mut Store,
    request: &Request<'_>,
    arn: &str,
    version: &str,
) -> Result<(), ServiceError> {
    let today = Some((request.now / DAY).floor() * DAY);
    let secret = store.find(request.scope, arn)?;
    if secret.accessed == today
        && secret.version(version).is_none_or(|version| version.accessed == today)
    {
        return Ok(());
    }
    store.edit(request.scope, arn, |secret, _| {
        secret.accessed = today;
        for one in secret.versions.iter_mut().filter(|one| one.id == version) {
            one.accessed = today;
        }
        Ok(())
    })
}

fn no_value(what: &str) -> ServiceError {
    ServiceError::new(
        "ResourceNotFoundException",
        format!("Secrets Manager can't find the specified secret value for {what}"),
    )
}

fn wanted<'a>(
    secret: &'a Secret,
    id: Option<&str>,
    stage: Option<&str>,
) -> Result<&'a Version, ServiceError> {
    let Some(id) = id else {
        let stage = stage.unwrap_or(CURRENT);
        return secret.labelled(stage).ok_or_else(|| no_value(&format!("staging label: {stage}")));
    };
    let version = secret.version(id).ok_or_else(|| no_value(&format!("VersionId: {id}")))?;
    if stage.is_some_and(|stage| !version.has(stage)) {
        return Err(ServiceError::request(
            "You provided a VersionStage that is not associated to the provided VersionId.",
        ));
    }
    Ok(version)
}

/// Returns the response of `GetSecretValue` for a version.
pub(super) fn shown(
    secret: &Secret,
    version: &Version,
    keys: &Keys,
) -> Result<Value, ServiceError> {
    let value =
        version.value.as_ref().ok_or_else(|| no_value(&format!("VersionId: {}", version.id)))?;
    keys.ensure_can_decrypt(version.key.as_deref())?;
    let mut answer = named(secret);
    answer["VersionId"] = version.id.as_str().into();
    match value {
        SecretValue::Text(text) => answer["SecretString"] = text.as_str().into(),
        SecretValue::Binary(bytes) => answer["SecretBinary"] = STANDARD.encode(bytes).into(),
    }
    if !version.is_deprecated() {
        answer["VersionStages"] = json!(version.sorted_labels());
    }
    answer["CreatedDate"] = version.created.into();
    Ok(answer)
}

pub(crate) fn put(store: &mut Store, request: &Request<'_>) -> Answer {
    let Some(value) = request.value()? else {
        return Err(ServiceError::request("You must provide either SecretString or SecretBinary."));
    };
    let labels = request.texts("VersionStages");
    let answer = store.edit_active(request.scope, request.secret_id()?, |secret, keys| {
        secret.ensure_own_value()?;
        keys.ensure_can_encrypt(secret.kms_key_id.as_deref())?;
        let was = secret.labelled(CURRENT).map(|version| version.id.clone());
        let id = secret.put(request.token(), value, labels, request.now)?;
        if secret.labelled(CURRENT).map(|version| &version.id) != was.as_ref() {
            super::rotation::reschedule(secret, request.now);
        }
        let mut answer = named(secret);
        answer["VersionStages"] = json!(secret.version(&id).map(Version::sorted_labels));
        answer["VersionId"] = id.into();
        Ok(answer)
    })?;
    Ok(answer.into())
}

pub(crate) fn random_password(_: &mut Store, request: &Request<'_>) -> Answer {
    let password = crate::random_password::random_password(request.body)?;
    Ok(json!({"RandomPassword": password}).into())
}
