//! The role that the function assumes for its calls to AWS, for secrets of another account.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_secretsmanager::config::SharedCredentialsProvider;

use crate::error::{Error, Result};
use crate::settings::Source;

/// The setting that names the role.
const NAME: &str = "ASSUME_ROLE_ARN";

/// Returns the configuration with the credentials of the role in `ASSUME_ROLE_ARN`, or unchanged
/// without that setting.
///
/// # Errors
/// Returns [`Error::Setting`] if the setting is not the ARN of a role.
pub(crate) async fn apply(config: SdkConfig, source: Source<'_>) -> Result<SdkConfig> {
    let Some(role) = source(NAME) else { return Ok(config) };
    if !is_role_arn(&role) {
        let fault = format!("{role:?} is not an ARN such as arn:aws:iam::111122223333:role/NAME");
        return Err(Error::Setting { name: NAME, fault });
    }
    // The call that needs the credentials fails after 5 s. Its error would name the endpoint of
    // Secrets Manager, although STS does not answer.
    let timeouts = config
        .timeout_config()
        .map_or_else(TimeoutConfig::builder, |timeouts| timeouts.to_builder());
    let timeouts = timeouts.operation_timeout(Duration::from_secs(3)).build();
    let provider = AssumeRoleProvider::builder(role)
        .session_name("secret-rotation")
        .configure(&config.to_builder().timeout_config(timeouts).build())
        .build()
        .await;
    let provider = SharedCredentialsProvider::new(provider);
    Ok(config.into_builder().credentials_provider(provider).build())
}

fn is_role_arn(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let [arn, partition, service, region, account, resource] =
        std::array::from_fn(|_| parts.next().unwrap_or_default());
    (arn, service, region) == ("arn", "iam", "")
        && !partition.is_empty()
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arn_of_a_role_is_accepted() {
        for role in ["arn:aws:iam::111122223333:role/a", "arn:aws-cn:iam::111122223333:role/p/a"] {
            assert!(is_role_arn(role), "{role}");
        }
        for other in [
            "",
            "role/a",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:user/a",
            "arn:aws:iam::1111:role/a",
            "arn:aws:iam:eu-west-1:111122223333:role/a",
            "arn:aws:sts::111122223333:assumed-role/a/b",
        ] {
            assert!(!is_role_arn(other), "{other}");
        }
    }
}
