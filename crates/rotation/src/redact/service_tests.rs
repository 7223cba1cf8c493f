//! Tests with a service that quotes the request in its error, as Secrets Manager does
//! (`ValidationException`).

use std::time::{Duration, SystemTime};

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ErrorMetadata;
use aws_sdk_secretsmanager::operation::get_random_password::GetRandomPasswordOutput;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use aws_smithy_mocks::{RuleMode, mock, mock_client};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Result;
use crate::event::Event;
use crate::manager::Manager;
use crate::mocks::{described, value};
use crate::password::PasswordSettings;
use crate::record::Done;
use crate::rotator::{Labels, Rotator, Versions};
use crate::secret::{Password, SecretValue};
use crate::steps::perform;

const PASSWORD: &str = "Zq\"Xk\\Jv'\u{1f511}Gy\u{1}Wp";
const API_KEY: &str = "Bm\"Fz\\Cx-Dj";
const TOKEN: &str = "Kt\"Pe\"Vw-token";

/// A rotator that replaces the key `password` of a document.
struct Documents(PasswordSettings);

impl Rotator for Documents {
    fn labels(&self) -> Labels {
        Labels { engine: "document".into(), strategy: "replace".into() }
    }

    fn password(&self) -> Option<&PasswordSettings> {
        Some(&self.0)
    }

    async fn create(
        &self,
        _: &Context<'_>,
        current: &SecretValue,
        random: Option<Password>,
    ) -> Result<SecretValue> {
        let mut value: Value = serde_json::from_str(current.expose()).unwrap();
        value["password"] = random.unwrap().expose().into();
        Ok(SecretValue::new(value.to_string()))
    }

    async fn set(&self, _: &Context<'_>, _: &Versions) -> Result<Done> {
        Ok(Done::now("set"))
    }

    async fn test(&self, _: &Context<'_>, _: &SecretValue) -> Result<Done> {
        Ok(Done::now("tested"))
    }
}

/// Returns the message of a failed `createSecret`. The service quotes the `PutSecretValue` request,
/// and the quotation is nested `times` more times.
async fn quoted_request(password: &'static str, times: usize) -> String {
    let document = json!({"username": "app-user", "password": "old\"pass\\word",
        "apiKey": API_KEY, "deep": {"list": ["Hn-Lr-Uo-Ys"]}})
    .to_string();
    let random = mock!(Client::get_random_password)
        .then_output(move || GetRandomPasswordOutput::builder().random_password(password).build());
    let put = mock!(Client::put_secret_value).then_error(move || {
        // The SDK puts the document into the request as JSON in JSON, which is then quoted again.
        let document = json!({"username": "app-user", "password": password,
            "apiKey": API_KEY, "deep": {"list": ["Hn-Lr-Uo-Ys"]}});
        let mut quoted = json!({"SecretId": "s", "SecretString": document.to_string(),
            "RotationToken": TOKEN})
        .to_string();
        for _ in 0..times {
            quoted = json!({ "request": quoted }).to_string();
        }
        let message = format!("1 validation error detected: Value '{quoted}' failed");
        let meta = ErrorMetadata::builder().code("ValidationException").message(message).build();
        PutSecretValueError::generic(meta)
    });
    let rules = [
        &described(&["AWSPENDING"]),
        &value("AWSCURRENT", Some(&document)),
        &value("AWSPENDING", None),
        &random,
        &put,
    ];
    let client = mock_client!(aws_sdk_secretsmanager, RuleMode::MatchAny, rules);
    let event = json!({"Step": "createSecret", "SecretId": "s", "ClientRequestToken": "new",
        "RotationToken": TOKEN});
    let event = Event::parse(&event).unwrap();
    let rotator = Documents(PasswordSettings::read(&|_| None, 32, "").unwrap());
    let deadline = SystemTime::now() + Duration::from_secs(10);
    let failed = perform(&rotator, &Manager::new(client, "mock"), &event, deadline).await;
    failed.unwrap_err().explain(Some(event.step), Some("s"))
}

/// Parts of the secrets. None of them occurs in a name or a word of the messages.
const PARTS: [&str; 16] = [
    "Zq", "Xk", "Jv", "Gy", "Wp", "Bm", "Fz", "Cx", "Dj", "Hn", "Lr", "Uo", "Ys", "Kt", "Pe", "Vw",
];

#[tokio::test]
async fn request_quoted_by_the_service_shows_no_secret() {
    for times in 0..4 {
        let message = quoted_request(PASSWORD, times).await;
        assert!(message.contains("ValidationException") && message.contains("app-user"));
        let shown: Vec<_> = PARTS.iter().filter(|part| message.contains(**part)).collect();
        assert!(shown.is_empty(), "{shown:?} in {message}");
    }
}
