//! The client of Secrets Manager.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_secretsmanager::operation::get_secret_value::builders::GetSecretValueFluentBuilder;

use crate::assumed_role;
use crate::aws_error::refused;
use crate::error::{Error, Result};
use crate::event::{Event, VersionId};
use crate::password::PasswordSettings;
use crate::redact;
use crate::replicas::{ReadAccountReplicas, Replicas};
use crate::secret::{Password, SecretValue};
use crate::settings::Source;
use crate::staging::{CURRENT, Description, PENDING};
use crate::trust;

/// The maximum number of pages of a version list, at 100 versions a page.
const MAX_PAGES: usize = 10;

/// The client of Secrets Manager for one function.
#[derive(Debug, Clone)]
pub struct Manager {
    client: Client,
    endpoint: String,
    config: Option<SdkConfig>,
}

impl Manager {
    /// Creates a client from the environment: from Lambda's own variables, and from
    /// `SECRETS_MANAGER_ENDPOINT` if it is set.
    ///
    /// # Errors
    /// Returns [`Error::Setting`] for an invalid endpoint or if no Region is known.
    pub async fn from_environment(source: Source<'_>) -> Result<Self> {
        // Short enough to report an unreachable service within 6 s, and long enough for the first
        // use of a KMS key.
        let connect_timeout = Duration::from_millis(1500);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(connect_timeout)
            .operation_attempt_timeout(Duration::from_secs(4))
            .operation_timeout(Duration::from_secs(5))
            .build();
        let mut loader =
            aws_config::defaults(BehaviorVersion::v2026_01_12()).timeout_config(timeouts);
        // Lambda sets both. The SDK's default credential chain would create more HTTP clients and
        // load their certificates, which takes half of a cold start.
        if source("AWS_ACCESS_KEY_ID").is_some() && source("AWS_SECRET_ACCESS_KEY").is_some() {
            loader = loader.credentials_provider(EnvironmentVariableCredentialsProvider::new());
        }
        if let Some(region) = source("AWS_REGION") {
            loader = loader.region(Region::new(region));
        }
        if let Some(client) = trust::http_client(source, connect_timeout) {
            loader = loader.http_client(client);
        }
        let config = loader.load().await;
        if config.region().is_none() {
            return Err(Error::Setting { name: "AWS_REGION", fault: "no region is set".into() });
        }
        let config = assumed_role::apply(config, source).await?;
        let own = source("SECRETS_MANAGER_ENDPOINT");
        if let Some(endpoint) = own.as_ref().filter(|endpoint| !is_endpoint(endpoint)) {
            let fault = format!(
                "{endpoint:?} is not a URL such as https://secretsmanager.eu-west-1.amazonaws.com"
            );
            return Err(Error::Setting { name: "SECRETS_MANAGER_ENDPOINT", fault });
        }
        let mut builder = aws_sdk_secretsmanager::config::Builder::from(&config);
        if let Some(endpoint) = &own {
            builder = builder.endpoint_url(endpoint);
        }
        let endpoint = own.or_else(|| configured_endpoint(&config, source)).unwrap_or_else(|| {
            let region = config.region().map_or("REGION", |region| region.as_ref());
            format!("https://secretsmanager.{region}.amazonaws.com")
        });
        Ok(Self { client: Client::from_conf(builder.build()), endpoint, config: Some(config) })
    }

    /// Wraps an existing client.
    pub fn new(client: Client, endpoint: impl Into<String>) -> Self {
        Self { client, endpoint: endpoint.into(), config: None }
    }

    /// Returns the configuration for other AWS clients, or `None` for a client from [`Self::new`].
    pub(crate) fn config(&self) -> Option<&SdkConfig> {
        self.config.as_ref()
    }

    pub(crate) async fn tags(&self, id: &str) -> Result<HashMap<String, String>> {
        let answer = self.client.describe_secret().secret_id(id).send().await;
        let answer = answer.map_err(|error| self.refused(error, "DescribeSecret", id))?;
        let pair = |tag: &aws_sdk_secretsmanager::types::Tag| {
            Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))
        };
        Ok(answer.tags().iter().filter_map(pair).collect())
    }

    pub(crate) async fn describe(&self, id: &str) -> Result<Description> {
        let accounts = ReadAccountReplicas::default();
        let request = self.client.describe_secret().secret_id(id).customize();
        let answer = request.interceptor(accounts.clone()).send().await;
        let answer = answer.map_err(|error| self.refused(error, "DescribeSecret", id))?;
        Ok(Description {
            rotation_enabled: answer.rotation_enabled(),
            stages: answer.version_ids_to_stages().cloned().unwrap_or_default(),
            replicas: Replicas::new(answer.replication_status(), accounts.take()),
        })
    }

    /// Returns the value of the version with a staging label, or `None` if the secret, the label or
    /// the value does not exist.
    pub(crate) async fn value(&self, id: &str, label: &str) -> Result<Option<SecretValue>> {
        self.get(id, label, self.client.get_secret_value().secret_id(id).version_stage(label)).await
    }

    /// Returns the value of the pending version, or `None` if `createSecret` has not stored one.
    pub(crate) async fn pending_value(&self, event: &Event) -> Result<Option<SecretValue>> {
        let request = self
            .client
            .get_secret_value()
            .secret_id(&event.secret_id)
            .version_id(event.version()?.as_str())
            .version_stage(PENDING);
        self.get(&event.secret_id, PENDING, request).await
    }

    /// Returns the versions that are neither current nor pending, newest first: the previous
    /// version and the deprecated versions, which the service keeps for some time. Reads at most
    /// `MAX_PAGES` pages.
    pub(crate) async fn earlier(&self, id: &str) -> Result<Vec<VersionId>> {
        let mut versions = Vec::new();
        let mut next = None;
        for _ in 0..MAX_PAGES {
            let request =
                self.client.list_secret_version_ids().secret_id(id).include_deprecated(true);
            let page = request.max_results(100).set_next_token(next).send().await;
            let page = page.map_err(|error| self.refused(error, "ListSecretVersionIds", id))?;
            versions.extend(page.versions.unwrap_or_default());
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        let is_current_or_pending = |label: &String| label == CURRENT || label == PENDING;
        versions.retain(|version| !version.version_stages().iter().any(is_current_or_pending));
        versions.sort_by_key(|version| {
            std::cmp::Reverse(version.created_date().map(|date| date.as_nanos()))
        });
        Ok(versions.iter().filter_map(|version| version.version_id()).map(VersionId::new).collect())
    }

    /// Returns the value of one version, or `None` if it has no value.
    pub(crate) async fn value_of(
        &self,
        id: &str,
        version: &VersionId,
    ) -> Result<Option<SecretValue>> {
        let request = self.client.get_secret_value().secret_id(id).version_id(version.as_str());
        self.get(id, version.as_str(), request).await
    }

    /// Returns the current value of another secret, which must exist.
    pub(crate) async fn current_value_of(&self, id: &str) -> Result<SecretValue> {
        let value = self.value(id, CURRENT).await?;
        value.ok_or_else(|| Error::NotFound {
            what: format!("secret {id} with an AWSCURRENT value"),
        })
    }

    async fn get(
        &self,
        id: &str,
        label: &str,
        request: GetSecretValueFluentBuilder,
    ) -> Result<Option<SecretValue>> {
        match request.send().await {
            Ok(answer) => match answer.secret_string {
                Some(text) => {
                    redact::register_document(&text);
                    Ok(Some(SecretValue::new(text)))
                }
                None => Err(Error::NotText { secret: id.to_owned(), label: label.to_owned() }),
            },
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(None),
            Err(error) => Err(self.refused(error, "GetSecretValue", id)),
        }
    }

    pub(crate) async fn random_password(&self, settings: &PasswordSettings) -> Result<Password> {
        let answer = self
            .client
            .get_random_password()
            .password_length(settings.length.into())
            .set_exclude_characters(
                Some(settings.exclude_characters.clone()).filter(|c| !c.is_empty()),
            )
            .exclude_numbers(settings.exclude_numbers)
            .exclude_punctuation(settings.exclude_punctuation)
            .exclude_uppercase(settings.exclude_uppercase)
            .exclude_lowercase(settings.exclude_lowercase)
            .require_each_included_type(settings.require_each_included_type)
            .send()
            .await
            .map_err(|error| self.refused(error, "GetRandomPassword", "*"))?;
        match answer.random_password {
            Some(password) if !password.is_empty() => Ok(Password::new(password)),
            _ => Err(Error::Service {
                action: "secretsmanager:GetRandomPassword".into(),
                code: "empty response".into(),
                message: "the response contains no password".into(),
            }),
        }
    }

    /// Stores the pending value. Returns `false` if a concurrent attempt has already stored another
    /// value.
    ///
    /// The call always has `VersionStages`, because a call without it would move `AWSCURRENT`.
    pub(crate) async fn put_pending(&self, event: &Event, value: &SecretValue) -> Result<bool> {
        // The service can quote a request that it rejects.
        redact::register_document(value.expose());
        let answer = self
            .client
            .put_secret_value()
            .secret_id(&event.secret_id)
            .client_request_token(event.version()?.as_str())
            .secret_string(value.expose())
            .version_stages(PENDING)
            .set_rotation_token(
                event.rotation_token.as_ref().map(|token| token.expose().to_owned()),
            )
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceExistsException") => Ok(false),
            Err(error) => Err(self.refused(error, "PutSecretValue", &event.secret_id)),
        }
    }

    /// Moves `AWSCURRENT` to the pending version. The service moves `AWSPREVIOUS` by itself. This
    /// call does not change `AWSPENDING`.
    pub(crate) async fn promote(&self, event: &Event, from: Option<&str>) -> Result<()> {
        let answer = self
            .client
            .update_secret_version_stage()
            .secret_id(&event.secret_id)
            .version_stage(CURRENT)
            .move_to_version_id(event.version()?.as_str())
            .set_remove_from_version_id(from.map(str::to_owned))
            .send()
            .await;
        answer
            .map_err(|error| self.refused(error, "UpdateSecretVersionStage", &event.secret_id))?;
        Ok(())
    }

    fn refused<E>(&self, error: SdkError<E>, operation: &str, resource: &str) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        refused(&error, &format!("secretsmanager:{operation}"), resource, &self.endpoint)
    }
}

/// Returns `true` for `http://` or `https://` with a host.
fn is_endpoint(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.starts_with('/') && !rest.is_empty() && !rest.contains(char::is_whitespace)
    })
}

/// Returns the endpoint from the SDK's own variables, so that an error names the endpoint in use.
fn configured_endpoint(config: &SdkConfig, source: Source<'_>) -> Option<String> {
    source("AWS_ENDPOINT_URL_SECRETS_MANAGER")
        .or_else(|| source("AWS_ENDPOINT_URL"))
        .or_else(|| config.endpoint_url().map(str::to_owned))
}
