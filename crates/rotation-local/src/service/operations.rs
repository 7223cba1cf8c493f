//! The operations, from JSON to JSON. [API reference][doc].
//!
//! [doc]: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_Operations.html

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::error::ServiceError;
use super::random_password::random_password;
use super::store::{CURRENT, PENDING, Secret, Store};

/// What an answer asks to be done after it has been given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartRotation {
    pub(crate) secret: String,
    pub(crate) function: String,
    pub(crate) token: String,
}

type Answer = Result<Value, ServiceError>;

/// A request, its fields read as they are asked for.
pub(crate) struct Request<'a> {
    pub(crate) region: &'a str,
    pub(crate) body: &'a Value,
}

impl Request<'_> {
    fn text(&self, name: &str) -> Result<Option<&str>, ServiceError> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ServiceError::new("SerializationException", format!("{name} must be a string."))),
        }
    }

    fn required(&self, name: &str) -> Result<&str, ServiceError> {
        self.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| {
            ServiceError::new(
                "ValidationException",
                format!("Value at '{name}' failed to satisfy constraint: Member must not be null"),
            )
        })
    }

    /// `Tags`: keys and values.
    fn tags(&self) -> Result<Vec<(String, String)>, ServiceError> {
        let malformed =
            || ServiceError::new("SerializationException", "Tags must be a list of Key and Value.");
        let text = |tag: &Value, name: &str| tag[name].as_str().map(str::to_owned);
        match self.body.get("Tags") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(tags)) => tags
                .iter()
                .map(|tag| Some((text(tag, "Key")?, text(tag, "Value").unwrap_or_default())))
                .collect::<Option<_>>()
                .ok_or_else(malformed),
            Some(_) => Err(malformed()),
        }
    }

    fn token(&self) -> Result<Option<String>, ServiceError> {
        match self.text("ClientRequestToken")? {
            Some(token) if !(32..=64).contains(&token.len()) => {
                Err(ServiceError::parameter("ClientRequestToken must be from 32 to 64 characters long."))
            }
            token => Ok(token.map(str::to_owned)),
        }
    }
}

/// Performs one operation.
pub(crate) fn perform(
    operation: &str,
    store: &mut Store,
    request: &Request<'_>,
) -> Result<(Value, Option<StartRotation>), ServiceError> {
    let done = match operation {
        "CreateSecret" => create(store, request),
        "DescribeSecret" => Ok(describe(store.find(request.required("SecretId")?)?)),
        "GetSecretValue" => get_value(store, request),
        "PutSecretValue" => put_value(store, request),
        "UpdateSecret" => update(store, request),
        "UpdateSecretVersionStage" => update_stage(store, request),
        "ListSecretVersionIds" => list_versions(store, request),
        "ListSecrets" => Ok(json!({"SecretList": store.secrets.values().map(describe).collect::<Vec<_>>()})),
        "RotateSecret" => return rotate(store, request),
        "CancelRotateSecret" => cancel(store, request),
        "TagResource" => tag(store, request),
        "UntagResource" => untag(store, request),
        "GetRandomPassword" => Ok(json!({"RandomPassword": random_password(request.body)?})),
        other => {
            Err(ServiceError::new("UnknownOperationException", format!("{other} is not supported here.")))
        }
    };
    done.map(|answer| (answer, None))
}

fn create(store: &mut Store, request: &Request<'_>) -> Answer {
    let name = request.required("Name")?;
    let value = request.text("SecretString")?.map(str::to_owned);
    let tags = request.tags()?;
    let (secret, version) = store.create(request.region, name, value, request.token()?)?;
    secret.description = request.text("Description")?.map(str::to_owned);
    secret.kms_key_id = request.text("KmsKeyId")?.map(str::to_owned);
    secret.tags.extend(tags);
    let mut answer = named(secret);
    if let Some(version) = version {
        answer["VersionId"] = version.into();
    }
    Ok(answer)
}

fn tags(secret: &Secret) -> Value {
    secret.tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

fn named(secret: &Secret) -> Value {
    json!({"ARN": secret.arn, "Name": secret.name})
}

fn describe(secret: &Secret) -> Value {
    let stages: Map<String, Value> = secret
        .versions
        .iter()
        .filter(|(_, version)| !version.labels.is_empty())
        .map(|(id, version)| (id.clone(), json!(version.labels)))
        .collect();
    let mut answer = named(secret);
    answer["VersionIdsToStages"] = stages.into();
    answer["CreatedDate"] = secret.created.into();
    answer["LastChangedDate"] = secret.changed.into();
    for (name, value) in [
        ("Description", secret.description.clone().map(Value::from)),
        ("KmsKeyId", secret.kms_key_id.clone().map(Value::from)),
        ("RotationEnabled", secret.rotation_enabled.map(Value::from)),
        ("RotationLambdaARN", secret.rotation_lambda_arn.clone().map(Value::from)),
        ("LastRotatedDate", secret.rotated.map(Value::from)),
        (
            "RotationRules",
            secret.automatically_after_days.map(|days| json!({"AutomaticallyAfterDays": days})),
        ),
        ("Tags", (!secret.tags.is_empty()).then(|| tags(secret))),
    ] {
        if let Some(value) = value {
            answer[name] = value;
        }
    }
    answer
}

/// A key that is there gets the new value; keys are case-sensitive.
fn tag(store: &mut Store, request: &Request<'_>) -> Answer {
    let tags = request.tags()?;
    store.find_mut(request.required("SecretId")?)?.tags.extend(tags);
    Ok(json!({}))
}

fn untag(store: &mut Store, request: &Request<'_>) -> Answer {
    let secret = store.find_mut(request.required("SecretId")?)?;
    for key in request.body["TagKeys"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        secret.tags.remove(key);
    }
    Ok(json!({}))
}

fn get_value(store: &Store, request: &Request<'_>) -> Answer {
    let secret = store.find(request.required("SecretId")?)?;
    let stage = request.text("VersionStage")?;
    let no_value = |what: String| {
        ServiceError::new(
            "ResourceNotFoundException",
            format!("Secrets Manager can't find the specified secret value for {what}"),
        )
    };
    let id = match request.text("VersionId")? {
        Some(id) => {
            let version = secret.versions.get(id).ok_or_else(|| no_value(format!("VersionId: {id}")))?;
            if stage.is_some_and(|stage| !version.labels.contains(stage)) {
                return Err(ServiceError::request(
                    "You provided a VersionStage that is not associated to the provided VersionId.",
                ));
            }
            id
        }
        None => {
            let stage = stage.unwrap_or(CURRENT);
            secret.labelled(stage).ok_or_else(|| no_value(format!("staging label: {stage}")))?
        }
    };
    let version = &secret.versions[id];
    let value = version.value.as_ref().ok_or_else(|| no_value(format!("VersionId: {id}")))?;
    let mut answer = named(secret);
    answer["VersionId"] = id.into();
    answer["VersionStages"] = json!(version.labels);
    answer["SecretString"] = value.as_str().into();
    answer["CreatedDate"] = version.created.into();
    Ok(answer)
}

fn put_value(store: &mut Store, request: &Request<'_>) -> Answer {
    let labels = match request.body.get("VersionStages") {
        None | Some(Value::Null) => None,
        Some(Value::Array(labels)) => {
            Some(labels.iter().filter_map(Value::as_str).map(str::to_owned).collect::<BTreeSet<_>>())
        }
        Some(_) => return Err(ServiceError::parameter("VersionStages must be a list.")),
    };
    let value = request.required("SecretString")?.to_owned();
    let token = request.token()?;
    let secret = store.find_mut(request.required("SecretId")?)?;
    let id = secret.put(token, value, labels)?;
    let mut answer = named(secret);
    answer["VersionStages"] = json!(secret.versions[&id].labels);
    answer["VersionId"] = id.into();
    Ok(answer)
}

fn update(store: &mut Store, request: &Request<'_>) -> Answer {
    let token = request.token()?;
    let secret = store.find_mut(request.required("SecretId")?)?;
    if let Some(description) = request.text("Description")? {
        secret.description = Some(description.to_owned());
    }
    if let Some(key) = request.text("KmsKeyId")? {
        secret.kms_key_id = Some(key.to_owned());
    }
    let mut answer = named(secret);
    if let Some(value) = request.text("SecretString")? {
        answer["VersionId"] = secret.put(token, value.to_owned(), None)?.into();
    }
    Ok(answer)
}

fn update_stage(store: &mut Store, request: &Request<'_>) -> Answer {
    let label = request.required("VersionStage")?;
    let (from, to) = (request.text("RemoveFromVersionId")?, request.text("MoveToVersionId")?);
    let secret = store.find_mut(request.required("SecretId")?)?;
    let was = secret.labelled(CURRENT).map(str::to_owned);
    secret.move_label(label, from, to)?;
    if was.as_deref() != secret.labelled(CURRENT) && secret.labelled(PENDING) == secret.labelled(CURRENT) {
        secret.rotated = Some(super::store::now());
    }
    Ok(named(secret))
}

fn list_versions(store: &Store, request: &Request<'_>) -> Answer {
    let secret = store.find(request.required("SecretId")?)?;
    let all = request.body.get("IncludeDeprecated").and_then(Value::as_bool).unwrap_or(false);
    let versions: Vec<_> = secret
        .versions
        .iter()
        .filter(|(_, version)| all || !version.labels.is_empty())
        .map(|(id, version)| json!({"VersionId": id, "VersionStages": version.labels, "CreatedDate": version.created}))
        .collect();
    let mut answer = named(secret);
    answer["Versions"] = versions.into();
    Ok(answer)
}

fn rotate(store: &mut Store, request: &Request<'_>) -> Result<(Value, Option<StartRotation>), ServiceError> {
    let token = request.token()?.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
    let secret = store.find_mut(request.required("SecretId")?)?;
    if let Some(function) = request.text("RotationLambdaARN")? {
        secret.rotation_lambda_arn = Some(function.to_owned());
    }
    let Some(function) = secret.rotation_lambda_arn.clone() else {
        return Err(ServiceError::request("No Lambda rotation function ARN is associated with this secret."));
    };
    let days = request.body.get("RotationRules").and_then(|rules| rules.get("AutomaticallyAfterDays"));
    if let Some(days) = days.and_then(Value::as_u64) {
        secret.automatically_after_days = Some(days);
    }
    secret.rotation_enabled = Some(true);
    let immediately = request.body.get("RotateImmediately").and_then(Value::as_bool).unwrap_or(true);
    let mut answer = named(secret);
    if !immediately {
        return Ok((answer, None));
    }
    secret.stage_pending(&token)?;
    answer["VersionId"] = token.clone().into();
    let start = StartRotation { secret: secret.arn.clone(), function, token };
    Ok((answer, Some(start)))
}

fn cancel(store: &mut Store, request: &Request<'_>) -> Answer {
    let secret = store.find_mut(request.required("SecretId")?)?;
    secret.rotation_enabled = Some(false);
    let mut answer = named(secret);
    if let Some(pending) = secret.labelled(PENDING) {
        answer["VersionId"] = pending.into();
    }
    Ok(answer)
}
