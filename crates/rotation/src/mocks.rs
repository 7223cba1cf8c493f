//! Answers of a mock of Secrets Manager that several tests use.

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::ErrorMetadata;
use aws_sdk_secretsmanager::operation::describe_secret::DescribeSecretOutput;
use aws_sdk_secretsmanager::operation::get_secret_value::{
    GetSecretValueError, GetSecretValueOutput,
};
use aws_sdk_secretsmanager::types::error::ResourceNotFoundException;
use aws_smithy_mocks::{Rule, mock};

/// Describes a secret in rotation. The version `old` has `AWSCURRENT`, and the version `new` has
/// these staging labels.
pub(crate) fn described(new: &[&str]) -> Rule {
    let new: Vec<String> = new.iter().map(ToString::to_string).collect();
    mock!(Client::describe_secret).then_output(move || {
        DescribeSecretOutput::builder()
            .rotation_enabled(true)
            .version_ids_to_stages("old", vec!["AWSCURRENT".into()])
            .version_ids_to_stages("new", new.clone())
            .build()
    })
}

/// Returns the value of the version with a staging label, or an error if it has none.
pub(crate) fn value(label: &'static str, value: Option<&str>) -> Rule {
    let rule = mock!(Client::get_secret_value)
        .match_requests(move |request| request.version_stage() == Some(label));
    match value.map(str::to_owned) {
        Some(value) => {
            rule.then_output(move || GetSecretValueOutput::builder().secret_string(&value).build())
        }
        None => rule.then_error(|| {
            let meta = ErrorMetadata::builder().code("ResourceNotFoundException").build();
            GetSecretValueError::ResourceNotFoundException(
                ResourceNotFoundException::builder().meta(meta).build(),
            )
        }),
    }
}
