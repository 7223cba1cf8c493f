use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueOutput;
use aws_sdk_secretsmanager::operation::update_secret_version_stage::UpdateSecretVersionStageOutput;
use aws_sdk_secretsmanager::types::error::ResourceExistsException;
use aws_sdk_secretsmanager::types::{ReplicationStatusType, StatusType};
use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
use serde_json::json;

use super::*;
use crate::mocks::{described, value};
use crate::rotator::Labels;
use crate::secret::{Password, SecretValue};

/// A credential that is a number. Each rotation adds 1.
struct Counter;

impl Rotator for Counter {
    fn labels(&self) -> Labels {
        Labels { engine: "counter".into(), strategy: "next".into() }
    }
    async fn create(
        &self,
        _: &Context<'_>,
        current: &SecretValue,
        _: Option<Password>,
    ) -> Result<SecretValue> {
        let number: u32 = current.expose().parse().unwrap();
        Ok(SecretValue::new((number + 1).to_string()))
    }
    async fn set(&self, _: &Context<'_>, versions: &Versions) -> Result<Done> {
        Ok(Done::now(format!("{} to {}", versions.current.expose(), versions.pending.expose())))
    }
    async fn test(&self, _: &Context<'_>, pending: &SecretValue) -> Result<Done> {
        Ok(Done::now(pending.expose()))
    }
}

async fn perform_step(step: &str, rules: &[&Rule]) -> Result<Record> {
    let client = mock_client!(aws_sdk_secretsmanager, RuleMode::MatchAny, rules);
    let event =
        Event::parse(&json!({"Step": step, "SecretId": "s", "ClientRequestToken": "new"})).unwrap();
    let manager = Manager::new(client, "mock");
    perform(&Counter, &manager, &event, SystemTime::now() + Duration::from_secs(10)).await
}

#[tokio::test]
async fn create_stores_the_value_with_awspending() {
    let put = mock!(Client::put_secret_value)
        .match_requests(|request| {
            request.secret_string() == Some("8")
                && request.version_stages() == ["AWSPENDING"]
                && request.client_request_token() == Some("new")
        })
        .then_output(|| PutSecretValueOutput::builder().build());
    let rules = [
        &described(&["AWSPENDING"]),
        &value("AWSCURRENT", Some("7")),
        &value("AWSPENDING", None),
        &put,
    ];
    let record = perform_step("createSecret", &rules).await.unwrap();
    assert_eq!((put.num_calls(), record.outcome), (1, crate::Outcome::Done));
}

#[tokio::test]
async fn create_without_current_version_fails() {
    let rules =
        [&described(&["AWSPENDING"]), &value("AWSCURRENT", None), &value("AWSPENDING", None)];
    let error = perform_step("createSecret", &rules).await.unwrap_err();
    assert_eq!(error.error_type(), "NoCurrentVersion", "{error}");
}

#[tokio::test]
async fn create_keeps_an_existing_pending_value() {
    let rules = [
        &described(&["AWSPENDING"]),
        &value("AWSCURRENT", Some("7")),
        &value("AWSPENDING", Some("9")),
    ];
    let record = perform_step("createSecret", &rules).await.unwrap();
    assert_eq!(record.outcome, crate::Outcome::AlreadyDone);
}

#[tokio::test]
async fn create_fails_after_a_lost_race_without_value() {
    let lost = mock!(Client::put_secret_value).then_error(|| {
        PutSecretValueError::ResourceExistsException(
            ResourceExistsException::builder()
                .meta(
                    aws_sdk_secretsmanager::error::ErrorMetadata::builder()
                        .code("ResourceExistsException")
                        .build(),
                )
                .build(),
        )
    });
    let rules = [
        &described(&["AWSPENDING"]),
        &value("AWSCURRENT", Some("7")),
        &value("AWSPENDING", None),
        &lost,
    ];
    assert_eq!(
        perform_step("createSecret", &rules).await.unwrap_err().error_type(),
        "NoPendingValue"
    );
}

#[tokio::test]
async fn set_without_pending_value_fails() {
    let rules =
        [&described(&["AWSPENDING"]), &value("AWSCURRENT", Some("7")), &value("AWSPENDING", None)];
    assert_eq!(perform_step("setSecret", &rules).await.unwrap_err().error_type(), "NoPendingValue");
}

#[tokio::test]
async fn finish_moves_awscurrent_from_the_current_version() {
    let moved = mock!(Client::update_secret_version_stage)
        .match_requests(|request| {
            request.version_stage() == Some("AWSCURRENT")
                && request.move_to_version_id() == Some("new")
                && request.remove_from_version_id() == Some("old")
        })
        .then_output(|| UpdateSecretVersionStageOutput::builder().build());
    let (current, pending) = (value("AWSCURRENT", Some("7")), value("AWSPENDING", Some("8")));
    perform_step("finishSecret", &[&described(&["AWSPENDING"]), &current, &pending, &moved])
        .await
        .unwrap();
    assert_eq!(moved.num_calls(), 1);
    let nothing = value("AWSPENDING", None);
    let rules = [&described(&["AWSPENDING"]), &current, &nothing, &moved];
    let refused = perform_step("finishSecret", &rules).await;
    assert_eq!((refused.unwrap_err().error_type(), moved.num_calls()), ("NoPendingValue", 1));
    let record = perform_step("finishSecret", &[&described(&["AWSCURRENT"]), &current, &nothing])
        .await
        .unwrap();
    assert_eq!(record.outcome, crate::Outcome::AlreadyDone);
}

/// Runs `finishSecret` for a secret whose replica has the status `first`, then `then`. Returns
/// the record and the number of further `DescribeSecret` calls.
async fn finish_with_replica(first: StatusType, then: StatusType) -> (Record, usize) {
    let described = |status: StatusType| {
        mock!(Client::describe_secret).then_output(move || {
            let replica =
                ReplicationStatusType::builder().region("eu-west-2").status(status.clone());
            DescribeSecretOutput::builder()
                .rotation_enabled(true)
                .version_ids_to_stages("old", vec!["AWSCURRENT".into()])
                .version_ids_to_stages("new", vec!["AWSPENDING".into()])
                .replication_status(replica.status_message("no key there").build())
                .build()
        })
    };
    let moved = mock!(Client::update_secret_version_stage)
        .then_output(|| UpdateSecretVersionStageOutput::builder().build());
    let (first, then) = (described(first), described(then));
    let client = mock_client!(
        aws_sdk_secretsmanager,
        RuleMode::Sequential,
        [&first, &value("AWSCURRENT", Some("7")), &value("AWSPENDING", Some("8")), &then, &moved]
    );
    let event = json!({"Step": "finishSecret", "SecretId": "s", "ClientRequestToken": "new"});
    let (event, manager) = (Event::parse(&event).unwrap(), Manager::new(client, "mock"));
    let deadline = SystemTime::now() + Duration::from_secs(20);
    (perform(&Counter, &manager, &event, deadline).await.unwrap(), then.num_calls())
}

#[tokio::test]
async fn finish_waits_only_for_replicas_in_progress() {
    let (record, describe_calls) =
        finish_with_replica(StatusType::InProgress, StatusType::InSync).await;
    assert_eq!((record.notes.len(), describe_calls), (0, 1));
    let (record, describe_calls) =
        finish_with_replica(StatusType::InProgress, StatusType::Failed).await;
    assert!(record.notes[0].contains("eu-west-2 (no key there)"), "{:?}", record.notes);
    assert_eq!(describe_calls, 1);
}
