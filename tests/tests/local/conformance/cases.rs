//! The conformance cases: each checks one statement of AWS's documentation.

use std::future::Future;
use std::pin::Pin;

use anyhow::{Context, Result, bail, ensure};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::primitives::Blob;
use aws_sdk_secretsmanager::types::{
    Filter, FilterNameStringType, RotationRulesType, SortByType, SortOrderType, Tag,
};

type Run = fn(Client) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// The name of a case and its code.
pub(crate) type Case = (&'static str, Run);

/// Returns the cases of all modules.
pub(crate) fn all() -> impl Iterator<Item = &'static Case> {
    let modules = [versions::CASES, values::CASES, lists::CASES, rotation::CASES, clients::CASES];
    modules.into_iter().flatten()
}

macro_rules! cases {
    ($($(#[$doc:meta])* async fn $name:ident($client:ident) $body:block)*) => {
        $($(#[$doc])* async fn $name($client: Client) -> Result<()> $body)*

        /// The cases of this module, with their names.
        pub(super) const CASES: &[Case] =
            &[$((stringify!($name), |client| Box::pin($name(client)))),*];
    };
}

const FUNCTION: &str = "arn:aws:lambda:eu-west-3:123456789012:function:some-rotation";

fn unique(what: &str) -> String {
    format!("conformance/{what}-{}", rotation_tests::fixture::unique())
}

fn token() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Returns the code of an error. Fails if the call succeeds.
fn refused<T, E: ProvideErrorMetadata, R>(
    done: std::result::Result<T, SdkError<E, R>>,
) -> Result<String> {
    match done {
        Ok(_) => bail!("the call succeeded"),
        Err(error) => Ok(error.code().context("the error has no code")?.to_owned()),
    }
}

/// Checks that a call fails with the given error code.
macro_rules! refused_as {
    ($done:expr, $name:literal) => {{
        let name = refused($done)?;
        ensure!(name == $name, "{name} instead of {}", $name);
    }};
}

mod clients;
mod lists;
mod rotation;
mod values;
mod versions;

/// Creates a secret with a value, and returns the version.
async fn made(client: &Client, name: &str, value: &str) -> Result<String> {
    let made = client.create_secret().name(name).secret_string(value).send().await?;
    made.version_id.context("the service returned no version id")
}

async fn gone(client: &Client, name: &str) -> Result<()> {
    client.delete_secret().secret_id(name).force_delete_without_recovery(true).send().await?;
    Ok(())
}

async fn value(client: &Client, name: &str, stage: &str) -> Result<String> {
    let got = client.get_secret_value().secret_id(name).version_stage(stage).send().await?;
    got.secret_string.context("the secret has no string")
}

/// Returns the staging labels of a version, sorted.
async fn labels(client: &Client, name: &str, version: &str) -> Result<Vec<String>> {
    let described = client.describe_secret().secret_id(name).send().await?;
    let mut labels =
        described.version_ids_to_stages.unwrap_or_default().remove(version).unwrap_or_default();
    labels.sort();
    Ok(labels)
}

async fn put(client: &Client, name: &str, value: &str, stages: &[&str]) -> Result<String> {
    let mut put = client.put_secret_value().secret_id(name).secret_string(value);
    for stage in stages {
        put = put.version_stages(*stage);
    }
    put.send().await?.version_id.context("the service returned no version id")
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}
