//! The parts of the four steps that are the same for every credential.

use std::pin::Pin;
use std::time::{Duration, SystemTime};

use crate::context::Context;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::event::Event;
use crate::manager::Manager;
use crate::preflight;
use crate::record::{Done, Record};
use crate::rotator::{Rotator, Versions};
use crate::staging::{CURRENT, Replicas, Staging};
use crate::step::Step;

/// Performs one step before the deadline.
///
/// # Errors
/// Returns the reason why the step failed. Secrets Manager then retries the rotation.
pub async fn perform<R: Rotator>(
    rotator: &R,
    manager: &Manager,
    event: &Event,
    deadline: SystemTime,
) -> Result<Record> {
    let deadline = Deadline::at(deadline);
    deadline.set_activity("reading the secret from Secrets Manager");
    let cx = Context { event, manager, deadline: &deadline };
    // The future is boxed, because the nested futures of a step, a strategy and a driver are too
    // deep for the compiler.
    let step: Pin<Box<dyn Future<Output = Result<Done>> + Send>> = Box::pin(async {
        match event.step {
            Step::Create => create(rotator, &cx).await,
            Step::Set => set(rotator, &cx).await,
            Step::Test => test(rotator, &cx).await,
            Step::Finish => finish(rotator, &cx).await,
            Step::Preflight => preflight::run(rotator, &cx).await,
        }
    });
    let _end = End(rotator);
    rotator.begin(event.step, &event.secret_id);
    let done = deadline.keep(step).await?;
    Ok(Record::of(event, done))
}

/// A guard that calls [`Rotator::end`] when a step ends, also after a panic.
struct End<'a, R: Rotator>(&'a R);

impl<R: Rotator> Drop for End<'_, R> {
    fn drop(&mut self) {
        self.0.end();
    }
}

// Each step sends requests that do not depend on each other at the same time. It evaluates the
// staging labels first: if they do not allow the step, it ignores the results of the other
// requests.

async fn create<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let random = async {
        match rotator.password() {
            Some(settings) => manager.random_password(settings).await.map(Some),
            None => Ok(None),
        }
    };
    let (description, current, pending, random) = tokio::join!(
        manager.describe(&event.secret_id),
        manager.value(&event.secret_id, CURRENT),
        manager.pending_value(event),
        random,
    );
    if let Staging::AlreadyCurrent = description?.staging_of(&event.version)? {
        return Ok(already_current());
    }
    let current = current?.ok_or(Error::NoCurrentVersion)?;
    rotator.validate(&current)?;
    if pending?.is_some() {
        return Ok(Done::before("The pending version already has a value, which stays."));
    }
    let value = rotator.create(cx, &current, random?).await?;
    cx.set_activity("storing the new value as AWSPENDING");
    if manager.put_pending(event, &value).await? {
        return Ok(Done::now("Created a new value and stored it as AWSPENDING."));
    }
    match manager.pending_value(event).await? {
        Some(_) => {
            Ok(Done::before("Another attempt stored the pending value first; that value stays."))
        }
        None => Err(Error::NoPendingValue { version: event.version.to_string() }),
    }
}

async fn set<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let (description, current, pending) = tokio::join!(
        manager.describe(&event.secret_id),
        manager.value(&event.secret_id, CURRENT),
        manager.pending_value(event),
    );
    if let Staging::AlreadyCurrent = description?.staging_of(&event.version)? {
        return Ok(already_current());
    }
    let current = current?.ok_or(Error::NoCurrentVersion)?;
    let pending =
        pending?.ok_or_else(|| Error::NoPendingValue { version: event.version.to_string() })?;
    Box::pin(rotator.set(cx, &Versions { current, pending })).await
}

async fn test<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let (description, pending) =
        tokio::join!(manager.describe(&event.secret_id), manager.pending_value(event));
    if let Staging::AlreadyCurrent = description?.staging_of(&event.version)? {
        return Ok(already_current());
    }
    let pending =
        pending?.ok_or_else(|| Error::NoPendingValue { version: event.version.to_string() })?;
    Box::pin(rotator.test(cx, &pending)).await
}

async fn finish<R: Rotator>(rotator: &R, cx: &Context<'_>) -> Result<Done> {
    let (manager, event) = (cx.manager, cx.event);
    let (description, current, pending) = tokio::join!(
        manager.describe(&event.secret_id),
        manager.value(&event.secret_id, CURRENT),
        manager.pending_value(event),
    );
    let description = description?;
    let done = match description.staging_of(&event.version)? {
        Staging::AlreadyCurrent => already_current(),
        Staging::Pending { current: old } => {
            let pending = pending?
                .ok_or_else(|| Error::NoPendingValue { version: event.version.to_string() })?;
            // The current value is needed only for the comparison.
            let current = current.unwrap_or_else(|error| {
                cx.warn(format!("could not compare AWSCURRENT with the new version: {error}"));
                None
            });
            let mut notes = Box::pin(rotator.confirm(cx, &pending, current.as_ref())).await?;
            notes.extend(wait_for_replicas(cx, description.replicas).await);
            cx.set_activity("moving AWSCURRENT to the new version");
            manager.promote(event, old.as_ref().map(|id| id.as_str())).await?;
            let mut done = Done::now(match old {
                Some(old) => format!("Moved AWSCURRENT from version {old} to this one."),
                None => "Labelled this version AWSCURRENT.".to_owned(),
            });
            done.notes = notes;
            done
        }
    };
    rotator.finished(cx).await?;
    Ok(done)
}

/// The pauses between the checks of the replicas.
const REPLICA_BACKOFF: [Duration; 5] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(2),
    Duration::from_secs(2),
];

/// Waits until the replicas in other Regions are in sync, so that they have the new value before
/// its label moves. Returns a note about replicas that are not in sync.
///
/// The wait is limited: the database already has the new password, and the primary Region must not
/// wait for problems of another Region.
async fn wait_for_replicas(cx: &Context<'_>, mut replicas: Replicas) -> Option<String> {
    for pause in REPLICA_BACKOFF {
        if replicas.behind.is_empty() || cx.remaining() < pause * 3 {
            break;
        }
        cx.set_activity(format!("waiting for the replicas in {}", replicas.behind.join(", ")));
        tokio::time::sleep(pause).await;
        // If this call fails, the last known status stays.
        if let Ok(description) = cx.manager.describe(cx.secret_id()).await {
            replicas = description.replicas;
        }
    }
    let Replicas { behind, failed } = replicas;
    match (behind.is_empty(), failed.is_empty()) {
        (true, true) => None,
        (false, _) => Some(format!(
            "The replicas in {} are not in sync yet.",
            [behind, failed].concat().join(", ")
        )),
        (true, false) => Some(format!("The replicas in {} are not in sync.", failed.join(", "))),
    }
}

fn already_current() -> Done {
    Done::before("This version is already AWSCURRENT; the rotation is complete.")
}

#[cfg(test)]
mod tests {
    use aws_sdk_secretsmanager::Client;
    use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
    use aws_sdk_secretsmanager::operation::get_secret_value::{
        GetSecretValueError, GetSecretValueOutput,
    };
    use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueError;
    use aws_sdk_secretsmanager::operation::put_secret_value::PutSecretValueOutput;
    use aws_sdk_secretsmanager::operation::update_secret_version_stage::UpdateSecretVersionStageOutput;
    use aws_sdk_secretsmanager::types::error::{
        ResourceExistsException, ResourceNotFoundException,
    };
    use aws_sdk_secretsmanager::types::{ReplicationStatusType, StatusType};
    use aws_smithy_mocks::{Rule, RuleMode, mock, mock_client};
    use serde_json::json;

    use super::*;
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

    fn described(new: &[&str]) -> Rule {
        let new: Vec<String> = new.iter().map(ToString::to_string).collect();
        mock!(Client::describe_secret).then_output(move || {
            DescribeSecretOutput::builder()
                .rotation_enabled(true)
                .version_ids_to_stages("old", vec!["AWSCURRENT".into()])
                .version_ids_to_stages("new", new.clone())
                .build()
        })
    }

    fn value(label: &'static str, value: Option<&'static str>) -> Rule {
        let rule = mock!(Client::get_secret_value)
            .match_requests(move |request| request.version_stage() == Some(label));
        match value {
            Some(value) => rule
                .then_output(move || GetSecretValueOutput::builder().secret_string(value).build()),
            None => rule.then_error(|| {
                GetSecretValueError::ResourceNotFoundException(
                    ResourceNotFoundException::builder()
                        .meta(
                            aws_sdk_secretsmanager::error::ErrorMetadata::builder()
                                .code("ResourceNotFoundException")
                                .build(),
                        )
                        .build(),
                )
            }),
        }
    }

    async fn perform_step(step: &str, rules: &[&Rule]) -> Result<Record> {
        let client = mock_client!(aws_sdk_secretsmanager, RuleMode::MatchAny, rules);
        let event =
            Event::parse(&json!({"Step": step, "SecretId": "s", "ClientRequestToken": "new"}))
                .unwrap();
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
        let rules = [
            &described(&["AWSPENDING"]),
            &value("AWSCURRENT", Some("7")),
            &value("AWSPENDING", None),
        ];
        assert_eq!(
            perform_step("setSecret", &rules).await.unwrap_err().error_type(),
            "NoPendingValue"
        );
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
        let record =
            perform_step("finishSecret", &[&described(&["AWSCURRENT"]), &current, &nothing])
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
            [
                &first,
                &value("AWSCURRENT", Some("7")),
                &value("AWSPENDING", Some("8")),
                &then,
                &moved
            ]
        );
        let event = json!({"Step": "finishSecret", "SecretId": "s", "ClientRequestToken": "new"});
        let (event, manager) = (Event::parse(&event).unwrap(), Manager::new(client, "mock"));
        let deadline = SystemTime::now() + Duration::from_secs(20);
        (perform(&Counter, &manager, &event, deadline).await.unwrap(), then.num_calls())
    }

    #[tokio::test]
    async fn finish_waits_only_for_replicas_in_progress() {
        let (record, looks) = finish_with_replica(StatusType::InProgress, StatusType::InSync).await;
        assert_eq!((record.notes.len(), looks), (0, 1));
        let (record, looks) = finish_with_replica(StatusType::InProgress, StatusType::Failed).await;
        assert!(record.notes[0].contains("eu-west-2 (no key there)"), "{:?}", record.notes);
        assert_eq!(looks, 1);
    }
}
