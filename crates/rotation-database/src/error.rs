//! The errors of a database rotation.

use std::fmt;

use rotation::Cause;
use rotation::operator::{give_up, master_secret, secret_file, store};

use crate::engine_error::{EngineError, edit_of_secret};
use crate::host;
use crate::login_error::LoginError;
use crate::problem::{SecretProblem, join};
use crate::shortened::shortened;

/// The host and port of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host, as the secret spells it.
    pub host: String,
    /// The TCP port, as the secret, the engine's default or RDS gives it.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host::endpoint(&self.host, self.port))
    }
}

/// The source of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// A version of the secret, by its staging label.
    Version(&'static str),
    /// The master secret, by its ARN or name.
    Master(String),
}

impl fmt::Display for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(label) => f.write_str(label),
            Self::Master(id) => write!(f, "master secret {id}"),
        }
    }
}

/// A login attempt with one password, or the reason why the password was not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAttempt {
    /// The staging label or id of the version with the password.
    pub label: String,
    /// The result, in words.
    pub result: String,
}

impl fmt::Display for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.result)
    }
}

/// The reason why a database rotation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The secret does not follow its engine's schema.
    #[error("the {label} version is not a usable {engine} secret: {}", join(problems))]
    Schema {
        /// The staging label of the malformed version, such as `AWSCURRENT`.
        label: &'static str,
        /// The display name of the engine.
        engine: &'static str,
        /// All problems of the secret.
        problems: Vec<SecretProblem>,
    },
    /// The strategy needs a master user, but the secret does not name a master secret.
    #[error(
        "the secret has no \"masterarn\", and the rotation strategy needs a master user{}",
        also(others)
    )]
    MasterArnMissing {
        /// The other problems of the secret.
        others: Vec<SecretProblem>,
    },
    /// The master secret does not follow the schema.
    #[error("the master secret {arn} is not usable: {}", join(problems))]
    MasterSchema {
        /// The ARN or name of the master secret, as `masterarn` in the secret gives it.
        arn: String,
        /// All problems of the master secret.
        problems: Vec<SecretProblem>,
    },
    /// The master secret is for another server.
    #[error("the master secret {arn} is for {master}, but the secret is for {secret}")]
    MasterHostMismatch {
        /// The ARN or name of the master secret, as `masterarn` in the secret gives it.
        arn: String,
        /// The server in the master secret.
        master: String,
        /// The server in the secret.
        secret: String,
    },
    /// The master secret is in another Region, where the function cannot read it.
    #[error("the master secret {arn} is in Region {master}, but the secret is in {secret}")]
    MasterRegionMismatch {
        /// The ARN of the master secret, as `masterarn` in the secret gives it.
        arn: String,
        /// The Region of the master secret.
        master: String,
        /// The Region of the secret.
        secret: String,
    },
    /// The pending version is for another user than this strategy rotates to.
    #[error(
        "the pending version is for user {pending}, but with the current user {current} it must be \
         for {expected}"
    )]
    UserMismatch {
        /// The user of `AWSCURRENT`.
        current: String,
        /// The user of `AWSPENDING`.
        pending: String,
        /// The user that `AWSPENDING` should have.
        expected: String,
    },
    /// The pending version is for another server.
    #[error("the pending version is for {pending}, but the current version is for {current}")]
    HostMismatch {
        /// The server of `AWSCURRENT`.
        current: String,
        /// The server of `AWSPENDING`.
        pending: String,
    },
    /// The alternate user's privileges or settings differ from those of the base user.
    #[error(
        "{endpoint}: user {alternate} is not in sync with {base}; changes to apply: {}",
        shortened(differences, "; ")
    )]
    UsersDiffer {
        /// The server, by the host and port in the pending version.
        endpoint: Endpoint,
        /// The base user, whose privileges and settings are the model.
        base: String,
        /// The alternate user, which the changes would bring in line with the base user.
        alternate: String,
        /// The changes that a sync would apply.
        differences: Vec<String>,
    },
    /// The alternate user's name is too long.
    #[error("the name of the alternate user, {name}, is too long: {length}")]
    UserNameTooLong {
        /// The alternate user's name.
        name: String,
        /// The length of the name and the limit, in words.
        length: String,
        /// `true` if `USERNAME_CHARACTER_LIMIT` can raise the limit.
        can_be_raised: bool,
    },
    /// The generated password cannot be used with this engine.
    #[error("could not use the new password: {why}")]
    PasswordUnusable {
        /// The reason, without the password.
        why: String,
    },
    /// The new value is too large.
    #[error("could not store the new value: {why}")]
    ValueUnusable {
        /// The reason, such as the size of the value and the limit in bytes.
        why: String,
    },
    /// The server rejected every known password.
    #[error(
        "{endpoint} rejected every known password of user {user} ({}){}",
        list(tried),
        hint(*also_means)
    )]
    CredentialsRefused {
        /// The server, by the host and port in the current version.
        endpoint: Endpoint,
        /// The user of the current version.
        user: String,
        /// The known passwords by their versions, each with the result of its login attempt.
        tried: Vec<LoginAttempt>,
        /// Other causes of a rejected password on this engine.
        also_means: Option<&'static str>,
    },
    /// A login failed for a reason that another password does not solve.
    #[error("could not log in to {endpoint} as {user} ({credential}): {cause}")]
    Login {
        /// The server to which the function tried to log in.
        endpoint: Endpoint,
        /// The user name in the login attempt.
        user: String,
        /// The source of the credential.
        credential: CredentialSource,
        /// The error of the login, which determines the error type and the remedy.
        cause: Box<LoginError>,
    },
    /// A statement failed after the login.
    #[error("{endpoint}, as user {user}: {cause}")]
    Statement {
        /// The server, by the host and port in the secret.
        endpoint: Endpoint,
        /// The user that ran the statement.
        user: String,
        /// The error of the statement, which determines the error type and the remedy.
        cause: Box<EngineError>,
    },
}

fn also(others: &[SecretProblem]) -> String {
    if others.is_empty() { String::new() } else { format!("; also: {}", join(others)) }
}

fn list(tried: &[LoginAttempt]) -> String {
    tried.iter().map(LoginAttempt::to_string).collect::<Vec<_>>().join("; ")
}

fn hint(also_means: Option<&str>) -> String {
    also_means.map(|sentence| format!(". {sentence}")).unwrap_or_default()
}

impl Cause for Error {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Schema { .. } => "SecretMalformed",
            Self::MasterArnMissing { .. } => "MasterArnMissing",
            Self::MasterSchema { .. } => "MasterSecretMalformed",
            Self::MasterHostMismatch { .. } => "MasterHostMismatch",
            Self::MasterRegionMismatch { .. } => "MasterRegionMismatch",
            Self::UserMismatch { .. } => "UserMismatch",
            Self::HostMismatch { .. } => "HostMismatch",
            Self::UsersDiffer { .. } => "UsersDiffer",
            Self::UserNameTooLong { .. } => "UserNameTooLong",
            Self::PasswordUnusable { .. } => "PasswordUnusable",
            Self::ValueUnusable { .. } => "SecretTooLarge",
            Self::CredentialsRefused { .. } => "CredentialsRefused",
            Self::Login { credential: CredentialSource::Master(_), cause, .. }
                if cause.is_wrong_password() =>
            {
                "MasterCredentialsRefused"
            }
            Self::Login { cause, .. } => cause.error_type(),
            Self::Statement { cause, .. } => cause.error_type(),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::Schema { .. } => format!("Correct the secret's JSON: {}.", store()),
            Self::MasterArnMissing { .. } => "Add \"masterarn\" to the secret's JSON: the ARN of \
                the secret of the master user. (MasterSecretArn of RotationSchedule in \
                CloudFormation only grants permission.) Or set ROTATION_STRATEGY=single-user."
                .into(),
            Self::MasterSchema { .. } => {
                "Correct the master secret's JSON, or \"masterarn\" in the secret.".into()
            }
            Self::MasterHostMismatch { .. } => "Set \"masterarn\" to the ARN of the master secret \
                for the same server. (Another host name is allowed if it resolves to the same \
                address, or if RDS lists it as a read replica or reader endpoint of the server.)"
                .into(),
            Self::MasterRegionMismatch { arn, master, secret } => format!(
                "Set \"masterarn\" to the ARN of a master secret in {secret}. You can replicate \
                 the master secret from {master}: aws secretsmanager replicate-secret-to-regions \
                 --region {master} --secret-id {arn} --add-replica-regions Region={secret}. The \
                 replica has the same ARN, except for the Region {secret}."
            ),
            Self::UserMismatch { .. } | Self::HostMismatch { .. } if secret_file().is_some() => {
                format!(
                    "The secret's file or the strategy was changed during a rotation. Undo the \
                     change and run the same command again, which completes the rotation. Or \
                     cancel the rotation: {}.",
                    give_up("VERSION")
                )
            }
            Self::UserMismatch { .. } | Self::HostMismatch { .. } => format!(
                "The secret or the strategy was changed during a rotation. To complete the \
                 rotation, undo the change: Secrets Manager retries the rotation. To keep the \
                 change, first save the pending password, because the database may already have \
                 it (aws secretsmanager get-secret-value --secret-id SECRET --version-stage \
                 AWSPENDING). Store the password that logs in to the database (aws secretsmanager \
                 put-secret-value), cancel this rotation ({}), and start another one (aws \
                 secretsmanager rotate-secret).",
                give_up("VERSION")
            ),
            Self::UsersDiffer { alternate, .. } => format!(
                "If an administrator has just changed one of the two users, wait: Secrets Manager \
                 retries the rotation, and setSecret syncs {alternate}. Otherwise find out which \
                 program or administrator undoes the sync, and apply these changes as an \
                 administrator of the database."
            ),
            Self::UserNameTooLong { can_be_raised: true, .. } => "Use a shorter user name, or \
                raise USERNAME_CHARACTER_LIMIT on the function if the server supports longer names."
                .into(),
            Self::UserNameTooLong { .. } => "Use a user with a shorter name.".into(),
            Self::PasswordUnusable { .. } => {
                "Correct EXCLUDE_CHARACTERS or PASSWORD_LENGTH on the function.".into()
            }
            Self::ValueUnusable { .. } => "Make the secret smaller.".into(),
            Self::CredentialsRefused { user, .. } => format!(
                "As an administrator of the database, set a new password for {user}, and store it: \
                 {}. Then rotate again.",
                store()
            ),
            Self::Login { credential: CredentialSource::Master(id), cause, .. }
                if cause.is_wrong_password() =>
            {
                format!("Store the master user's current password in {}.", master_secret(id))
            }
            Self::Login { endpoint, cause, credential: CredentialSource::Version(_), .. }
                if cause.is_remedied_by_secret_edit() =>
            {
                edit_of_secret(&cause.remedy(&endpoint.host, endpoint.port))
            }
            Self::Login { endpoint, cause, .. } => cause.remedy(&endpoint.host, endpoint.port),
            Self::Statement { endpoint, cause, .. } => cause.remedy(&endpoint.host, endpoint.port),
        }
    }
}
