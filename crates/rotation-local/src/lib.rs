//! A local AWS Secrets Manager, and a driver that runs a rotation function as the service does.
//!
//! A function is any program that uses the [Lambda Runtime API][runtime], or the URL of a Lambda
//! Invoke endpoint. This crate does not depend on the rotation crates, so it can run any rotation
//! function.
//!
//! [runtime]: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

mod activity;
mod bench;
mod chain;
pub mod cli;
mod demo;
mod docker;
mod function;
mod journal;
mod page;
mod preflight;
mod progress;
mod report;
mod rotate;
mod serve;
mod stage;
mod trigger;

pub use chain::longest_chain;
pub use function::{Function, FunctionError, Program};
pub use trigger::{Attempt, Observer, Rotation, StepReport, rotate_secret};
