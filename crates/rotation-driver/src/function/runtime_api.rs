//! The server side of the [Lambda Runtime API][doc] for one instance of a function.
//!
//! [doc]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use super::FunctionError;
use crate::trace_id::trace_id;

type Answer = Result<Value, FunctionError>;

/// A running Runtime API.
#[derive(Debug)]
pub(crate) struct RuntimeApi {
    pub(crate) address: SocketAddr,
    state: Arc<Shared>,
    server: AbortHandle,
}

/// Stops the server when the function ends.
impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Notify,
    /// Notified when the function requests an event.
    ready: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    next: Option<(String, Value, Duration)>,
    waiting: HashMap<String, oneshot::Sender<Answer>>,
    init_error: Option<FunctionError>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, state) = (listener.local_addr()?, Arc::<Shared>::default());
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&state));
        let server =
            tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Ok(Self { address, state, server })
    }

    /// Offers an event to the function. The receiver gets the response.
    pub(crate) fn offer(&self, event: Value, timeout: Duration) -> oneshot::Receiver<Answer> {
        let (sender, receiver) = oneshot::channel();
        let id = uuid::Uuid::new_v4().to_string();
        let mut queue = self.state.lock();
        queue.waiting.insert(id.clone(), sender);
        queue.next = Some((id, event, timeout));
        drop(queue);
        self.state.arrived.notify_one();
        receiver
    }

    /// Withdraws an event that the function has not requested.
    pub(crate) fn withdraw(&self) {
        self.state.lock().next = None;
    }

    /// Waits until the function requests its first event.
    pub(crate) async fn ready(&self) {
        self.state.ready.notified().await;
    }

    /// Returns the error that the function reported because it could not start.
    pub(crate) fn init_error(&self) -> Option<FunctionError> {
        self.state.lock().init_error.take()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, id: &str, answer: Answer) -> Response {
        match self.lock().waiting.remove(id) {
            Some(waiting) => {
                // After a timeout, the receiver does not exist anymore.
                let _ = waiting.send(answer);
                (StatusCode::ACCEPTED, json!({"status": "OK"}).to_string()).into_response()
            }
            None => (StatusCode::BAD_REQUEST, json!({"errorType": "InvalidRequestID"}).to_string())
                .into_response(),
        }
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Response {
    shared.ready.notify_one();
    let (id, event, timeout) = loop {
        let arrived = shared.arrived.notified();
        if let Some(next) = shared.lock().next.take() {
            break next;
        }
        arrived.await;
    };
    let token = event["ClientRequestToken"].as_str().unwrap_or_default();
    let trace_id = trace_id(token);
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + timeout;
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:local".to_owned(),
        ),
        ("lambda-runtime-trace-id", trace_id),
    ];
    let mut response =
        ([(header::CONTENT_TYPE, "application/json")], event.to_string()).into_response();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    let answer = serde_json::from_slice(&body)
        .map_err(|_| FunctionError::new("Local.NotJson", "the function's response is not JSON"));
    shared.answer(&id, answer)
}

async fn error(State(shared): State<Arc<Shared>>, Path(id): Path<String>, body: Bytes) -> Response {
    let error = serde_json::from_slice(&body).unwrap_or(Value::Null);
    shared.answer(&id, Err(FunctionError::from_json(&error)))
}

async fn init_error(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let error = serde_json::from_slice(&body).unwrap_or(Value::Null);
    shared.lock().init_error = Some(FunctionError::from_json(&error));
    (StatusCode::ACCEPTED, json!({"status": "OK"}).to_string()).into_response()
}
