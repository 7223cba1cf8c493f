//! Reads the secrets with rotation from Secrets Manager.
//!
//! The calls are `ListSecrets`, `DescribeSecret` and `ListSecretVersionIds`. None of them returns a
//! value.

mod cross_account;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::http::HttpResponse;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::primitives::DateTime as AwsDateTime;
use aws_sdk_secretsmanager::types::{ReplicationStatusType, SecretListEntry};
use chrono::{DateTime, TimeDelta, Utc};
use secretsmanager_emulator::{CURRENT, PENDING};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::arn::FunctionArn;
use super::causes::{causes, causes_of};
use super::connection::Connection;
use super::model::{Known, NotKnown, Replica, ReplicaSettings, Rotator, Secret, Version};
use cross_account::CrossAccountReplicas;

const LIST_SECRETS: &str = "secretsmanager:ListSecrets";
const DESCRIBE_SECRET: &str = "secretsmanager:DescribeSecret";
const LIST_VERSIONS: &str = "secretsmanager:ListSecretVersionIds";

/// The number of secrets that are read at the same time. AWS allows 50 calls of
/// `ListSecretVersionIds` per second.
const CONCURRENCY: usize = 8;

/// The secrets of a Region.
#[derive(Debug)]
pub(super) struct Inventory {
    /// The secrets with rotation, by name.
    pub(super) secrets: Vec<Secret>,
    /// The number of secrets without rotation.
    pub(super) without_rotation: usize,
    /// The number of replicas of another Region. Their rotation is that of the primary.
    pub(super) replicas: usize,
}

impl Inventory {
    /// Reads all secrets of the Region.
    pub(super) async fn read(connection: &Connection) -> Result<Self> {
        let client = &connection.client;
        let (mut rotated, mut without_rotation, mut replicas) = (Vec::new(), 0, 0);
        let mut pages = client.list_secrets().max_results(100).into_paginator().send();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| fatal(&error, connection))?;
            for entry in page.secret_list.unwrap_or_default() {
                let primary = entry.primary_region.as_deref();
                if primary.is_some_and(|primary| primary != connection.region) {
                    replicas += 1;
                } else if has_rotation(&entry) {
                    rotated.push(entry);
                } else {
                    without_rotation += 1;
                }
            }
        }
        let limit = Arc::new(Semaphore::new(CONCURRENCY));
        let mut reading = JoinSet::new();
        for entry in rotated {
            let (client, limit) = (client.clone(), Arc::clone(&limit));
            reading.spawn(async move {
                let _permit = limit.acquire().await;
                complete(&client, entry).await
            });
        }
        let mut secrets = reading.join_all().await;
        secrets.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { secrets, without_rotation, replicas })
    }
}

/// Returns the ARN of the secret's function, if it has one.
fn function_of(entry: &SecretListEntry) -> Option<&str> {
    entry.rotation_lambda_arn.as_deref().filter(|arn| !arn.is_empty())
}

/// Returns `true` for a secret that rotates, that has rotated, or whose rotation is unfinished.
fn has_rotation(entry: &SecretListEntry) -> bool {
    let labels = labels(entry);
    let is_pending = |labels: &Vec<String>| labels.iter().any(|label| label == PENDING);
    let is_current = |labels: &Vec<String>| labels.iter().any(|label| label == CURRENT);
    entry.rotation_enabled == Some(true)
        || function_of(entry).is_some()
        || labels.values().any(|labels| is_pending(labels) && !is_current(labels))
}

fn labels(entry: &SecretListEntry) -> BTreeMap<String, Vec<String>> {
    entry.secret_versions_to_stages.clone().unwrap_or_default().into_iter().collect()
}

/// Adds the versions and the replicas, which `ListSecrets` does not return.
async fn complete(client: &Client, entry: SecretListEntry) -> Secret {
    let arn = entry.arn.clone().unwrap_or_default();
    let versions = versions(client, &arn).await;
    let replicas = replicas(client, &arn).await;
    let rules = entry.rotation_rules.as_ref();
    let days = rules.and_then(|rules| rules.automatically_after_days);
    let expression = rules.and_then(|rules| rules.schedule_expression.clone());
    let rotator = match (function_of(&entry), &entry.owning_service, &entry.r#type) {
        (Some(function), _, _) => Rotator::Function(FunctionArn::new(function)),
        (None, Some(service), _) => Rotator::Service(service.clone()),
        (None, None, Some(kind)) => Rotator::External(kind.clone()),
        (None, None, None) => Rotator::Unknown,
    };
    Secret {
        labels: labels(&entry),
        name: entry.name.unwrap_or_else(|| arn.clone()),
        arn,
        rotator,
        is_enabled: entry.rotation_enabled == Some(true),
        schedule: expression.or_else(|| Some(format!("every {} days", days?))),
        interval: days.and_then(TimeDelta::try_days),
        created: time(entry.created_date),
        changed: time(entry.last_changed_date),
        last_rotated: time(entry.last_rotated_date),
        next_rotation: time(entry.next_rotation_date),
        versions,
        replicas,
    }
}

async fn versions(client: &Client, arn: &str) -> Known<Vec<Version>> {
    let list = client.list_secret_version_ids().secret_id(arn).include_deprecated(true);
    let mut pages = list.max_results(100).into_paginator().send();
    let mut versions = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| not_known(&error, LIST_VERSIONS))?;
        versions.extend(page.versions.unwrap_or_default().into_iter().filter_map(|version| {
            Some(Version { id: version.version_id?, created: time(version.created_date) })
        }));
    }
    Ok(versions)
}

async fn replicas(client: &Client, arn: &str) -> Known<Vec<Replica>> {
    let cross_account = CrossAccountReplicas::default();
    let describe = client.describe_secret().secret_id(arn).customize();
    let described = describe.interceptor(cross_account.clone()).send().await;
    let described = described.map_err(|error| not_known(&error, DESCRIBE_SECRET))?;
    let mut replicas: Vec<_> = described.replication_status().iter().map(replica).collect();
    replicas.extend(cross_account.take());
    Ok(replicas)
}

fn replica(status: &ReplicationStatusType) -> Replica {
    let state = status.status.as_ref().map_or("unknown", |status| status.as_str());
    Replica {
        place: status.region.clone().unwrap_or_default(),
        status: state.to_owned(),
        message: status.status_message.clone(),
        settings: ReplicaSettings::Region { key: status.kms_key_id.clone() },
    }
}

fn time(time: Option<AwsDateTime>) -> Option<DateTime<Utc>> {
    time.and_then(|time| DateTime::from_timestamp(time.secs(), time.subsec_nanos()))
}

/// An error that has a code and a message, if the service returned them.
trait ServiceError: ProvideErrorMetadata + std::error::Error + 'static {}

impl<E: ProvideErrorMetadata + std::error::Error + 'static> ServiceError for E {}

/// Returns `true` if IAM, or the policy of the secret, denies a call.
fn is_denied<E: ServiceError>(error: &SdkError<E, HttpResponse>) -> bool {
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    code == Some("AccessDeniedException")
}

fn not_known<E: ServiceError>(error: &SdkError<E, HttpResponse>, action: &'static str) -> NotKnown {
    NotKnown { action, cause: message(error), is_denied: is_denied(error) }
}

/// Returns the message of the service, or of the SDK if the service did not answer.
fn message<E: ServiceError>(error: &SdkError<E, HttpResponse>) -> String {
    let refused = error.as_service_error();
    match refused.map(|refused| (refused.code(), refused.message())) {
        Some((Some(code), Some(message))) => format!("{code}: {message}"),
        Some((Some(code), None)) => code.to_owned(),
        // The response is not one of Secrets Manager's.
        Some((None, _)) => match error.raw_response() {
            Some(response) => format!("status {}: {}", response.status(), causes_of(error)),
            None => causes_of(error),
        },
        None => causes_of(error),
    }
}

/// Returns the error of a list that could not be read, with the remedy.
fn fatal<E: ServiceError>(
    error: &SdkError<E, HttpResponse>,
    connection: &Connection,
) -> anyhow::Error {
    let endpoint = &connection.endpoint;
    let cause = message(error);
    let remedy = if is_denied(error) {
        format!("Allow {LIST_SECRETS} on \"*\"; docs/doctor.md has the whole policy")
    } else if causes(error).any(|cause| cause.is::<CredentialsError>()) {
        "Set AWS_PROFILE, or the variables of: aws configure export-credentials --format env \
         (which also works for single sign-on)"
            .to_owned()
    } else if error.as_service_error().is_some() {
        "Check the credentials (aws sts get-caller-identity), the Region and the endpoint"
            .to_owned()
    } else {
        "Check the network, the Region and AWS_ENDPOINT_URL_SECRETS_MANAGER".to_owned()
    };
    anyhow!("could not list the secrets at {endpoint}: {cause}\nWhat to do: {remedy}.")
}
