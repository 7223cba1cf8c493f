//! Rotation: configured, begun, cancelled.

use serde_json::Value;

use super::{Done, StartRotation, named};
use crate::service::error::ServiceError;
use crate::service::request::Request;
use crate::service::schedule::Rules;
use crate::service::secret::{CURRENT, Rotation, Secret};
use crate::service::store::Store;

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
    let known = store
        .alive(request.region, id)?
        .rotation
        .as_ref()
        .map(|rotation| rotation.function.clone());
    let Some(function) = given.map(str::to_owned).or(known) else {
        return Err(ServiceError::request(
            "No Lambda rotation function ARN is associated with this secret.",
        ));
    };
    must_be_there(store, &function)?;
    let rules = request.body.get("RotationRules").filter(|rules| !rules.is_null());
    let rules = rules.map(|rules| Rules::read(rules, request.now)).transpose()?;
    let immediately = request.flag("RotateImmediately", true);
    let secret = store.alive(request.region, id)?;
    let start = |token: &str, only_test: bool| StartRotation {
        region: request.region.to_owned(),
        secret: secret.arn.clone(),
        function: function.clone(),
        token: token.to_owned(),
        only_test,
    };
    // What is refused now is what is reattempted.
    let resume = secret.unfinished().filter(|pending| pending.id != token);
    let resume = resume.map(|pending| start(&pending.id, false));
    // The same token once more, after its rotation has ended: nothing is left to do.
    let is_over = immediately && secret.is_labelled(CURRENT, &token);
    let start = Some(start(&token, !immediately)).filter(|_| !is_over);
    let staged = store.edit(request.region, id, |secret, _| {
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

fn must_be_there(store: &Store, function: &str) -> Result<(), ServiceError> {
    let Some(functions) = &store.functions else { return Ok(()) };
    let name = function_name(function);
    if functions.contains(name) {
        return Ok(());
    }
    let known = match functions.iter().map(String::as_str).collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => "none".to_owned(),
        names => names,
    };
    // The service says so when it has no permission, and when there is no such function.
    Err(ServiceError::new(
        "AccessDeniedException",
        format!(
            "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to the \
             principal secretsmanager.amazonaws.com. (Here: start rotation-local serve with --function {name}=PATH; there is: \
             {known}.)"
        ),
    ))
}

/// The name in a function's ARN, which may have a version or an alias behind it.
pub(crate) fn function_name(arn: &str) -> &str {
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

/// For `testSecret` alone: a pending version with the current value, which goes again.
fn stage_copy(secret: &mut Secret, token: &str, now: f64) -> Result<(), ServiceError> {
    if secret.version(token).is_some() {
        return Err(ServiceError::parameter(format!(
            "ClientRequestToken: the secret has a version {token} already."
        )));
    }
    let Some(current) = secret.labelled(CURRENT).cloned() else {
        return Err(ServiceError::request(
            "The secret has no current version that could be tested.",
        ));
    };
    secret.stage_pending(token, now)?;
    for version in secret.versions.iter_mut().filter(|version| version.id == token) {
        (version.value, version.key) = (current.value.clone(), current.key.clone());
        version.of_test = true;
    }
    Ok(())
}

pub(crate) fn cancel(store: &mut Store, request: &Request<'_>) -> Answer {
    let answer = store.edit_alive(request.region, request.secret_id()?, |secret, _| {
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

/// The value is new: the next rotation is counted from now.
pub(super) fn counts_as_rotation(secret: &mut Secret, now: f64) {
    let Some(rotation) = &mut secret.rotation else { return };
    if let Some(rules) = rotation.rules.as_ref().filter(|_| rotation.enabled) {
        // They were read once before, so they can be read again.
        rotation.next = rules.next(now, now).ok();
    }
}
