//! The operations on resource policies. The service validates and stores policies, but does not
//! enforce them, because it has no IAM principals to deny access to.

use serde_json::{Value, json};

use super::{Done, named, set};
use crate::error::ServiceError;
use crate::policy::{faults, is_public};
use crate::request::Request;
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

pub(crate) fn put(store: &mut Store, request: &Request<'_>) -> Answer {
    let policy = request.text("ResourcePolicy").unwrap_or_default();
    if let Some(fault) = faults(policy).first() {
        return Err(ServiceError::new(
            "MalformedPolicyDocumentException",
            format!("This resource policy contains a syntax error. {}", fault.message),
        ));
    }
    if request.flag("BlockPublicPolicy", false) && is_public(policy) {
        return Err(ServiceError::new(
            "PublicPolicyException",
            "The resource policy grants public access, and BlockPublicPolicy is set.",
        ));
    }
    let answer = store.edit_active(request.region, request.secret_id()?, |secret, _| {
        secret.policy = Some(policy.to_owned());
        Ok(named(secret))
    })?;
    Ok(answer.into())
}

pub(crate) fn get(store: &mut Store, request: &Request<'_>) -> Answer {
    let secret = store.alive(request.region, request.secret_id()?)?;
    let mut answer = named(secret);
    set(&mut answer, "ResourcePolicy", secret.policy.clone());
    Ok(answer.into())
}

pub(crate) fn delete(store: &mut Store, request: &Request<'_>) -> Answer {
    let answer = store.edit_active(request.region, request.secret_id()?, |secret, _| {
        secret.policy = None;
        Ok(named(secret))
    })?;
    Ok(answer.into())
}

pub(crate) fn validate(store: &mut Store, request: &Request<'_>) -> Answer {
    if request.text("SecretId").is_some() {
        store.alive(request.region, request.secret_id()?)?;
    }
    let policy = request.text("ResourcePolicy").unwrap_or_default();
    let mut errors: Vec<Value> = faults(policy)
        .into_iter()
        .map(|fault| json!({"CheckName": fault.check, "ErrorMessage": fault.message}))
        .collect();
    if errors.is_empty() && is_public(policy) {
        errors.push(json!({
            "CheckName": "PUBLIC_ACCESS",
            "ErrorMessage": "The policy grants public access."
        }));
    }
    Ok(json!({"PolicyValidationPassed": errors.is_empty(), "ValidationErrors": errors}).into())
}
