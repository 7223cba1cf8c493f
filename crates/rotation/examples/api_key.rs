//! Rotates the key of an HTTP service that lets an account have two live keys.
//!
//! The secret is `{"url": "https://api.example.com/v1", "key_id": "…", "key": "…"}`. The service,
//! as most are: `GET /keys` lists, `POST /keys` issues one and shows it this once,
//! `DELETE /keys/ID` revokes, `GET /account` needs a valid key. Adapt these four calls.
//! `docs/custom-rotation.md` walks through this file.

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use rotation::{Context, Done, Failure, Labels, Password, Result, Rotator, SecretValue, Versions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

fn main() -> std::process::ExitCode {
    rotation::run(|_settings| Ok(ApiKey))
}

struct ApiKey;

/// What the names of our keys begin with: an account may have others.
const NAME: &str = "rotation ";

/// The secret, and the service called with its key. What else it holds is kept as it is.
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
        // Not the error's own words: they can quote the secret.
        let wrong = |e: serde_json::Error| {
            failure("SecretMalformed", format!("line {} is wrong", e.line()))
        };
        let secret: Self = serde_json::from_str(value.expose()).map_err(wrong)?;
        // From here on no log line and no error can show the key.
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
            _ => Err(failure("ServiceRefused", "the service has answered without a key").into()),
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
            status if status.is_success() => Ok(answer.json().await.unwrap_or(Value::Null)),
            StatusCode::UNAUTHORIZED => {
                Err(failure("KeyRefused", format!("the service refuses key {}", self.key_id))
                    .into())
            }
            // An earlier attempt has revoked it.
            StatusCode::NOT_FOUND if method == Method::DELETE => Ok(Value::Null),
            status => {
                Err(failure("ServiceRefused", format!("the service answers {status}")).into())
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

    /// Issues the new key. What an attempt that died here, or a rotation that was given up, has
    /// issued goes first.
    async fn create(
        &self,
        cx: &Context<'_>,
        current: &SecretValue,
        _: Option<Password>,
    ) -> Result<SecretValue> {
        let mut secret = Secret::parse(current)?;
        cx.doing(format!("issuing a key at {}", secret.url));
        // A concurrent attempt may have stored its key in the meantime; that one is kept.
        if let Some(stored) = cx.value_of(cx.version()).await? {
            return Ok(stored);
        }
        for id in secret.list().await?.into_iter().filter(|id| *id != secret.key_id) {
            secret.revoke(&id).await?;
        }
        (secret.key_id, secret.key) = secret.issue(&format!("{NAME}{}", cx.version())).await?;
        let text =
            serde_json::to_string(&secret).map_err(|_| failure("SecretMalformed", "not JSON"))?;
        Ok(SecretValue::new(text))
    }

    /// The service has accepted the new key since it was issued.
    async fn set(&self, _: &Context<'_>, _: &Versions) -> Result<Done> {
        Ok(Done::before("The service accepts a key from the moment it is issued."))
    }

    async fn test(&self, cx: &Context<'_>, pending: &SecretValue) -> Result<Done> {
        let secret = Secret::parse(pending)?;
        cx.doing(format!("calling {} with the new key", secret.url));
        secret.call(Method::GET, "account", None).await?;
        Ok(Done::now(format!("{} accepts key {}.", secret.url, secret.key_id)))
    }

    /// Revokes the key that nobody needs any more. To give applications time until the next
    /// rotation, leave this out: `create` revokes it then.
    async fn finished(&self, cx: &Context<'_>) -> Result<()> {
        // Not AWSCURRENT: the label has moved a moment ago, and a stale answer would be the old
        // key.
        let Some(current) = cx.value_of(cx.version()).await? else { return Ok(()) };
        let current = Secret::parse(&current)?;
        match cx.previous().await?.map(|previous| Secret::parse(&previous)).transpose()? {
            Some(previous) if previous.key_id != current.key_id => {
                current.revoke(&previous.key_id).await
            }
            _ => Ok(()),
        }
    }
}

/// Each with a stable `errorType` to alarm on, and the next thing to do.
fn failure(error_type: &'static str, what: impl Into<String>) -> Failure {
    let remedy = match error_type {
        "SecretMalformed" => {
            "Give it \"url\", \"key_id\" and \"key\": aws secretsmanager put-secret-value."
        }
        "ServiceUnreachable" => "See that the function may reach it (NAT, security group).",
        "KeyRefused" => {
            "If it is the pending key, start another rotation; else issue one by hand and store it."
        }
        _ => "Read the service's own log.",
    };
    Failure::new(error_type, what, remedy)
}
