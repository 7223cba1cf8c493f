//! The account that is examined: its Region, its credentials and its endpoints.

use std::time::Duration;

use anyhow::{Result, bail};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_types::service_config::ServiceConfigKey;

/// The way to the services of an account.
pub(super) struct Connection {
    pub(super) config: SdkConfig,
    pub(super) client: Client,
    pub(super) region: String,
    /// The endpoint of Secrets Manager, or AWS's own.
    pub(super) endpoint: String,
}

impl Connection {
    /// Reads the environment and the profile, as the AWS CLI does.
    pub(super) async fn from_environment(region: Option<&str>) -> Result<Self> {
        let mut loader =
            aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts());
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let config = loader.load().await;
        let Some(region) = config.region().map(|region| region.as_ref().to_owned()) else {
            bail!(
                "the Region is not known: use --region REGION, set AWS_REGION, or choose a \
                 profile with a region (AWS_PROFILE)"
            );
        };
        let endpoint = configured_endpoint(&config, "Secrets Manager").unwrap_or_else(|| {
            format!("https://{}", host("secretsmanager", &region, uses_fips(&config)))
        });
        Ok(Self { client: Client::new(&config), config, region, endpoint })
    }

    /// Returns the endpoint of Lambda. The result is `None` if Secrets Manager is a local service
    /// and no endpoint of Lambda is configured: AWS does not know the functions of that service.
    pub(super) fn lambda_endpoint(&self) -> Option<String> {
        configured_endpoint(&self.config, "Lambda").or_else(|| {
            let host = host("lambda", &self.region, uses_fips(&self.config));
            (!self.is_local()).then(|| format!("https://{host}"))
        })
    }

    /// Returns `true` if Secrets Manager is a local service. The endpoints of AWS always use TLS.
    pub(super) fn is_local(&self) -> bool {
        self.endpoint.starts_with("http://")
    }
}

/// The timeouts of a call. An unreachable endpoint is reported within some seconds.
pub(super) fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(3))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30))
        .build()
}

fn uses_fips(config: &SdkConfig) -> bool {
    config.use_fips() == Some(true)
}

/// Returns the endpoint in `AWS_ENDPOINT_URL_SERVICE`, `AWS_ENDPOINT_URL` or the profile, in the
/// order of the SDKs.
fn configured_endpoint(config: &SdkConfig, service: &str) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let own = config.service_config().and_then(|own| own.load_config(key));
    own.or_else(|| config.endpoint_url().map(str::to_owned))
}

/// Returns the host name of a service. Its domain depends on the partition of the Region.
fn host(service: &str, region: &str, fips: bool) -> String {
    let domain = match region.rsplit_once('-').map_or("", |(place, _)| place) {
        place if place.starts_with("cn-") => "amazonaws.com.cn",
        place if place.starts_with("us-iso-") => "c2s.ic.gov",
        place if place.starts_with("us-isob-") => "sc2s.sgov.gov",
        place if place.starts_with("eu-isoe-") => "cloud.adc-e.uk",
        place if place.starts_with("us-isof-") => "csp.hci.ic.gov",
        place if place.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    format!("{service}{}.{region}.{domain}", if fips { "-fips" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_depends_on_the_partition() {
        for (region, expected) in [
            ("eu-west-1", "lambda.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", "lambda.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "lambda.cn-north-1.amazonaws.com.cn"),
            ("us-iso-east-1", "lambda.us-iso-east-1.c2s.ic.gov"),
            ("eusc-de-east-1", "lambda.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(host("lambda", region, false), expected);
        }
        assert_eq!(host("lambda", "us-east-1", true), "lambda-fips.us-east-1.amazonaws.com");
    }
}
