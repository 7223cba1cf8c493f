//! Tests of the custom function, which rotates the key of an HTTP service with two live keys.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, get};
use axum::{Json, Router};
use rotation_tests::binary;
use rotation_tests::child_process::text;
use rotation_tests::documentation::{arguments_of_serve, documented};
use rotation_tests::local::Serve;
use rotation_tests::runtime_emulator::{Rie, events};
use secretsmanager_emulator::{Service, When};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Fixture;

/// The key and the name for each key id.
type Keys = Arc<Mutex<BTreeMap<String, (String, String)>>>;

const OTHER_APPLICATION: &str = "another application";

/// The HTTP service of the function. An account has up to two live keys, and each is shown only
/// once.
struct KeyService {
    url: String,
    keys: Keys,
}

fn authorize(keys: &Keys, headers: &HeaderMap) -> Result<(), StatusCode> {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    keys.values().any(|(key, _)| key == given).then_some(()).ok_or(StatusCode::UNAUTHORIZED)
}

async fn list(State(keys): State<Keys>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    authorize(&keys, &headers)?;
    let keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(Json(keys.iter().map(|(id, (_, name))| json!({"id": id, "name": name})).collect()))
}

async fn issue(
    State(keys): State<Keys>,
    headers: HeaderMap,
    Json(asked): Json<Value>,
) -> Result<Json<Value>, StatusCode> {
    authorize(&keys, &headers)?;
    let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
    if keys.values().filter(|(_, name)| name != OTHER_APPLICATION).count() >= 2 {
        return Err(StatusCode::CONFLICT);
    }
    let (id, key) = (Uuid::new_v4().to_string(), format!("key-{}", Uuid::new_v4().simple()));
    keys.insert(id.clone(), (key.clone(), asked["name"].as_str().unwrap_or_default().to_owned()));
    Ok(Json(json!({"id": id, "key": key})))
}

async fn revoke(
    State(keys): State<Keys>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> StatusCode {
    match authorize(&keys, &headers) {
        Err(status) => status,
        Ok(()) => match keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&id) {
            Some(_) => StatusCode::NO_CONTENT,
            None => StatusCode::NOT_FOUND,
        },
    }
}

async fn account(State(keys): State<Keys>, headers: HeaderMap) -> Result<Json<Value>, StatusCode> {
    authorize(&keys, &headers).map(|()| Json(json!({"plan": "free"})))
}

impl KeyService {
    async fn start() -> Result<Self> {
        let keys = Keys::default();
        let other = ("key-of-another-application".to_owned(), OTHER_APPLICATION.to_owned());
        keys.lock().unwrap_or_else(PoisonError::into_inner).insert("other".into(), other);
        let router = Router::new()
            .route("/keys", get(list).post(issue))
            .route("/keys/{id}", delete(revoke))
            .route("/account", get(account))
            .with_state(Arc::clone(&keys));
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { url, keys })
    }

    /// Returns a secret with a new key.
    fn secret(&self) -> Value {
        let key = format!("key-{}", Uuid::new_v4().simple());
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert("by-hand".into(), (key.clone(), "made by hand".into()));
        json!({"url": self.url, "key_id": "by-hand", "key": key, "owner": "the tests"})
    }

    fn accepts(&self, value: &Value) -> bool {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.get(value["key_id"].as_str().unwrap_or_default()).map(|(key, _)| key.as_str())
            == value["key"].as_str()
    }

    /// Returns the number of live keys of the tests. Panics if the key of the other application is
    /// missing.
    fn live(&self) -> usize {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(keys.contains_key("other"), "the key of the other application was revoked");
        keys.len() - 1
    }
}

#[tokio::test]
async fn rotation_issues_new_key_and_revokes_old_one() -> Result<()> {
    let api = KeyService::start().await?;
    let secret = api.secret();
    let fixture = Fixture::new("rotation-custom", &secret).await?;
    for _ in 0..3 {
        let before = fixture.value("AWSCURRENT")?;
        let after = fixture.rotate().await?;
        ensure!(
            api.accepts(&after) && !api.accepts(&before) && api.live() == 1,
            "{} live",
            api.live()
        );
        assert_eq!(after["owner"], "the tests");
        for value in [&before, &after] {
            fixture.search(value["key"].as_str().context("the secret has no key")?)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn retry_after_any_failed_call_leaves_one_key() -> Result<()> {
    for when in [When::Before, When::After] {
        for point in 0.. {
            let api = KeyService::start().await?;
            let fixture = Fixture::new("rotation-custom", &api.secret()).await?;
            let more = fixture.fail_and_retry(point, when).await?;
            let current = fixture.value("AWSCURRENT")?;
            ensure!(api.accepts(&current), "{when:?} call {point}: the current key is rejected");
            ensure!(api.live() == 1, "{when:?} call {point}: {} live keys", api.live());
            if !more {
                ensure!(point >= 10, "only {point} calls");
                break;
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn failures_have_distinct_errors() -> Result<()> {
    let api = KeyService::start().await?;
    let good = api.secret();
    for (change, error_type) in [
        (json!({"key": "key-that-nobody-issued"}), "KeyRefused"),
        (json!({"url": "http://127.0.0.1:9"}), "ServiceUnreachable"),
        (json!({"key": 7}), "SecretMalformed"),
    ] {
        let mut secret = good.clone();
        for (name, value) in change.as_object().into_iter().flatten() {
            secret[name] = value.clone();
        }
        let fixture = Fixture::new("rotation-custom", &secret).await?;
        let error =
            fixture.attempt(&fixture.stage()?).await.failed.context("the rotation succeeded")?;
        assert_eq!(error.error_type, error_type, "{}", error.message);
        ensure!(error.message.contains("What to do: "), "{}", error.message);
        ensure!(
            !error.message.contains(good["key"].as_str().unwrap_or_default()),
            "{}",
            error.message
        );
        assert!(api.accepts(&good));
    }
    Ok(())
}

#[tokio::test]
async fn template_custom_function_succeeds_for_events() -> Result<()> {
    let api = KeyService::start().await?;
    let events = events()?;
    let service = Service::start(0).await?;
    let id = events[0]["SecretId"].as_str().unwrap_or_default();
    service.put_secret("example/app", id, &api.secret().to_string())?;
    let token = &events[0]["ClientRequestToken"];
    let rotate = json!({
        "SecretId": id,
        "ClientRequestToken": token,
        "RotationLambdaARN": "arn:aws:lambda:test",
    });
    service.perform("RotateSecret", &rotate)?;
    let rie =
        Rie::start(&binary("rotation-custom"), &Fixture::program(&service, "rotation-custom"))
            .await?;
    for event in &events {
        let answer = rie.function().invoke(event).await;
        answer.map_err(|error| anyhow::anyhow!("{}: {}", error.error_type, error.message))?;
    }
    let current = service.perform("GetSecretValue", &json!({"SecretId": id}))?;
    assert_eq!(&current["VersionId"], token);
    ensure!(
        api.accepts(&serde_json::from_str(current["SecretString"].as_str().unwrap_or_default())?)
    );
    Ok(())
}

/// Runs `rotation-local rotate` with a secret that has no user, host or engine.
#[tokio::test]
async fn rotate_file_without_user_asks_and_reports() -> Result<()> {
    let api = KeyService::start().await?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("key.json");
    std::fs::write(&file, api.secret().to_string())?;
    let rotate = |more: &'static [&'static str]| {
        let mut command = tokio::process::Command::new(binary("rotation-local"));
        command
            .args(["rotate", "--secret"])
            .arg(&file)
            .arg("--function")
            .arg(binary("rotation-custom"));
        command.args(more).stdin(std::process::Stdio::null());
        command
    };
    let asked = rotate(&[]).output().await?;
    let message = String::from_utf8_lossy(&asked.stdout).into_owned();
    ensure!(message.contains("the credential in ") && !message.contains("not given"), "{message}");
    let done = rotate(&["--yes", "--times", "2"]).output().await?;
    let message = text(&done);
    ensure!(done.status.success() && message.contains("The new secret is in "), "{message}");
    let value: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
    ensure!(api.accepts(&value) && api.live() == 1, "{} live", api.live());
    ensure!(
        !message.contains(value["key"].as_str().context("the secret has no key")?),
        "{message}"
    );
    Ok(())
}

/// Rotates the key through the service that `docs/custom-rotation.md` starts.
#[tokio::test]
async fn custom_rotation_page_rotates_key() -> Result<()> {
    let api = KeyService::start().await?;
    let page = documented("docs/custom-rotation.md", "cargo build -p rotation-custom")?;
    let programs = binary("rotation-custom").parent().context("no folder")?.display().to_string();
    let arguments = arguments_of_serve(&page)?
        .into_iter()
        .map(|argument| argument.replace("target/debug", &programs))
        .collect::<Vec<_>>();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let serve = Serve::start(&arguments).await?;
    let secret = api.secret();
    serve.client().create_secret().name("key").secret_string(secret.to_string()).send().await?;
    let rotate = "aws secretsmanager rotate-secret --secret-id key --rotation-lambda-arn \
        arn:aws:lambda:us-east-1:123456789012:function:my-key";
    serve.run_in_shell(rotate, &[])?;
    serve.until_rotated().await?;
    let after = serve.client().get_secret_value().secret_id("key").send().await?;
    let after: Value = serde_json::from_str(after.secret_string().context("no value")?)?;
    ensure!(api.accepts(&after) && !api.accepts(&secret) && api.live() == 1, "{after}");
    Ok(())
}
