//! The errors of a step. Each cause has its own variant, a stable `errorType` and a remedy.

use crate::operator::{give_up, rotate_again, store};
use std::fmt;

use crate::step::Step;

/// The result of an operation of a rotation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error that a [`crate::Rotator`] defines.
///
/// `Display` describes the failure. It must not contain a secret.
pub trait Cause: fmt::Display + fmt::Debug + Send + Sync + 'static {
    /// Returns a stable identifier in CamelCase, on which an operator can set an alarm.
    fn error_type(&self) -> &'static str;
    /// Returns the next action for the operator.
    fn remedy(&self) -> String;
}

/// A general-purpose [`Cause`], for a rotator that has only a few kinds of error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    error_type: &'static str,
    what: String,
    remedy: String,
}

impl Failure {
    /// Creates an error from its identifier, its description and its remedy.
    ///
    /// `error_type` is a stable identifier for alarms. `what` describes the failure and must not
    /// contain a secret. `remedy` is the next action for the operator.
    pub fn new(
        error_type: &'static str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { error_type, what: what.into(), remedy: remedy.into() }
    }
}

impl Cause for Failure {
    fn error_type(&self) -> &'static str {
        self.error_type
    }

    fn remedy(&self) -> String {
        self.remedy.clone()
    }
}

/// The reason why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The event does not have the form of a rotation event. The invoker must correct it.
    #[error("the event is malformed: {}", faults.join("; "))]
    MalformedEvent {
        /// All problems of the event.
        faults: Vec<String>,
    },
    /// A setting in the environment is invalid. The operator must correct it.
    #[error("could not use the setting {name}: {fault}")]
    Setting {
        /// The environment variable that holds the setting.
        name: &'static str,
        /// The problem with its value.
        fault: String,
    },
    /// `DescribeSecret` returns `RotationEnabled: false`.
    #[error("rotation is not enabled for the secret")]
    RotationNotEnabled,
    /// The version in the event does not exist, or has no staging label.
    #[error("version {version} has no staging label, so it is not part of a rotation")]
    VersionUnknown {
        /// The version in the event.
        version: String,
    },
    /// The version in the event is not labelled `AWSPENDING`.
    #[error("version {version} is not labelled AWSPENDING (its labels: {})", labels.join(", "))]
    VersionNotPending {
        /// The version in the event.
        version: String,
        /// The staging labels of the version.
        labels: Vec<String>,
    },
    /// `AWSPENDING` is on a version that is not current, so the service rejects another rotation.
    #[error("a previous rotation is not complete: version {version} is still labelled AWSPENDING")]
    RotationUnfinished {
        /// The id of the version that is labelled `AWSPENDING`.
        version: String,
    },
    /// No version has the label `AWSCURRENT`: the secret never had a value.
    #[error("no version of the secret is labelled AWSCURRENT")]
    NoCurrentVersion,
    /// The pending version has no value: `createSecret` has not run.
    #[error("version {version} has no value yet: createSecret has not stored one")]
    NoPendingValue {
        /// The id of the pending version, for which `createSecret` must store a value.
        version: String,
    },
    /// The version has no `SecretString`; usually it has a `SecretBinary`.
    #[error("the {label} version of {secret} has no SecretString (it may have a SecretBinary)")]
    NotText {
        /// The ARN or name of the secret without a `SecretString`.
        secret: String,
        /// The staging label or version.
        label: String,
    },
    /// The secret does not exist, or it does not exist in this Region.
    #[error("could not find {what} in Secrets Manager")]
    NotFound {
        /// A description of the requested resource.
        what: String,
    },
    /// IAM or the secret's resource policy denies the action.
    #[error("access denied: could not call {action} on {resource}: {message}")]
    AccessDenied {
        /// The IAM action of the call, such as `secretsmanager:GetSecretValue`.
        action: String,
        /// The ARN or name of the secret, or `*` for an action without a resource.
        resource: String,
        /// The message of the service.
        message: String,
    },
    /// KMS denies the use of the key, or the key is disabled or deleted.
    #[error("could not use the KMS key of {resource} for {action}: {message}")]
    Kms {
        /// The IAM action that needed the key.
        action: String,
        /// The ARN or name of the secret that the key encrypts.
        resource: String,
        /// The message of the service.
        message: String,
    },
    /// Replication of the secret to another account has failed.
    #[error("the replica {replica} did not get the secret's last change: {message}")]
    ReplicationFailed {
        /// The ARN of the replica.
        replica: String,
        /// The ARN of the role with which Secrets Manager replicates. Without one, it uses the
        /// credentials of the caller that changes the secret, such as those of the function.
        role: Option<String>,
        /// The message of the service.
        message: String,
    },
    /// AWS throttles the requests of the account.
    #[error("could not call {action}: AWS throttled the request and its retries: {message}")]
    Throttled {
        /// The IAM action of the call, such as `secretsmanager:GetSecretValue`.
        action: String,
        /// The message of the service.
        message: String,
    },
    /// The service does not answer, because of DNS, the network, TLS or a timeout.
    #[error("could not reach {endpoint} for {action}: {why}")]
    Unreachable {
        /// The endpoint in use.
        endpoint: String,
        /// The IAM action of the call that got no answer.
        action: String,
        /// The message of the transport.
        why: String,
    },
    /// The endpoint's certificate is not trusted, or it is for another name.
    #[error("could not reach {endpoint} for {action}: {why}")]
    CertificateRejected {
        /// The endpoint in use.
        endpoint: String,
        /// The IAM action of the call.
        action: String,
        /// The message of the transport.
        why: String,
    },
    /// The secret is marked for deletion.
    #[error("could not call {action}: {message}")]
    MarkedForDeletion {
        /// The IAM action of the call, such as `secretsmanager:GetSecretValue`.
        action: String,
        /// The message of the service.
        message: String,
    },
    /// The function's own AWS credentials are missing, or AWS rejects them.
    #[error(
        "could not call {action}: the function's AWS credentials are missing or rejected: {message}"
    )]
    AwsCredentials {
        /// The IAM action that needed the credentials.
        action: String,
        /// The message of the service or the SDK.
        message: String,
    },
    /// The service returns any other error.
    #[error("could not call {action}: {code}: {message}")]
    Service {
        /// The IAM action of the call, such as `secretsmanager:GetSecretValue`.
        action: String,
        /// The service's error code.
        code: String,
        /// The message of the service.
        message: String,
    },
    /// The deadline passed before the step was complete.
    #[error("could not finish before the function's timeout: the time ran out while {activity}")]
    DeadlineExceeded {
        /// The activity at that time.
        activity: String,
    },
    /// The step panicked, because of a bug in this project or in a driver.
    #[error("the function panicked: {message}")]
    Panicked {
        /// The panic's message, redacted.
        message: String,
    },
    /// An error that the rotator defines.
    #[error("{0}")]
    Rotator(Box<dyn Cause>),
}

impl<C: Cause> From<C> for Error {
    fn from(cause: C) -> Self {
        Self::Rotator(Box::new(cause))
    }
}

impl Error {
    /// Returns the stable identifier that Lambda reports as `errorType`.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::MalformedEvent { .. } => "MalformedEvent",
            Self::Setting { .. } => "InvalidSetting",
            Self::RotationNotEnabled => "RotationNotEnabled",
            Self::VersionUnknown { .. } => "VersionUnknown",
            Self::VersionNotPending { .. } => "VersionNotPending",
            Self::RotationUnfinished { .. } => "RotationUnfinished",
            Self::NoCurrentVersion => "NoCurrentVersion",
            Self::NoPendingValue { .. } => "NoPendingValue",
            Self::NotText { .. } => "NotASecretString",
            Self::NotFound { .. } => "SecretNotFound",
            Self::AccessDenied { .. } => "AccessDenied",
            Self::Kms { .. } => "KmsKeyUnusable",
            Self::ReplicationFailed { .. } => "ReplicationFailed",
            Self::Throttled { .. } => "Throttled",
            Self::Unreachable { action, .. } | Self::CertificateRejected { action, .. } => {
                if is_of_rds(action) {
                    "RdsUnreachable"
                } else {
                    "SecretsManagerUnreachable"
                }
            }
            Self::MarkedForDeletion { .. } => "SecretMarkedForDeletion",
            Self::AwsCredentials { .. } => "AwsCredentials",
            Self::Service { .. } => "SecretsManagerError",
            Self::DeadlineExceeded { .. } => "DeadlineExceeded",
            Self::Panicked { .. } => "Panicked",
            Self::Rotator(cause) => cause.error_type(),
        }
    }

    /// Returns the next action for the operator.
    pub fn remedy(&self) -> String {
        match self {
            Self::MalformedEvent { .. } => "Start the rotation with aws secretsmanager \
                rotate-secret --secret-id SECRET, or invoke the function with an event such as \
                {\"Step\":\"createSecret\",\"SecretId\":\"ARN\",\
                \"ClientRequestToken\":\"VERSION\"}."
                .into(),
            Self::Setting { name, .. } => {
                format!("Correct or remove the environment variable {name} of the function.")
            }
            Self::RotationNotEnabled => "Turn rotation on: aws secretsmanager rotate-secret \
                --secret-id SECRET --rotation-lambda-arn FUNCTION --rotation-rules \
                AutomaticallyAfterDays=30. This also rotates the secret immediately, unless you \
                add --no-rotate-immediately."
                .into(),
            Self::VersionUnknown { .. } => {
                format!(
                    "Start a rotation: {}. The rotation of this version was cancelled, or the \
                     event was written by hand.",
                    rotate_again()
                )
            }
            Self::VersionNotPending { .. } => format!(
                "Start a new rotation: {}. If Secrets Manager rejects it because a previous \
                 rotation is not complete, cancel that rotation: {}.",
                rotate_again(),
                give_up("PENDING-VERSION")
            ),
            Self::RotationUnfinished { version } => format!(
                "Correct the cause of its failure, then resume it: aws secretsmanager \
                 rotate-secret --secret-id SECRET --client-request-token {version}. Or cancel it: \
                 {}.",
                give_up(version)
            ),
            Self::NoCurrentVersion => format!("Store a first value: {}.", store()),
            Self::NoPendingValue { .. } => {
                format!("Repeat the rotation from its first step: {}.", rotate_again())
            }
            Self::NotText { .. } => "Store the secret as a SecretString (JSON text).".into(),
            Self::NotFound { .. } => "Check the secret's ARN and the function's Region.".into(),
            Self::AccessDenied { action, resource, .. } if resource == "*" => {
                format!("Allow {action} in the role of the function.")
            }
            Self::AccessDenied { action, resource, .. } => format!(
                "Allow {action} on {resource} in the role of the function, and in the secret's \
                 resource policy if it has one. The role in this project's template allows it only \
                 for secrets whose rotation uses this function. Before a preflight, therefore turn \
                 rotation on: aws secretsmanager rotate-secret --secret-id SECRET \
                 --rotation-lambda-arn FUNCTION --no-rotate-immediately."
            ),
            Self::Kms { .. } => "Allow kms:Decrypt and kms:GenerateDataKey on the secret's key in \
                the role of the function and in the key policy, and check that the key is enabled."
                .into(),
            Self::ReplicationFailed { replica, role, .. } => {
                let (identity, option) = match role {
                    Some(role) => (role.as_str(), format!(" --replication-role-arn {role}")),
                    None => (
                        "the role of the function (parameter replicaKmsKeyArn of the template)",
                        String::new(),
                    ),
                };
                format!(
                    "Allow kms:Encrypt on the replica's KMS key to {identity}, and in the policy \
                     of that key, and check that the key is enabled. Then replicate again: aws \
                     secretsmanager associate-cross-account-replica --secret-id SECRET \
                     --cross-account-replica-arn {replica}{option}. Or give the replica up: aws \
                     secretsmanager disassociate-cross-account-replica --secret-id SECRET \
                     --cross-account-replica-arn {replica}."
                )
            }
            Self::Throttled { .. } => {
                "Wait: Secrets Manager retries the rotation. If the error persists, distribute \
                 the rotation schedules over a longer time."
                    .into()
            }
            Self::CertificateRejected { .. } => "The endpoint's \
                certificate is not trusted, or it is for another host name. If you use a \
                TLS-inspecting proxy, set SSL_CERT_FILE to a PEM file with its CA certificate \
                (TLS_CA_FILE is only for databases)."
                .into(),
            Self::Unreachable { action, .. } => format!(
                "A function inside a VPC needs an interface endpoint for {} (with private DNS, and \
                 a security group that allows inbound port 443) or a NAT gateway. Check {} if it \
                 is set.",
                action.split(':').next().unwrap_or("the service"),
                if is_of_rds(action) { "AWS_ENDPOINT_URL_RDS" } else { "SECRETS_MANAGER_ENDPOINT" },
            ),
            Self::AwsCredentials { .. } => "In Lambda, check the function's execution role. If \
                ASSUME_ROLE_ARN is set, the execution role needs sts:AssumeRole, the trust policy \
                of that role must name the execution role, and a function inside a VPC must reach \
                STS. Elsewhere, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (a local service \
                accepts any value)."
                .into(),
            Self::MarkedForDeletion { .. } => {
                "Cancel the deletion: aws secretsmanager restore-secret --secret-id SECRET.".into()
            }
            Self::Service { .. } => {
                "If the error is temporary, wait: Secrets Manager retries the rotation. Otherwise \
                 follow the service's message."
                    .into()
            }
            Self::DeadlineExceeded { .. } => {
                "Find out why this takes so long (network path, locks in the database), or raise \
                 the function's timeout. Secrets Manager retries the rotation, which resumes where \
                 it stopped."
                    .into()
            }
            Self::Panicked { .. } => {
                "Report this bug to the project, with the log of this invocation. Secrets Manager \
                 retries the rotation, which resumes where it stopped."
                    .into()
            }
            Self::Rotator(cause) => cause.remedy(),
        }
    }

    /// Returns the whole message: the step and the secret, the error, and the remedy.
    pub fn explain(&self, step: Option<Step>, secret: Option<&str>) -> String {
        let at = match (step, secret) {
            (Some(step), Some(secret)) => format!("{step} of {secret} failed: "),
            _ => String::new(),
        };
        let text = format!("{at}{self}. What to do: {}", self.remedy());
        crate::redact::mask_line(&text).into_owned()
    }
}

/// Returns `true` if an IAM action is one of RDS.
fn is_of_rds(action: &str) -> bool {
    action.split(':').next() == Some("rds")
}
