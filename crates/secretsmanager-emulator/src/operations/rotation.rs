//! The operations `RotateSecret` and `CancelRotateSecret`.

use serde_json::Value;

use super::{Done, StartRotation, named};
use crate::error::ServiceError;
use crate::request::Request;
use crate::schedule::Rules;
use crate::secret::{CURRENT, Rotation, Secret};
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

pub(crate) fn rotate(store: &mut Store, request: &Request<'_>) -> Answer {
    for unsupported in ["ExternalSecretRotationMetadata", "ExternalSecretRotationRoleArn"] {
        if request.body.get(unsupported).is_some_and(|given| !given.is_null()) {
            return Err(ServiceError::request(format!(
                "{unsupported}: managed external secrets are not supported here."
            )));
        }
    }
    let token = request.token();
    let id = request.secret_id()?;
    let given = request.text("RotationLambdaARN").filter(|function| !function.is_empty());
    let secret = store.alive(request.scope, id)?;
    secret.ensure_not_region_replica()?;
    secret.ensure_own_value()?;
    let known = secret.rotation.as_ref().map(|rotation| rotation.function.clone());
    let Some(function) = given.map(str::to_owned).or(known) else {
        return Err(ServiceError::request(
            "No Lambda rotation function ARN is associated with this secret.",
        ));
    };
    ensure_function_exists(store, &function)?;
    let rules = request.body.get("RotationRules").filter(|rules| !rules.is_null());
    let rules = rules.map(|rules| Rules::read(rules, request.now)).transpose()?;
    let immediately = request.flag("RotateImmediately", true);
    let start = |token: &str, test_only: bool| StartRotation {
        region: request.scope.region.to_owned(),
        secret: secret.arn.clone(),
        function: function.clone(),
        token: token.to_owned(),
        test_only,
    };
    // If another rotation is unfinished, the service rejects this request and retries that
    // rotation.
    let resume = secret.unfinished().filter(|pending| pending.id != token);
    let resume = resume.map(|pending| start(&pending.id, false));
    // If the request repeats the token of a finished rotation, there is nothing left to do.
    let is_over = immediately && secret.is_labelled(CURRENT, &token);
    let start = Some(start(&token, !immediately)).filter(|_| !is_over);
    let staged = store.edit(request.scope, id, |secret, _| {
        if immediately {
            secret.stage_pending(&token, request.now)?;
        } else {
            stage_copy(secret, &token, request.now)?;
        }
        configure(secret, function, rules, request.now)?;
        let mut answer = named(secret);
        answer["VersionId"] = token.as_str().into();
        Ok(answer)
    });
    match (staged, resume) {
        (Ok(answer), _) => Ok(Done { answer, start, refused: None }),
        (Err(refused), Some(start)) => {
            Ok(Done { answer: Value::Null, start: Some(start), refused: Some(refused) })
        }
        (Err(refused), None) => Err(refused),
    }
}

fn ensure_function_exists(store: &Store, function: &str) -> Result<(), ServiceError> {
    let Some(functions) = &store.functions else { return Ok(()) };
    let name = function_name(function);
    if functions.contains(name) {
        return Ok(());
    }
    let known = match functions.iter().map(String::as_str).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "none".to_owned(),
        names => names,
    };
    // AWS returns this error both without permission and for a function that does not exist.
    Err(ServiceError::new(
        "AccessDeniedException",
        format!(
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function \
             policy grants access to the principal secretsmanager.amazonaws.com. (Here: start \
             rotation-local serve with --function {name}=PATH. The configured functions are: \
             {known}.)"
        ),
    ))
}

/// Returns the name in a function's ARN, without the version or alias that can follow it.
pub fn function_name(arn: &str) -> &str {
    match arn.split_once(":function:") {
        Some((_, name)) => name.split(':').next().unwrap_or(name),
        None => arn,
    }
}

fn configure(
    secret: &mut Secret,
    function: String,
    rules: Option<Rules>,
    now: f64,
) -> Result<(), ServiceError> {
    let rules = rules.or_else(|| secret.rotation.as_ref()?.rules.clone());
    let last = secret.rotated.unwrap_or(now);
    let next = rules.as_ref().map(|rules| rules.next(last, now)).transpose()?;
    secret.rotation = Some(Rotation { enabled: true, function, rules, next });
    secret.changed = now;
    Ok(())
}

/// Stages a pending version with the current value, for a rotation that runs only `testSecret`. It
/// is deleted afterwards.
fn stage_copy(secret: &mut Secret, token: &str, now: f64) -> Result<(), ServiceError> {
    if secret.version(token).is_some() {
        return Err(ServiceError::parameter(format!(
            "ClientRequestToken: the secret already has a version {token}."
        )));
    }
    let Some(current) = secret.labelled(CURRENT).cloned() else {
        return Err(ServiceError::request("The secret has no current version to test."));
    };
    secret.stage_pending(token, now)?;
    for version in secret.versions.iter_mut().filter(|version| version.id == token) {
        (version.value, version.key) = (current.value.clone(), current.key.clone());
        version.is_test_copy = true;
    }
    Ok(())
}

pub(crate) fn cancel(store: &mut Store, request: &Request<'_>) -> Answer {
    let answer = store.edit_active(request.scope, request.secret_id()?, |secret, _| {
        if let Some(rotation) = &mut secret.rotation {
            rotation.enabled = false;
            rotation.next = None;
        }
        secret.changed = request.now;
        let mut answer = named(secret);
        super::set(&mut answer, "VersionId", secret.unfinished().map(|version| version.id.clone()));
        Ok(answer)
    })?;
    Ok(answer.into())
}

/// Schedules the next rotation from now on, because the secret has a new value.
pub(super) fn reschedule(secret: &mut Secret, now: f64) {
    let Some(rotation) = &mut secret.rotation else { return };
    if let Some(rules) = rotation.rules.as_ref().filter(|_| rotation.enabled) {
        // The rules were valid when they were set, so this does not fail.
        rotation.next = rules.next(now, now).ok();
    }
}
