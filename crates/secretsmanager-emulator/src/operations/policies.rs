//! The operations on resource policies. The service validates and stores policies, but does not
//! enforce them, because it has no IAM principals to deny access to.

use serde_json::{Value, json};

use super::{Done, named, set};
use crate::error::ServiceError;
use crate::listing::page;
use crate::policy::{faults, is_public};
use crate::request::Request;
use crate::scope::{ArnPart, arn_part};
use crate::secret::{Primary, Secret};
use crate::store::Store;

type Answer = Result<Done, ServiceError>;

/// The name of the policy that requests can change.
const DEFAULT: &str = "default";
/// The name of the policy that the service attaches to a cross-account replica.
const OF_REPLICA: &str = "cross-account-replication";

/// Rejects the name of a policy that the service manages.
fn ensure_default(request: &Request<'_>) -> Result<(), ServiceError> {
    match request.text("PolicyName") {
        None | Some(DEFAULT) => Ok(()),
        Some(name) => Err(ServiceError::parameter(format!(
            "You can only change the policy {DEFAULT}, not {name}."
        ))),
    }
}

/// Returns the policies of a secret with their names.
fn attached(secret: &Secret) -> Vec<(&'static str, String)> {
    let default = secret.policy.clone().map(|policy| (DEFAULT, policy));
    let of_replica = match &secret.replication.primary {
        Some(Primary::Account { arn, .. }) => arn_part(arn, ArnPart::Account).map(|account| {
            let policy = json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Principal": {"AWS": format!("arn:aws:iam::{account}:root")},
                    "Action": "secretsmanager:AcceptCrossAccountReplication",
                    "Resource": "*",
                }],
            });
            (OF_REPLICA, policy.to_string())
        }),
        _ => None,
    };
    default.into_iter().chain(of_replica).collect()
}

pub(crate) fn put(store: &mut Store, request: &Request<'_>) -> Answer {
    ensure_default(request)?;
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
    change(store, request, Some(policy))
}

pub(crate) fn delete(store: &mut Store, request: &Request<'_>) -> Answer {
    ensure_default(request)?;
    change(store, request, None)
}

fn change(store: &mut Store, request: &Request<'_>, policy: Option<&str>) -> Answer {
    let answer = store.edit_active(request.scope, request.secret_id()?, |secret, _| {
        secret.policy = policy.map(str::to_owned);
        let mut answer = named(secret);
        answer["PolicyName"] = DEFAULT.into();
        Ok(answer)
    })?;
    Ok(answer.into())
}

pub(crate) fn get(store: &mut Store, request: &Request<'_>) -> Answer {
    let secret = store.alive(request.scope, request.secret_id()?)?;
    let name = request.text("PolicyName").unwrap_or(DEFAULT);
    let policy = attached(secret).into_iter().find(|(known, _)| *known == name);
    if policy.is_none() && name != DEFAULT {
        return Err(ServiceError::new(
            "ResourceNotFoundException",
            format!("Secrets Manager can't find the resource policy {name}."),
        ));
    }
    let mut answer = named(secret);
    answer["PolicyName"] = name.into();
    set(&mut answer, "ResourcePolicy", policy.map(|(_, policy)| policy));
    Ok(answer.into())
}

pub(crate) fn list(store: &mut Store, request: &Request<'_>) -> Answer {
    let secret = store.alive(request.scope, request.secret_id()?)?;
    let listed = page(
        attached(secret).into_iter().map(|(name, _)| name).enumerate(),
        |(number, _)| format!("{number:04}"),
        request.text("NextToken"),
        request.number("MaxResults"),
        100,
        false,
    )?;
    let names = listed.items.into_iter().map(|(_, name)| json!({"PolicyName": name}));
    let mut answer = json!({"ResourcePolicies": names.collect::<Vec<_>>()});
    set(&mut answer, "NextToken", listed.next);
    Ok(answer.into())
}

pub(crate) fn validate(store: &mut Store, request: &Request<'_>) -> Answer {
    if request.text("SecretId").is_some() {
        store.alive(request.scope, request.secret_id()?)?;
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
