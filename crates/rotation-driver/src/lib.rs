//! Runs a rotation function through the steps of a rotation, as Secrets Manager does.
//!
//! A [`Function`] is a program that uses the [Lambda Runtime API], or the URL of a Lambda Invoke
//! endpoint, such as that of `sam local start-lambda`. [`rotate_secret`] invokes it for the four
//! steps, and retries the whole rotation if a step fails. The secret is in the emulator of the
//! crate `secretsmanager-emulator`.
//!
//! This crate depends on no database engine and on no rotation strategy, so it can run any rotation
//! function: those of this project, AWS's or yours.
//!
//! # Example
//!
//! ```no_run
//! use rotation_driver::{Attempt, Function, Program, rotate_secret};
//! use secretsmanager_emulator::Service;
//! use serde_json::json;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let service = Service::start(0).await?;
//! service.perform("CreateSecret", &json!({"Name": "app", "SecretString": "the-value"}))?;
//! let request = json!({"SecretId": "app", "RotationLambdaARN": "my-function"});
//! let staged = service.perform("RotateSecret", &request)?;
//! let token = staged["VersionId"].as_str().unwrap_or_default();
//!
//! let function: Function = Program::new("target/release/my-function")
//!     .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", service.endpoint())
//!     .env("AWS_REGION", "us-east-1")
//!     .env("AWS_ACCESS_KEY_ID", "local")
//!     .env("AWS_SECRET_ACCESS_KEY", "local")
//!     .into();
//! let rotation =
//!     rotate_secret(&service, &function, "app", token, Attempt::default(), &mut ()).await;
//! assert_eq!(rotation.failed, None);
//! # Ok(())
//! # }
//! ```
//!
//! [Lambda Runtime API]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

mod chain;
mod function;
mod rotation;
mod trace_id;

pub use chain::{longest_chain, waves};
pub use function::{Function, FunctionError, Program};
pub use rotation::{Attempt, Observer, Rotation, STEPS, StepReport, rotate_secret, test_secret};
pub use trace_id::trace_id;
