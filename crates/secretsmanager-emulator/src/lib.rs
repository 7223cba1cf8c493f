//! An emulator of [AWS Secrets Manager] that speaks AWS JSON 1.1 over HTTP.
//!
//! Use this crate to test a client of Secrets Manager, or a rotation function, without an AWS
//! account. It depends only on the shape of the AWS API, so it can serve any client: an SDK, the
//! AWS CLI or `curl`. It runs no functions itself: when a rotation must start, it calls the
//! function that was set with [`Service::set_on_rotate`].
//!
//! - [`Service`] is the running emulator. It records calls and injects faults for tests.
//! - [`Store`] has the secrets: versions, staging labels, policies, tags and schedules.
//! - [`State`] keeps the secrets in an encrypted file.
//!
//! # Example
//!
//! ```
//! use secretsmanager_emulator::Service;
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> anyhow::Result<()> {
//! // Port 0 picks a free port. Clients connect to `service.endpoint()`.
//! let service = Service::start(0).await?;
//! // A test can also perform an operation without HTTP.
//! service.perform("CreateSecret", &json!({"Name": "app", "SecretString": "the-value"}))?;
//! let answer = service.perform("GetSecretValue", &json!({"SecretId": "app"}))?;
//! assert_eq!(answer["SecretString"], "the-value");
//! # Ok(())
//! # }
//! ```
//!
//! [AWS Secrets Manager]: https://docs.aws.amazon.com/secretsmanager/latest/userguide/intro.html

mod calls;
mod clock;
mod control;
mod error;
#[cfg(test)]
mod figures;
mod http;
mod keys;
mod kms;
mod listing;
mod model;
mod operations;
mod policy;
mod random_password;
mod registry;
mod replication;
mod replication_queue;
mod request;
mod rotations;
mod schedule;
mod scope;
mod secret;
mod service;
mod state;
mod store;

pub use calls::Call;
pub use error::ServiceError;
pub use keys::Keys;
pub use operations::StartRotation;
pub use operations::rotation::function_name;
pub use replication_queue::ReplicationControl;
pub use schedule::Window;
pub use secret::{CURRENT, Deletion, PENDING, PREVIOUS, Rotation, Secret, SecretValue, Version};
pub use service::{Fault, REGION, Service, When};
pub use state::State;
pub use store::{ACCOUNT, Change, Store};
