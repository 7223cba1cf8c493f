//! An account with IAM: a proxy before moto that evaluates a policy, and records the signatures of
//! the requests to Lambda.
//!
//! The IAM of moto does not fit. It rejects every signature of a request without a body, even one
//! from botocore, and its denials differ in form from AWS's. So botocore computes the
//! signatures here, and the policy is evaluated as in the tests of the templates.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use rotation_tests::iam::allow;
use rotation_tests::local::{REGION, http};
use rotation_tests::tool;
use serde_json::{Value, json};

/// The script that signs requests again. Its input has one element for each request.
const SIGN: &str = "
import json, sys
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
for signed in json.load(sys.stdin):
    request = AWSRequest('GET', signed['url'], headers={'X-Amz-Date': signed['date']})
    request.context['timestamp'] = signed['date']
    auth = SigV4Auth(Credentials(*signed['key']), 'lambda', signed['region'])
    text = auth.string_to_sign(request, auth.canonical_request(request))
    print(auth.signature(text, request))
";

/// The access key of the user.
pub(super) const KEY: (&str, &str) = ("AKIAEXAMPLE", "the-secret-access-key");

/// A proxy that evaluates a policy before moto gets a request.
pub(super) struct AuthorizedAccount {
    pub(super) endpoint: String,
    proxy: Proxy,
}

#[derive(Clone)]
struct Proxy {
    moto: String,
    endpoint: String,
    /// The statements of the user's policy.
    statements: Arc<Vec<Value>>,
    /// The signatures of the requests to Lambda, with what botocore needs to compute them.
    signatures: Arc<Mutex<Vec<(String, Value)>>>,
}

impl AuthorizedAccount {
    /// Starts a proxy for a user with this policy.
    pub(super) async fn start(moto: &str, statements: Vec<Value>) -> Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let proxy = Proxy {
            moto: moto.to_owned(),
            endpoint: endpoint.clone(),
            statements: Arc::new(statements),
            signatures: Arc::default(),
        };
        let router = Router::new().fallback(relay).with_state(proxy.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { endpoint, proxy })
    }

    /// Checks that each signature is the one that botocore computes.
    pub(super) fn ensure_signatures_are_right(&self) -> Result<()> {
        let recorded = self.proxy.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        let (signatures, requests): (Vec<_>, Vec<_>) = recorded.iter().cloned().unzip();
        ensure!(!signatures.is_empty(), "no request was signed");
        let mut python = Command::new(tool("python"));
        python.args(["-c", SIGN]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = python.spawn()?;
        let input = Value::from(requests).to_string();
        python.stdin.take().context("no input")?.write_all(input.as_bytes())?;
        let output = String::from_utf8(python.wait_with_output()?.stdout)?;
        let computed: Vec<&str> = output.lines().collect();
        assert_eq!(signatures, computed);
        Ok(())
    }
}

impl Proxy {
    /// Records the signature of a request to Lambda.
    fn record(&self, path: &str, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or("");
        let signature = text("authorization").rsplit("Signature=").next().unwrap_or_default();
        let request = json!({
            "url": format!("{}{path}", self.endpoint),
            "date": text("x-amz-date"),
            "key": KEY,
            "region": REGION,
        });
        let mut signatures = self.signatures.lock().unwrap_or_else(PoisonError::into_inner);
        signatures.push((signature.to_owned(), request));
    }
}

async fn relay(
    State(proxy): State<Proxy>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path();
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok());
    // IAM denies with another status in Secrets Manager than in Lambda.
    let (action, denied) = match target {
        Some(target) => (target.to_owned(), StatusCode::BAD_REQUEST),
        None => {
            proxy.record(path, &headers);
            let action = if path.starts_with("/2017-03-31/tags/") {
                "lambda:ListTags"
            } else if path.ends_with("/configuration") {
                "lambda:GetFunctionConfiguration"
            } else {
                "lambda:Unknown"
            };
            (action.to_owned(), StatusCode::FORBIDDEN)
        }
    };
    let action = action.replace('.', ":");
    if !allow(&proxy.statements, &action, "*", &[]) {
        let error = "AccessDeniedException";
        let message = format!("User is not authorized to perform: {action}");
        let body = json!({"__type": error, "Message": message}).to_string();
        return (denied, [("x-amzn-errortype", error)], body).into_response();
    }
    match forward(&proxy, method, path, &headers, body).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, format!("{error:#}")).into_response(),
    }
}

async fn forward(
    proxy: &Proxy,
    method: Method,
    path: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Response> {
    let method = reqwest::Method::from_bytes(method.as_str().as_bytes())?;
    let mut request = http()?.request(method, format!("{}{path}", proxy.moto)).body(body);
    for name in ["authorization", "content-type", "x-amz-target"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.as_bytes());
        }
    }
    let response = request.send().await?;
    let status = StatusCode::from_u16(response.status().as_u16())?;
    Ok((status, response.text().await?).into_response())
}
