//! The four steps of an [AWS Secrets Manager rotation], for any credential.
//!
//! Secrets Manager invokes a rotation function once per step: `createSecret`, `setSecret`,
//! `testSecret`, `finishSecret`. This crate reads the event, checks the staging labels, reads and
//! writes the versions of the secret, moves `AWSCURRENT`, keeps the deadline, and tells what
//! happened. What the credential *is* (a database password, an API key, a device's PIN) is the
//! business of a [`Rotator`]; hand one to [`run()`] and the result is a Lambda function.
//!
//! [AWS Secrets Manager rotation]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html

mod context;
mod deadline;
mod error;
mod event;
mod log;
mod manager;
mod metrics;
pub mod operator;
mod password;
mod preflight;
mod record;
mod redact;
mod rotator;
mod run;
mod secret;
pub mod settings;
mod staging;
mod steps;
mod trust;

pub use context::Context;
pub use error::{Cause, Error, Failure, Result};
pub use event::{Event, RotationToken, Step, VersionId};
pub use manager::{Manager, refused};
pub use password::PasswordSettings;
pub use preflight::{Check, Checks, Found};
pub use record::{Done, Outcome, Record};
pub use redact::{mask, remember_derived};
pub use rotator::{Labels, Rotator, Versions};
pub use run::run;
pub use secret::{Password, SecretValue};
pub use staging::{CURRENT, PENDING, PREVIOUS};
pub use steps::perform;
