//! Why a step failed: one variant per cause, each with a stable `errorType` and the next thing to
//! do.

use crate::operator::{give_up, rotate_again, store};
use std::fmt;

use crate::event::Step;

/// The result of anything in a rotation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A reason for failure that a [`crate::Rotator`] brings along.
///
/// `Display` says what happened; it must hold no secret.
pub trait Cause: fmt::Display + fmt::Debug + Send + Sync + 'static {
    /// A stable identifier that a person can alarm on, in CamelCase.
    fn error_type(&self) -> &'static str;
    /// The next thing to do.
    fn remedy(&self) -> String;
}

/// A ready-made [`Cause`], for a rotator with few of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    error_type: &'static str,
    what: String,
    remedy: String,
}

impl Failure {
    /// `error_type` is a stable identifier to alarm on, `what` says what happened (it must hold no
    /// secret), `remedy` the next thing to do.
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

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The event is not one of Secrets Manager's. The invoker's fault.
    #[error("the event is malformed: {}", faults.join("; "))]
    MalformedEvent {
        /// Every fault found.
        faults: Vec<String>,
    },
    /// A setting in the environment cannot be read. The deployer's fault.
    #[error("the setting {name} cannot be used: {fault}")]
    Setting {
        /// The environment variable.
        name: &'static str,
        /// What is wrong with it.
        fault: String,
    },
    /// `DescribeSecret` says `RotationEnabled: false`.
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
        /// The labels that it has.
        labels: Vec<String>,
    },
    /// `AWSPENDING` is on a version that is not current: the service refuses another rotation.
    #[error("version {version} is still labelled AWSPENDING: an earlier rotation has not ended")]
    RotationUnfinished {
        /// The pending version.
        version: String,
    },
    /// No version holds `AWSCURRENT`: the secret never had a value.
    #[error("no version of the secret is labelled AWSCURRENT")]
    NoCurrentVersion,
    /// The pending version has no value: `createSecret` has not run.
    #[error("version {version} has no value yet: createSecret has not stored one")]
    NoPendingValue {
        /// The pending version.
        version: String,
    },
    /// The secret holds `SecretBinary`.
    #[error("the {label} version of {secret} holds no SecretString (a SecretBinary?)")]
    NotText {
        /// The secret.
        secret: String,
        /// The staging label or version.
        label: String,
    },
    /// The secret does not exist, or not in this region.
    #[error("Secrets Manager finds no {what}")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// IAM, or the secret's resource policy, refuses.
    #[error("Secrets Manager refused {action} on {resource}: {message}")]
    AccessDenied {
        /// The IAM action.
        action: String,
        /// The secret's ARN.
        resource: String,
        /// The message of the service.
        message: String,
    },
    /// The KMS key refuses, is disabled or is gone.
    #[error("the KMS key of {resource} could not be used for {action}: {message}")]
    Kms {
        /// The IAM action that needed the key.
        action: String,
        /// The secret's ARN.
        resource: String,
        /// The message of the service.
        message: String,
    },
    /// Too many requests.
    #[error("Secrets Manager throttled {action}, after retries: {message}")]
    Throttled {
        /// The IAM action.
        action: String,
        /// The message of the service.
        message: String,
    },
    /// No answer from the service: DNS, network, TLS or time-out.
    #[error("Secrets Manager cannot be reached at {endpoint} for {action}: {why}")]
    Unreachable {
        /// The endpoint in use.
        endpoint: String,
        /// The IAM action.
        action: String,
        /// The transport's words.
        why: String,
    },
    /// The function's own AWS credentials are missing or refused.
    #[error("the function's own AWS credentials do not work for {action}: {message}")]
    AwsCredentials {
        /// The IAM action.
        action: String,
        /// The service's or the SDK's words.
        message: String,
    },
    /// Any other refusal by the service.
    #[error("Secrets Manager answered {action} with {code}: {message}")]
    Service {
        /// The IAM action.
        action: String,
        /// The service's error code.
        code: String,
        /// The message of the service.
        message: String,
    },
    /// The time was up.
    #[error("the time ran out while {doing}")]
    DeadlineExceeded {
        /// What was being done.
        doing: String,
    },
    /// A panic inside the step: a defect of ours or of a driver.
    #[error("the function panicked: {message}")]
    Panicked {
        /// The panic's message, masked.
        message: String,
    },
    /// A cause of the rotator's own.
    #[error("{0}")]
    Rotator(Box<dyn Cause>),
}

impl<C: Cause> From<C> for Error {
    fn from(cause: C) -> Self {
        Self::Rotator(Box::new(cause))
    }
}

impl Error {
    /// The stable identifier that Lambda reports as `errorType`.
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
            Self::Throttled { .. } => "Throttled",
            Self::Unreachable { action, .. } if action.starts_with("rds:") => "RdsUnreachable",
            Self::Unreachable { .. } => "SecretsManagerUnreachable",
            Self::AwsCredentials { .. } => "AwsCredentials",
            Self::Service { .. } => "SecretsManagerError",
            Self::DeadlineExceeded { .. } => "DeadlineExceeded",
            Self::Panicked { .. } => "Panicked",
            Self::Rotator(cause) => cause.error_type(),
        }
    }

    /// The next thing to do.
    pub fn remedy(&self) -> String {
        match self {
            Self::MalformedEvent { .. } => "Let Secrets Manager invoke the function (aws secretsmanager rotate-secret), \
                or send an event like {\"Step\":\"createSecret\",\"SecretId\":\"ARN\",\"ClientRequestToken\":\"VERSION\"}."
                .into(),
            Self::Setting { name, .. } => {
                format!("Correct or remove the environment variable {name} of the function.")
            }
            Self::RotationNotEnabled => "Turn it on: aws secretsmanager rotate-secret --secret-id SECRET \
                --rotation-lambda-arn FUNCTION --rotation-rules AutomaticallyAfterDays=30."
                .into(),
            Self::VersionUnknown { .. } => {
                format!("This rotation was abandoned, or the event was made by hand. Start one: {}.", rotate_again())
            }
            Self::VersionNotPending { .. } => format!(
                "Start a new rotation: {}. If it is refused because an earlier one \
                 is incomplete, give that up: {}.",
                rotate_again(),
                give_up("ITS-VERSION")
            ),
            Self::RotationUnfinished { version } => format!(
                "Mend what has stopped it and let it go on: aws secretsmanager rotate-secret --secret-id SECRET \
                 --client-request-token {version}. Or give it up: {}.",
                give_up(version)
            ),
            Self::NoCurrentVersion => format!("Store a first value: {}.", store()),
            Self::NoPendingValue { .. } => {
                format!("Repeat the rotation from its first step: {}.", rotate_again())
            }
            Self::NotText { .. } => "Store the secret as SecretString (JSON text).".into(),
            Self::NotFound { .. } => "Check the ARN and the region of the function.".into(),
            Self::AccessDenied { action, resource, .. } => format!(
                "Allow {action} on {resource} in the role of the function, and in the secret's resource policy if it has \
                 one. The role of this project's template allows it for secrets whose rotation names this function: before \
                 a preflight, turn rotation on with aws secretsmanager rotate-secret --rotation-lambda-arn FUNCTION-ARN \
                 --no-rotate-immediately."
            ),
            Self::Kms { .. } => "Allow kms:Decrypt and kms:GenerateDataKey on the secret's key in the role of the function \
                and in the key's policy, and see that the key is enabled."
                .into(),
            Self::Throttled { .. } => {
                "Nothing: Secrets Manager repeats the rotation. If it goes on, spread the rotation schedules.".into()
            }
            Self::Unreachable { why, .. } if why.contains("certificate") => "Somebody stands in between (a proxy that reads along), \
                or the endpoint's name is not the certificate's. If that is meant to be, SSL_CERT_FILE names a PEM file with \
                its authority: TLS_CA_FILE is for databases."
                .into(),
            Self::Unreachable { action, .. } => format!(
                "A function inside a VPC needs an interface endpoint for {} (with private DNS and a security group that \
                 lets port 443 in) or a NAT gateway; check {} if it is set.",
                action.split(':').next().unwrap_or("the service"),
                if action.starts_with("rds:") { "AWS_ENDPOINT_URL_RDS" } else { "SECRETS_MANAGER_ENDPOINT" },
            ),
            Self::AwsCredentials { .. } => "In Lambda, check the function's execution role; elsewhere, set \
                AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (any text will do for a local service)."
                .into(),
            Self::Service { message, .. } if message.contains("marked for deletion") || message.contains("scheduled for deletion") => {
                "Take the deletion back: aws secretsmanager restore-secret --secret-id SECRET.".into()
            }
            Self::Service { .. } => {
                "Nothing, if it passes: Secrets Manager repeats the rotation. Otherwise read the service's message.".into()
            }
            Self::DeadlineExceeded { .. } => {
                "Find out why that takes so long (network path, locks in the database), or raise the function's time-out; \
                 the rotation will be repeated and goes on from where it stands."
                    .into()
            }
            Self::Panicked { .. } => "Please report this; the rotation will be repeated and goes on from where it stands.".into(),
            Self::Rotator(cause) => cause.remedy(),
        }
    }

    /// The whole message: which step of which secret failed, why, and what to do.
    pub fn explain(&self, step: Option<Step>, secret: Option<&str>) -> String {
        let at = match (step, secret) {
            (Some(step), Some(secret)) => format!("{step} of {secret} failed: "),
            _ => String::new(),
        };
        let text = format!("{at}{self}. What to do: {}", self.remedy());
        crate::redact::mask_line(&text).into_owned()
    }
}
