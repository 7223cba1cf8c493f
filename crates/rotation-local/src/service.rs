//! Secrets Manager on loopback: AWS JSON 1.1 over HTTP.

mod error;
mod operations;
mod random_password;
mod store;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;

pub use error::ServiceError;
pub(crate) use operations::StartRotation;
pub use store::Store;
pub(crate) use store::{CURRENT, PENDING, PREVIOUS};

use operations::Request;

/// The region when a request names none.
pub(crate) const REGION: &str = "us-east-1";

/// One request that was answered.
#[derive(Debug, Clone)]
pub struct Call {
    /// The operation.
    pub operation: String,
    /// The `VersionStage` or `VersionId` it asked for, if any.
    pub about: Option<String>,
    /// The length of the rotation token it had, if any: the token itself is nobody's business.
    pub rotation_token: Option<usize>,
    /// When it came.
    pub from: Instant,
    /// When it was answered.
    pub until: Instant,
}

/// Whether a fault hits before or after the operation has taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Nothing has happened.
    Before,
    /// It has happened, and the answer is lost.
    After,
}

/// Something that goes wrong, for tests.
#[derive(Debug, Clone)]
pub enum Fault {
    /// The service refuses.
    Refuse(ServiceError),
    /// The connection is never answered.
    Hang,
}

/// Decides on a fault for the n-th call (from 0) of this service, seeing its operation.
type FaultRule = Box<dyn FnMut(usize, &str, When) -> Option<Fault> + Send>;
/// Writes the store away before a change is acknowledged.
type Persist = Box<dyn Fn(&Store) -> anyhow::Result<()> + Send>;
/// Is told to start a rotation.
type OnRotate = Box<dyn Fn(StartRotation) + Send>;

/// The service. Clones share everything.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    address: SocketAddr,
    state: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    store: Store,
    calls: Vec<Call>,
    count: usize,
    latency: Duration,
    fault: Option<FaultRule>,
    /// The only access key id that is let in; any, when there is none.
    key: Option<String>,
    persist: Option<Persist>,
    on_rotate: Option<OnRotate>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("address", &self.inner.address).finish()
    }
}

impl Service {
    /// Starts the service on 127.0.0.1; port 0 picks a free one.
    ///
    /// # Errors
    /// When the port is taken.
    pub async fn start(port: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.with_context(|| {
            format!("cannot listen on 127.0.0.1:{port}; is another one running? Try another --port")
        })?;
        let address = listener.local_addr()?;
        let service = Self { inner: Arc::new(Inner { address, state: Mutex::default() }) };
        let router = Router::new().fallback(answer).with_state(service.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(service)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.inner.address)
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at, or changes, what is stored.
    pub(crate) fn with_store<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        look(&mut self.inside().store)
    }

    /// Performs an operation without going through HTTP.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn perform(&self, operation: &str, body: &Value) -> Result<Value, ServiceError> {
        self.apply(operation, &Request { region: REGION, body })
    }

    /// Stores a secret under a given ARN.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn put_secret(&self, name: &str, arn: &str, value: &str) -> Result<(), ServiceError> {
        self.with_store(|store| store.insert(name, arn.to_owned(), Some(value.to_owned()), None).map(drop))
    }

    /// Lets in only who knows an access key id, made for this run: on a machine with other users, the port alone is
    /// no protection.
    pub fn require_key(&self) -> String {
        let key = format!("LOCAL{}", uuid::Uuid::new_v4().simple()).to_uppercase();
        self.inside().key = Some(key.clone());
        key
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.inside().calls.clone()
    }

    /// Forgets the calls so far.
    pub fn forget_calls(&self) {
        self.inside().calls.clear();
    }

    /// Adds a delay to every answer.
    pub fn set_latency(&self, latency: Duration) {
        self.inside().latency = latency;
    }

    /// Makes calls fail; the rule is asked before and after each, with the number of calls since it was set.
    pub fn set_fault(&self, rule: impl FnMut(usize, &str, When) -> Option<Fault> + Send + 'static) {
        let mut inside = self.inside();
        inside.fault = Some(Box::new(rule));
        inside.count = 0;
    }

    /// Ends the faults.
    pub fn clear_fault(&self) {
        self.inside().fault = None;
    }

    /// Writes every change away before it is acknowledged.
    pub(crate) fn set_persist(&self, persist: impl Fn(&Store) -> anyhow::Result<()> + Send + 'static) {
        self.inside().persist = Some(Box::new(persist));
    }

    /// Called when `RotateSecret` has staged a version.
    pub(crate) fn set_on_rotate(&self, on_rotate: impl Fn(StartRotation) + Send + 'static) {
        self.inside().on_rotate = Some(Box::new(on_rotate));
    }

    fn apply(&self, operation: &str, request: &Request<'_>) -> Result<Value, ServiceError> {
        let mut inside = self.inside();
        let changes = !["Get", "Describe", "List"].iter().any(|reading| operation.starts_with(reading));
        // What is refused, or cannot be written away, has not happened.
        let before = changes.then(|| inside.store.clone());
        let performed = operations::perform(operation, &mut inside.store, request);
        let performed = performed.and_then(|done| match &inside.persist {
            Some(persist) if changes => match persist(&inside.store) {
                Ok(()) => Ok(done),
                Err(error) => Err(ServiceError {
                    code: "InternalServiceError".into(),
                    message: format!("the change could not be written away: {error:#}"),
                    status: 500,
                }),
            },
            _ => Ok(done),
        });
        let (answer, start) = match (performed, before) {
            (Ok(done), _) => done,
            (Err(error), Some(before)) => {
                inside.store = before;
                return Err(error);
            }
            (Err(error), None) => return Err(error),
        };
        if let (Some(start), Some(on_rotate)) = (start, &inside.on_rotate) {
            on_rotate(start);
        }
        Ok(answer)
    }

    fn fault(&self, number: usize, operation: &str, when: When) -> Option<Fault> {
        self.inside().fault.as_mut().and_then(|rule| rule(number, operation, when))
    }
}

async fn answer(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    let from = Instant::now();
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or("");
    let operation = target.strip_prefix("secretsmanager.").unwrap_or(target).to_owned();
    let (number, latency) = {
        let mut inside = service.inside();
        inside.count += 1;
        (inside.count - 1, inside.latency)
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(_) => return refuse(&ServiceError::new("SerializationException", "The request is not JSON.")),
    };
    let credential =
        headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(credential_of);
    let (key, region) = credential.unwrap_or(("", REGION));
    if service.inside().key.as_ref().is_some_and(|only| only != key) {
        return refuse(&ServiceError::new(
            "UnrecognizedClientException",
            "The security token included in the request is invalid: use the AWS_ACCESS_KEY_ID that was printed.",
        ));
    }
    let request = Request { region, body: &body };

    let result = match service.fault(number, &operation, When::Before) {
        Some(fault) => fail(fault).await,
        None => {
            let result = service.apply(&operation, &request);
            match service.fault(number, &operation, When::After) {
                Some(fault) => fail(fault).await,
                None => result,
            }
        }
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    service.inside().calls.push(Call {
        operation,
        about: text("VersionStage").or_else(|| text("VersionId")),
        rotation_token: text("RotationToken").map(|token| token.len()),
        from,
        until: Instant::now(),
    });
    match result {
        Ok(answer) => reply(StatusCode::OK, answer.to_string()),
        Err(error) => refuse(&error),
    }
}

async fn fail(fault: Fault) -> Result<Value, ServiceError> {
    match fault {
        Fault::Refuse(error) => Err(error),
        Fault::Hang => std::future::pending().await,
    }
}

fn refuse(error: &ServiceError) -> Response {
    reply(StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST), error.body())
}

fn reply(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/x-amz-json-1.1")], body).into_response()
}

/// Key id and region of a request's signature: `Credential=KEY/DATE/REGION/secretsmanager/aws4_request`.
fn credential_of(authorization: &str) -> Option<(&str, &str)> {
    let mut parts = authorization.split_once("Credential=")?.1.split('/');
    Some((parts.next()?, parts.nth(1)?))
}
