//! The function `CustomRotation` of `template.yaml`. Edit this file to rotate your own credential.
//!
//! As it stands, it rotates the key of an HTTP service that allows two valid keys for an account.
//! The secret is `{"url": "https://api.example.com/v1", "key_id": "…", "key": "…"}`. The function
//! makes four calls, which most services have in some form: `GET /keys` lists the keys,
//! `POST /keys` issues a key and returns it only once, `DELETE /keys/ID` revokes a key, and
//! `GET /account` requires a valid key. Adapt these calls to your service.
//! `docs/custom-rotation.md` explains this file.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use rotation::{Context, Done, Failure, Labels, Password, Result, Rotator, SecretValue, Versions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

fn main() -> std::process::ExitCode {
    rotation::run(|_settings| Ok(ApiKey))
}

struct ApiKey;

/// The prefix of the names of the function's keys. The account can also have other keys.
const NAME: &str = "rotation ";

/// The secret. Fields that the function does not know stay unchanged.
#[derive(Serialize, Deserialize)]
struct Secret {
    url: String,
    key_id: String,
    key: String,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Secret {
    fn parse(value: &SecretValue) -> Result<Self> {
        // The message of the JSON error is not used, because it can quote the secret.
        let wrong = |e: serde_json::Error| {
            failure("SecretMalformed", format!("the secret is invalid in line {}", e.line()))
        };
        let secret: Self = serde_json::from_str(value.expose()).map_err(wrong)?;
        // `Password::new` registers the key for redaction in all log lines and errors.
        Password::new(secret.key.as_str());
        Ok(secret)
    }

    async fn list(&self) -> Result<Vec<String>> {
        let keys = self.call(Method::GET, "keys", None).await?;
        let ours = |key: &&Value| key["name"].as_str().is_some_and(|name| name.starts_with(NAME));
        let ids =
            keys.as_array().into_iter().flatten().filter(ours).filter_map(|key| key["id"].as_str());
        Ok(ids.map(str::to_owned).collect())
    }

    async fn issue(&self, name: &str) -> Result<(String, String)> {
        let key = self.call(Method::POST, "keys", Some(json!({"name": name}))).await?;
        match (key["id"].as_str(), key["key"].as_str()) {
            (Some(id), Some(key)) => Ok((id.to_owned(), Password::new(key).expose().to_owned())),
            _ => {
                Err(failure("ServiceRefused", "the response of the service contains no key").into())
            }
        }
    }

    async fn revoke(&self, id: &str) -> Result<()> {
        self.call(Method::DELETE, &format!("keys/{id}"), None).await.map(drop)
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let url = format!("{}/{path}", self.url.trim_end_matches('/'));
        let client = Client::builder().timeout(Duration::from_secs(5)).build();
        let client = client.map_err(|error| failure("ServiceUnreachable", error.to_string()))?;
        let request = client.request(method.clone(), url).bearer_auth(&self.key);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let answer = request
            .send()
            .await
            .map_err(|error| failure("ServiceUnreachable", error.to_string()))?;
        match answer.status() {
            // The response to DELETE has no body.
            status if status.is_success() && method == Method::DELETE => Ok(Value::Null),
            status if status.is_success() => Ok(answer
                .json()
                .await
                .map_err(|error| failure("ServiceRefused", format!("no JSON: {error}")))?),
            StatusCode::UNAUTHORIZED => {
                Err(failure("KeyRefused", format!("the service rejects key {}", self.key_id))
                    .into())
            }
            // An earlier attempt has already revoked the key.
            StatusCode::NOT_FOUND if method == Method::DELETE => Ok(Value::Null),
            status => {
                Err(failure("ServiceRefused", format!("the service returned {status}")).into())
            }
        }
    }
}

impl Rotator for ApiKey {
    fn labels(&self) -> Labels {
        Labels { engine: "api-key".into(), strategy: "two-keys".into() }
    }

    fn validate(&self, current: &SecretValue) -> Result<()> {
        Secret::parse(current).map(drop)
    }

    /// Issues the new key. First it revokes the keys of interrupted attempts and of cancelled
    /// rotations.
    async fn create(
        &self,
        cx: &Context<'_>,
        current: &SecretValue,
        _: Option<Password>,
    ) -> Result<SecretValue> {
        let mut secret = Secret::parse(current)?;
        cx.set_activity(format!("issuing a key at {}", secret.url));
        // If a concurrent attempt has stored its key in the meantime, that key stays.
        if let Some(stored) = cx.value_of(cx.version()?).await? {
            return Ok(stored);
        }
        for id in secret.list().await?.into_iter().filter(|id| *id != secret.key_id) {
            secret.revoke(&id).await?;
        }
        (secret.key_id, secret.key) = secret.issue(&format!("{NAME}{}", cx.version()?)).await?;
        let text = serde_json::to_string(&secret)
            .map_err(|_| failure("SecretMalformed", "no JSON results"))?;
        Ok(SecretValue::new(text))
    }

    /// Does nothing, because the service accepts the new key as soon as it is issued.
    async fn set(&self, _: &Context<'_>, _: &Versions) -> Result<Done> {
        Ok(Done::before("The service accepts a key as soon as it is issued."))
    }

    async fn test(&self, cx: &Context<'_>, pending: &SecretValue) -> Result<Done> {
        let secret = Secret::parse(pending)?;
        cx.set_activity(format!("calling {} with the new key", secret.url));
        secret.call(Method::GET, "account", None).await?;
        Ok(Done::now(format!("{} accepts key {}.", secret.url, secret.key_id)))
    }

    /// Revokes the old key. If applications need it until the next rotation, remove this method;
    /// `create` then revokes the key.
    async fn finished(&self, cx: &Context<'_>) -> Result<()> {
        // This reads the version by its id, not by AWSCURRENT: the label has just moved, and a
        // stale response would contain the old key.
        let Some(current) = cx.value_of(cx.version()?).await? else { return Ok(()) };
        let current = Secret::parse(&current)?;
        match cx.previous().await?.map(|previous| Secret::parse(&previous)).transpose()? {
            Some(previous) if previous.key_id != current.key_id => {
                current.revoke(&previous.key_id).await
            }
            _ => Ok(()),
        }
    }
}

/// Creates an error with a stable `errorType` for alarms, and a remedy.
fn failure(error_type: &'static str, what: impl Into<String>) -> Failure {
    let remedy = match error_type {
        "SecretMalformed" => {
            "Store \"url\", \"key_id\" and \"key\" with aws secretsmanager put-secret-value."
        }
        "ServiceUnreachable" => {
            "Allow the function to connect to the service (NAT, security group)."
        }
        "KeyRefused" => {
            "If it is the pending key, rotate again. Otherwise issue a key by hand and store it."
        }
        _ => "See the log of the service.",
    };
    Failure::new(error_type, what, remedy)
}
