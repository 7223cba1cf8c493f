//! Why a database rotation failed.

use std::fmt;

use rotation::Cause;
use rotation::operator::{give_up, master_secret, secret_file, store};

use crate::engine_error::{EngineError, edit_of_secret};
use crate::host;
use crate::login_error::LoginError;
use crate::shortened::shortened;

/// A server, as a secret names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Host, as the secret spells it.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&host::endpoint(&self.host, self.port))
    }
}

/// Where a credential comes from.
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

/// A password that was tried, or why it was not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginAttempt {
    /// The staging label of the version, or its id.
    pub label: String,
    /// What came of it.
    pub result: String,
}

impl fmt::Display for LoginAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.label, self.result)
    }
}

/// Why a database rotation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The secret does not follow its engine's schema.
    #[error("the {label} version is not a usable {engine} secret: {}", faults.join("; "))]
    Schema {
        /// The staging label.
        label: &'static str,
        /// The engine, for people.
        engine: &'static str,
        /// Every fault.
        faults: Vec<String>,
    },
    /// A secret whose strategy needs a master does not say where its master secret is.
    #[error(
        "the secret has no \"masterarn\", and the strategy needs the master that it names{}",
        also(others)
    )]
    MasterArnMissing {
        /// The other faults of the secret.
        others: Vec<String>,
    },
    /// The master secret does not follow the schema.
    #[error("the master secret {arn} is not usable: {}", faults.join("; "))]
    MasterSchema {
        /// The master secret.
        arn: String,
        /// Every fault.
        faults: Vec<String>,
    },
    /// The master secret is for another server.
    #[error("the master secret {arn} is for {master}, and the secret is for {secret}")]
    MasterHostMismatch {
        /// The master secret.
        arn: String,
        /// Its server.
        master: String,
        /// The secret's server.
        secret: String,
    },
    /// The master secret is in another Region, where the function cannot read it.
    #[error("the master secret {arn} is in {master}, and the secret is in {secret}")]
    MasterRegionMismatch {
        /// The master secret.
        arn: String,
        /// Its Region.
        master: String,
        /// The secret's Region.
        secret: String,
    },
    /// The pending version is for another user than this strategy makes.
    #[error(
        "the pending version is for user {pending}, and {expected} was expected beside the current {current}"
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
    #[error("the pending version is for {pending}, and the current one for {current}")]
    HostMismatch {
        /// The server of `AWSCURRENT`.
        current: String,
        /// The server of `AWSPENDING`.
        pending: String,
    },
    /// The alternate user may not do what the base user may, or more.
    #[error(
        "{place}: {alternate} would have to be changed to do just what {base} may: {}",
        shortened(differences, "; ")
    )]
    UsersDiffer {
        /// The server.
        place: Place,
        /// The base user.
        base: String,
        /// The alternate user.
        alternate: String,
        /// What would be changed, one phrase each.
        differences: Vec<String>,
    },
    /// The alternate user's name is too long.
    #[error("the second user would be {name}: {length}")]
    UserNameTooLong {
        /// The alternate user's name.
        name: String,
        /// How long, and how long it may be.
        length: String,
        /// `true` if `USERNAME_CHARACTER_LIMIT` can raise it.
        can_be_raised: bool,
    },
    /// The password that was made cannot be used with this engine.
    #[error("the new password cannot be used: {why}")]
    PasswordUnusable {
        /// Why, without the password.
        why: String,
    },
    /// The new value is too large.
    #[error("the new value cannot be stored: {why}")]
    ValueUnusable {
        /// Why.
        why: String,
    },
    /// The server refused every password there is.
    #[error(
        "{place} refuses user {user} with every password there is ({}){}",
        list(tried),
        hint(also_means)
    )]
    CredentialsRefused {
        /// The server.
        place: Place,
        /// The user.
        user: String,
        /// What was tried.
        tried: Vec<LoginAttempt>,
        /// What else the answer can mean on this engine.
        also_means: &'static str,
    },
    /// A login failed for a reason that no other password mends.
    #[error("logging in to {place} as {user} ({whose}) failed: {cause}")]
    Login {
        /// The server.
        place: Place,
        /// The user.
        user: String,
        /// Whose credential.
        whose: CredentialSource,
        /// Why.
        cause: Box<LoginError>,
    },
    /// A statement failed.
    #[error("{place}, as user {user}: {cause}")]
    Statement {
        /// The server.
        place: Place,
        /// Who ran it.
        user: String,
        /// Why.
        cause: Box<EngineError>,
    },
}

fn also(others: &[String]) -> String {
    if others.is_empty() { String::new() } else { format!("; also: {}", others.join("; ")) }
}

fn list(tried: &[LoginAttempt]) -> String {
    tried.iter().map(LoginAttempt::to_string).collect::<Vec<_>>().join("; ")
}

fn hint(also_means: &str) -> String {
    if also_means.is_empty() { String::new() } else { format!(". {also_means}") }
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
            Self::Login { whose: CredentialSource::Master(_), cause, .. }
                if cause.other_password_may_help() =>
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
            Self::MasterArnMissing { .. } => "Add to the secret's JSON \"masterarn\": the ARN of the secret that holds the master \
                user. (RotationSchedule's MasterSecretArn in CloudFormation only grants permission.) Or set \
                ROTATION_STRATEGY=single-user."
                .into(),
            Self::MasterSchema { .. } => "Correct the master secret's JSON, or \"masterarn\" in the secret.".into(),
            Self::MasterHostMismatch { .. } => "Point \"masterarn\" at the master secret of the same server. (Another name of it is fine when it resolves to \
                the same address, and so is a read replica or reader endpoint that RDS knows as one.)".into(),
            Self::MasterRegionMismatch { arn, master, secret } => format!(
                "Point \"masterarn\" at a master secret in {secret}. A secret of {master} can be replicated: aws \
                 secretsmanager replicate-secret-to-regions --region {master} --secret-id {arn} \
                 --add-replica-regions Region={secret}. The replica has the same ARN, with {secret} in it."
            ),
            Self::UserMismatch { .. } | Self::HostMismatch { .. } if secret_file().is_some() => format!(
                "The secret's file was changed in the middle of a rotation, or its strategy was. Change it back and run the \
                 same command again, which finishes the rotation. Or give the rotation up: {}.",
                give_up("VERSION")
            ),
            Self::UserMismatch { .. } | Self::HostMismatch { .. } => format!("The secret was changed in the middle of a rotation, \
                or its strategy was. Change it back, and the rotation goes on by itself. If the change is to stay: the database may have \
                the password of the pending version already, so keep that one first (aws secretsmanager get-secret-value \
                --secret-id SECRET --version-stage AWSPENDING), put the password that logs in into the secret (aws \
                secretsmanager put-secret-value), then give this rotation up ({}) and start another (aws secretsmanager \
                rotate-secret).",
                give_up("VERSION")
            ),
            Self::UsersDiffer { alternate, .. } => format!(
                "Nothing, if somebody has just changed one of the two: the rotation is repeated, and setSecret brings {alternate} \
                 in step. Otherwise see who takes it back, and let an administrator of the database run what is said."
            ),
            Self::UserNameTooLong { can_be_raised: true, .. } => "Use a shorter user name, or raise USERNAME_CHARACTER_LIMIT on the \
                function if the server takes longer ones."
                .into(),
            Self::UserNameTooLong { .. } => "Use a user with a shorter name.".into(),
            Self::PasswordUnusable { .. } => "Correct EXCLUDE_CHARACTERS or PASSWORD_LENGTH on the function.".into(),
            Self::ValueUnusable { .. } => "Make the secret smaller.".into(),
            Self::CredentialsRefused { user, .. } => format!(
                "Give {user} a password you know, as an administrator of the database, and store it: {}. Then rotate again.",
                store()
            ),
            Self::Login { whose: CredentialSource::Master(id), cause, .. } if cause.other_password_may_help() => {
                format!("Store the master user's right password in {}.", master_secret(id))
            }
            Self::Login { place, cause, whose: CredentialSource::Version(_), .. }
                if cause.is_remedied_in_the_secret() =>
            {
                edit_of_secret(&cause.remedy(&place.host, place.port))
            }
            Self::Login { place, cause, .. } => cause.remedy(&place.host, place.port),
            Self::Statement { place, cause, .. } => cause.remedy(&place.host, place.port),
        }
    }
}
