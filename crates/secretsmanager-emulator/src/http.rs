//! The HTTP side of the service: it authenticates and parses requests, and injects faults.

use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get_service;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::calls::Call;
use crate::control;
use crate::error::ServiceError;
use crate::kms;
use crate::scope::split_key;
use crate::service::{Fault, MAX_REQUEST_BYTES, REGION, Service, When};

impl Service {
    /// Starts to answer requests, and serves `pages` on the same port.
    pub fn open(&self, listener: TcpListener, pages: Router) {
        let api = Router::new()
            .fallback(answer)
            .with_state(self.clone())
            .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES));
        let router = Router::new().fallback_service(get_service(pages).post_service(api));
        tokio::spawn(async move { axum::serve(listener, router).await });
    }
}

/// Answers a request of AWS JSON 1.1.
pub(crate) async fn answer(
    State(service): State<Service>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    // Browsers send this header; the CLI and the SDKs do not. Without this check, a page from
    // another site could call a service that accepts any credentials.
    if headers.contains_key(header::ORIGIN) {
        return refuse(&ServiceError::new(
            "AccessDeniedException",
            "Requests from web pages are not allowed. Use the AWS CLI or an SDK.",
        ));
    }
    let Ok(body) = body else {
        return refuse(&ServiceError {
            code: "RequestEntityTooLargeException".into(),
            message: format!("A request can have at most {MAX_REQUEST_BYTES} bytes."),
            status: 413,
        });
    };
    let from = Instant::now();
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or("");
    let operation = target.strip_prefix("secretsmanager.").unwrap_or(target).to_owned();
    let (number, latency) = {
        let mut inside = service.inside();
        inside.count += 1;
        (inside.count - 1, inside.latency)
    };
    if !latency.is_zero() {
        // Tokio's timer rounds up to whole milliseconds and adds up to one more, so a thread sleeps
        // instead. The calls of a measurement need few threads.
        let _ = tokio::task::spawn_blocking(move || std::thread::sleep(latency)).await;
    }
    service.pass().await;
    let body: Value = match serde_json::from_slice(&body) {
        Ok(body) => body,
        Err(_) => {
            return refuse(&ServiceError::new(
                "SerializationException",
                "The request is not JSON.",
            ));
        }
    };
    let credential = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(credential_of);
    let (key, region) = credential.unwrap_or(("", REGION));
    let (key, account) = split_key(key);
    if service.inside().key.as_ref().is_some_and(|only| only != key) {
        return refuse(&ServiceError::new(
            "UnrecognizedClientException",
            "The security token included in the request is invalid: use the AWS_ACCESS_KEY_ID that \
             rotation-local printed.",
        ));
    }

    let result = match service.fault(number, &operation, When::Before) {
        Some(fault) => fail(fault).await,
        None => {
            let result = match target.split_once('.') {
                Some(("TrentService", of_kms)) => {
                    service.with_store(|store| kms::perform(of_kms, store, region, &body))
                }
                Some(("Emulator", of_tests)) => control::perform(of_tests, &service, &body),
                _ => service.perform_request(account, region, &operation, &body),
            };
            match service.fault(number, &operation, When::After) {
                Some(fault) => fail(fault).await,
                None => result,
            }
        }
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let trace_id = headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok());
    service.inside().calls.push(Call {
        operation,
        secret: text("SecretId"),
        about: text("VersionStage").or_else(|| text("VersionId")),
        rotation_token: text("RotationToken").map(|token| token.len()),
        trace_id: trace_id.map(str::to_owned),
        error: result.as_ref().err().map(|error| error.code.clone()),
        from,
        until: Instant::now(),
    });
    match result {
        Ok(answer) => reply(StatusCode::OK, answer.to_string()),
        Err(error) => refuse(&error),
    }
}

impl Service {
    fn fault(&self, number: usize, operation: &str, when: When) -> Option<Fault> {
        self.inside().fault.as_mut().and_then(|rule| rule(number, operation, when))
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
    let id = uuid::Uuid::new_v4().to_string();
    let headers = [
        (header::CONTENT_TYPE, "application/x-amz-json-1.1"),
        (HeaderName::from_static("x-amzn-requestid"), &id),
    ];
    (status, headers, body).into_response()
}

/// Returns the access key id and the region of a request's signature, which has the form
/// `Credential=KEY/DATE/REGION/secretsmanager/aws4_request`.
fn credential_of(authorization: &str) -> Option<(&str, &str)> {
    let mut parts = authorization.split_once("Credential=")?.1.split('/');
    Some((parts.next()?, parts.nth(1)?))
}
