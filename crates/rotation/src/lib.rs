//! A framework for Lambda functions that rotate secrets of [AWS Secrets Manager].
//!
//! Use this crate to write a rotation function for any credential: a database password, an API key
//! or the PIN of a device. Implement the trait [`Rotator`] for your credential and pass it to
//! [`run()`] in `main`; the result is a Lambda function.
//!
//! Secrets Manager invokes a rotation function once for each step: `createSecret`, `setSecret`,
//! `testSecret` and `finishSecret`. This crate does everything that does not depend on the
//! credential:
//!
//! - It parses the event and checks the staging labels of the secret.
//! - It reads and stores the versions of the secret, and moves `AWSCURRENT`.
//! - It ends each step before Lambda's deadline and reports what the step was doing.
//! - It redacts secrets in everything that the function writes.
//! - It writes log lines and metrics, and reports errors with an `errorType` and a remedy.
//!
//! # Example
//!
//! A function that rotates the PIN of a door lock. The value of the secret is the PIN.
//!
//! ```no_run
//! use rotation::{
//!     Context, Done, Failure, Labels, Password, PasswordSettings, Result, Rotator, SecretValue,
//!     Versions,
//! };
//!
//! struct DoorLock {
//!     pin: PasswordSettings,
//! }
//!
//! impl Rotator for DoorLock {
//!     fn labels(&self) -> Labels {
//!         Labels { engine: "door-lock".into(), strategy: "single-pin".into() }
//!     }
//!
//!     fn password(&self) -> Option<&PasswordSettings> {
//!         Some(&self.pin)
//!     }
//!
//!     async fn create(
//!         &self,
//!         _: &Context<'_>,
//!         _: &SecretValue,
//!         random: Option<Password>,
//!     ) -> Result<SecretValue> {
//!         let no_pin = || Failure::new("NoPin", "no PIN was generated", "Rotate again.");
//!         Ok(SecretValue::new(random.ok_or_else(no_pin)?.expose()))
//!     }
//!
//!     async fn set(&self, cx: &Context<'_>, versions: &Versions) -> Result<Done> {
//!         cx.set_activity("changing the PIN of the lock");
//!         // An earlier attempt may have been interrupted after this change.
//!         if lock_accepts(versions.pending.expose()).await? {
//!             return Ok(Done::before("The lock already has the new PIN."));
//!         }
//!         change_pin(versions.current.expose(), versions.pending.expose()).await?;
//!         Ok(Done::now("Changed the PIN of the lock."))
//!     }
//!
//!     async fn test(&self, _: &Context<'_>, pending: &SecretValue) -> Result<Done> {
//!         match lock_accepts(pending.expose()).await? {
//!             true => Ok(Done::now("The lock accepts the new PIN.")),
//!             false => {
//!                 Err(Failure::new("PinRejected", "the lock rejects the PIN", "Reset it.").into())
//!             }
//!         }
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     rotation::run(|settings| {
//!         let mut pin = PasswordSettings::read(settings, 8, "")?;
//!         (pin.exclude_uppercase, pin.exclude_lowercase) = (true, true);
//!         pin.exclude_punctuation = true;
//!         Ok(DoorLock { pin })
//!     })
//! }
//! # async fn lock_accepts(_: &str) -> Result<bool> { Ok(true) }
//! # async fn change_pin(_: &str, _: &str) -> Result<()> { Ok(()) }
//! ```
//!
//! The crate `rotation-custom` rotates an API key, and `examples/redis_acl.rs` the password of a
//! Redis user. For databases, see the crate `rotation-database`.
//!
//! [AWS Secrets Manager]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html

mod assumed_role;
mod aws_error;
mod checks;
mod context;
mod deadline;
mod environment;
mod error;
mod event;
mod log;
mod manager;
mod metrics;
#[cfg(test)]
mod mocks;
pub mod operator;
mod password;
mod preflight;
mod record;
mod redact;
mod replicas;
mod rotator;
mod run;
mod secret;
pub mod settings;
mod staging;
mod step;
mod steps;
mod trust;

pub use aws_error::refused;
pub use checks::{Check, Checks, Status};
pub use context::Context;
pub use error::{Cause, Error, Failure, Result};
pub use event::{Event, RotationToken, VersionId};
pub use manager::Manager;
pub use password::PasswordSettings;
pub use record::{Done, Outcome, Record};
pub use redact::{mask, redact_derived};
pub use rotator::{Labels, Rotator, Versions};
pub use run::run;
pub use secret::{Password, SecretValue};
pub use staging::{CURRENT, PENDING, PREVIOUS};
pub use step::Step;
pub use steps::perform;
