//! Reads the configuration and the tags of rotation functions from Lambda.
//!
//! Two GET requests do not justify the SDK of Lambda. That SDK is more than three times as large as
//! the SDK of Secrets Manager. For its event streams, it also adds features to AWS crates that the
//! functions use. So the requests are written here. The SDK's own runtime signs and sends them,
//! with its credentials, timeouts and retries.

use std::collections::BTreeMap;
use std::time::SystemTime;

use anyhow::{Context as _, Result, anyhow};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{
    HttpStatusCodeClassifier, TransientErrorClassifier,
};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use serde_json::Value;

use super::arn::FunctionArn;
use super::causes::causes_of;
use super::connection::{Connection, timeouts};
use super::model::{Configuration, Function, Known, NotKnown};

const GET_CONFIGURATION: &str = "lambda:GetFunctionConfiguration";
const LIST_TAGS: &str = "lambda:ListTags";

/// The statuses of throttled requests and of failures that a retry can solve.
const RETRIED: &[u16] = &[429, 500, 502, 503, 504];

/// A client of Lambda.
pub(super) struct Lambda {
    endpoint: String,
    region: String,
    credentials: SharedCredentialsProvider,
    get: Operation<HttpRequest, Answer, Refused>,
}

/// A response of Lambda, which can be an error that no retry solves.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// The name of the error, such as `ResourceNotFoundException`.
    error: Option<String>,
    body: Value,
}

/// An error of Lambda after all retries.
#[derive(Debug)]
struct Refused(u16);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "status {}", self.0)
    }
}

impl std::error::Error for Refused {}

impl Lambda {
    /// Creates a client, or returns the reason why Lambda cannot be asked.
    pub(super) fn new(connection: &Connection) -> Known<Self> {
        let config: &SdkConfig = &connection.config;
        let credentials = config.credentials_provider();
        let Some((endpoint, credentials)) = connection.lambda_endpoint().zip(credentials) else {
            return Err(not_known(
                GET_CONFIGURATION,
                format!(
                    "Secrets Manager is at {}, and AWS_ENDPOINT_URL_LAMBDA names no Lambda beside \
                     it",
                    connection.endpoint
                ),
            ));
        };
        let mut get = Operation::builder()
            .service_name("lambda")
            .operation_name("Get")
            // With the default HTTP client of this version, as the client of Secrets Manager.
            .behavior_version(BehaviorVersion::v2026_01_12())
            .endpoint_url(&endpoint)
            .no_auth()
            .standard_retry(&RetryConfig::standard())
            .retry_classifier(HttpStatusCodeClassifier::new_from_codes(RETRIED))
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .timeout_config(timeouts());
        if let Some(sleep) = config.sleep_impl() {
            get = get.sleep_impl(sleep);
        }
        if let Some(time) = config.time_source() {
            get = get.time_source(time);
        }
        let get = get.serializer(Ok).deserializer(answer).build();
        Ok(Self { endpoint, region: connection.region.clone(), credentials, get })
    }

    /// Returns the configuration of a function.
    pub(super) async fn function(&self, arn: &FunctionArn) -> Function {
        let path = format!("/2015-03-31/functions/{}/configuration", encoded(arn.as_str()));
        let body = match self.get(GET_CONFIGURATION, &path).await {
            Ok(Some(body)) => body,
            Ok(None) => return Function::Missing,
            Err(reason) => return Function::NotKnown(reason),
        };
        let text =
            |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        Function::Found(Box::new(Configuration {
            runtime: text(&body["Runtime"]),
            handler: text(&body["Handler"]),
            description: text(&body["Description"]),
            log_group: text(&body["LoggingConfig"]["LogGroup"]),
            tags: self.tags(arn).await,
        }))
    }

    async fn tags(&self, arn: &FunctionArn) -> Known<BTreeMap<String, String>> {
        let path = format!("/2017-03-31/tags/{}", encoded(&arn.unqualified()));
        let body = self.get(LIST_TAGS, &path).await?.unwrap_or_default();
        let tags = body["Tags"].as_object().into_iter().flatten();
        Ok(tags
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect())
    }

    /// Returns the JSON at a path, or `None` if Lambda reports that it does not exist.
    async fn get(&self, action: &'static str, path: &str) -> Known<Option<Value>> {
        let cause = |error: anyhow::Error| not_known(action, format!("{error:#}"));
        let request = self.signed(path).await.map_err(cause)?;
        let answer = self.get.invoke(request).await.map_err(|error| {
            cause(anyhow!("{} does not answer: {}", self.endpoint, causes_of(&error)))
        })?;
        let message = ["Message", "message"].iter().find_map(|key| answer.body[*key].as_str());
        match (answer.status, answer.error.as_deref()) {
            (200, _) if answer.body.is_object() => Ok(Some(answer.body)),
            // A service that is not Lambda answers 404 too, but without this error.
            (404, Some("ResourceNotFoundException")) => Ok(None),
            (403, Some("AccessDeniedException")) => Err(NotKnown {
                action,
                cause: message.unwrap_or("access denied").to_owned(),
                is_denied: true,
            }),
            (status, error) => {
                let error = error.map(|error| format!(" ({error})")).unwrap_or_default();
                let message = message.map(|message| format!(": {message}")).unwrap_or_default();
                let endpoint = &self.endpoint;
                let cause = format!("{endpoint} answered with status {status}{error}{message}");
                Err(not_known(action, cause))
            }
        }
    }

    async fn signed(&self, path: &str) -> Result<HttpRequest> {
        let credentials = self.credentials.provide_credentials().await;
        let identity = credentials.context("could not load credentials")?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("lambda")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let url = format!("{}{path}", self.endpoint.trim_end_matches('/'));
        let unsigned =
            SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(&[]))?;
        let (signature, _) = sign(unsigned, &parameters)?.into_parts();
        let mut request = HttpRequest::get(path)?;
        for (name, value) in signature.headers() {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        Ok(request)
    }
}

fn not_known(action: &'static str, cause: String) -> NotKnown {
    NotKnown { action, cause, is_denied: false }
}

fn answer(response: &HttpResponse) -> Result<Answer, OrchestratorError<Refused>> {
    let status = response.status().as_u16();
    if RETRIED.contains(&status) {
        return Err(OrchestratorError::operation(Refused(status)));
    }
    let body = response.body().bytes().and_then(|body| serde_json::from_slice(body).ok());
    // A colon and more can follow the name.
    let error = response.headers().get("x-amzn-errortype").and_then(|it| it.split(':').next());
    Ok(Answer { status, error: error.map(str::to_owned), body: body.unwrap_or_default() })
}

/// Encodes an ARN as one segment of a path.
fn encoded(arn: &str) -> String {
    let mut encoded = String::new();
    for byte in arn.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
