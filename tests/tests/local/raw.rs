//! Raw HTTP requests to the local service, without an SDK. Each response is compared with AWS's
//! model: it has only members that the model has, with the types of the model.

use std::sync::OnceLock;

use anyhow::{Context, Result, ensure};
use rotation_tests::local::{REGION, Serve, http};
use serde_json::{Value, json};

use crate::api_model::model;

/// Returns AWS's model, which is read once.
fn aws_model() -> Result<&'static Value> {
    static MODEL: OnceLock<Value> = OnceLock::new();
    if let Some(model) = MODEL.get() {
        return Ok(model);
    }
    let model = model()?;
    Ok(MODEL.get_or_init(|| model))
}

/// A client that sends raw requests.
pub(crate) struct Raw {
    endpoint: String,
    key: String,
    region: String,
}

/// A response of the service, with its HTTP status.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) request_id: Option<String>,
    pub(crate) body: Value,
}

impl Raw {
    pub(crate) fn new(serve: &Serve) -> Self {
        Self::at(serve.endpoint(), &serve.key, REGION)
    }

    /// Returns a client of a service that has no process of its own.
    pub(crate) fn at(endpoint: String, key: &str, region: &str) -> Self {
        Self { endpoint, key: key.to_owned(), region: region.to_owned() }
    }

    /// Returns a client of another Region.
    pub(crate) fn in_region(&self, region: &str) -> Self {
        let (endpoint, key) = (self.endpoint.clone(), self.key.clone());
        Self { endpoint, key, region: region.to_owned() }
    }

    /// Returns a client of another account.
    pub(crate) fn in_account(&self, account: &str) -> Self {
        let key = format!("{}-{account}", self.key);
        Self { endpoint: self.endpoint.clone(), key, region: self.region.clone() }
    }

    /// Sends a request to a target, such as `secretsmanager.GetSecretValue`.
    pub(crate) async fn send(&self, target: &str, body: &Value) -> Result<Answer> {
        let credential =
            format!("{}/20261129/{}/secretsmanager/aws4_request", self.key, self.region);
        let authorization = format!("AWS4-HMAC-SHA256 Credential={credential}, Signature=0");
        let request = http()?.post(&self.endpoint).header("x-amz-target", target);
        let request = request.header("authorization", authorization).body(body.to_string());
        let response = request.send().await?;
        let id = response.headers().get("x-amzn-requestid").map(|id| id.to_str()).transpose()?;
        let (status, request_id) = (response.status().as_u16(), id.map(str::to_owned));
        Ok(Answer { status, request_id, body: response.json().await? })
    }

    /// Performs an operation of Secrets Manager, and returns its response. Adds the
    /// `ClientRequestToken` that the SDKs add.
    pub(crate) async fn call(&self, operation: &str, body: Value) -> Result<Value> {
        let answer = self.with_token(operation, body).await?;
        ensure!(answer.status == 200, "{operation}: {}", answer.body);
        let shape = &aws_model()?["operations"][operation]["output"]["shape"];
        if let Some(shape) = shape.as_str() {
            ensure_shape(shape, &answer.body, operation)?;
        }
        Ok(answer.body)
    }

    /// Performs an operation that must fail, and returns the error code and the message.
    pub(crate) async fn refused(&self, operation: &str, body: Value) -> Result<(String, String)> {
        let answer = self.with_token(operation, body).await?;
        ensure!(answer.status == 400, "{operation} succeeded: {}", answer.body);
        let text = |name: &str| answer.body[name].as_str().map(str::to_owned);
        Ok((text("__type").context("no code")?, text("Message").context("no message")?))
    }

    async fn with_token(&self, operation: &str, mut body: Value) -> Result<Answer> {
        let model = aws_model()?;
        let input = model["operations"][operation]["input"]["shape"].as_str().unwrap_or_default();
        let members = &model["shapes"][input]["members"];
        if members["ClientRequestToken"].is_object() && body["ClientRequestToken"].is_null() {
            body["ClientRequestToken"] = json!(uuid::Uuid::new_v4().to_string());
        }
        self.send(&format!("secretsmanager.{operation}"), &body).await
    }
}

/// Returns the names of all operations of the service.
pub(crate) fn operations() -> Result<Vec<&'static str>> {
    let operations = aws_model()?["operations"].as_object().context("no operations")?;
    Ok(operations.keys().map(String::as_str).collect())
}

fn ensure_shape(name: &str, value: &Value, place: &str) -> Result<()> {
    let shape = &aws_model()?["shapes"][name];
    let fits = match shape["type"].as_str().unwrap_or_default() {
        "structure" => {
            for (member, value) in value.as_object().context(place.to_owned())? {
                let place = format!("{place}.{member}");
                let of = &shape["members"][member]["shape"];
                ensure_shape(
                    of.as_str().with_context(|| format!("{place} is unknown"))?,
                    value,
                    &place,
                )?;
            }
            let mut required = shape["required"].as_array().into_iter().flatten();
            required.all(|member| value.get(member.as_str().unwrap_or_default()).is_some())
        }
        "list" => {
            for value in value.as_array().context(place.to_owned())? {
                let of = shape["member"]["shape"].as_str().unwrap_or_default();
                ensure_shape(of, value, &format!("{place}[]"))?;
            }
            true
        }
        "map" => {
            for value in value.as_object().context(place.to_owned())?.values() {
                let of = shape["value"]["shape"].as_str().unwrap_or_default();
                ensure_shape(of, value, &format!("{place}{{}}"))?;
            }
            true
        }
        "string" | "blob" => {
            let text = value.as_str().context(place.to_owned())?;
            let allowed = shape["enum"].as_array();
            let min = shape["min"].as_u64().unwrap_or_default();
            allowed.is_none_or(|allowed| allowed.contains(value))
                && text.chars().count() as u64 >= min
        }
        "timestamp" | "long" | "integer" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => anyhow::bail!("{place} has the type {other}, which this test does not support"),
    };
    ensure!(fits, "{place} is not a {name}: {value}");
    Ok(())
}

/// Every error has the status 400, and every response has an id (moto answers a missing secret with
/// 404).
#[tokio::test]
async fn responses_have_a_request_id_and_errors_status_400() {
    let serve = Serve::start(&[]).await.unwrap();
    let raw = Raw::new(&serve);
    let mut ids = Vec::new();
    for (target, body, status) in [
        ("secretsmanager.ListSecrets", json!({}), 200),
        ("secretsmanager.GetSecretValue", json!({"SecretId": "absent"}), 400),
        ("secretsmanager.GetSecretValue", json!({}), 400),
        ("secretsmanager.NoSuchOperation", json!({}), 400),
    ] {
        let answer = raw.send(target, &body).await.unwrap();
        assert_eq!(answer.status, status, "{target}: {}", answer.body);
        ids.push(answer.request_id.unwrap());
    }
    assert!(ids.iter().all(|id| id.len() == 36), "{ids:?}");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4, "{ids:?}");
}

/// The SDKs generate the token, so only a raw request lacks it.
#[tokio::test]
async fn raw_request_without_client_request_token_is_rejected() {
    let serve = Serve::start(&[]).await.unwrap();
    let raw = Raw::new(&serve);
    raw.call("CreateSecret", json!({"Name": "s", "SecretString": "x"})).await.unwrap();
    for (operation, body, code) in [
        ("CreateSecret", json!({"Name": "t", "SecretString": "x"}), "InvalidRequestException"),
        (
            "PutSecretValue",
            json!({"SecretId": "s", "SecretString": "y"}),
            "InvalidRequestException",
        ),
        ("UpdateSecret", json!({"SecretId": "s", "SecretString": "y"}), "InvalidRequestException"),
        ("RotateSecret", json!({"SecretId": "s"}), "InvalidParameterException"),
    ] {
        let answer = raw.send(&format!("secretsmanager.{operation}"), &body).await.unwrap();
        assert_eq!((answer.status, &answer.body["__type"]), (400, &json!(code)), "{operation}");
        let message = answer.body["Message"].as_str().unwrap();
        assert!(message.starts_with("You must provide a ClientRequestToken value."), "{message}");
    }
    let value = raw.call("GetSecretValue", json!({"SecretId": "s"})).await.unwrap();
    assert_eq!(value["SecretString"], "x");
    assert_eq!(
        raw.refused("DescribeSecret", json!({"SecretId": "t"})).await.unwrap().0,
        "ResourceNotFoundException"
    );
}
