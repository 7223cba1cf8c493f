//! The command line `rotation-local`: a local AWS Secrets Manager that runs rotation functions.
//!
//! The commands are in [`cli`]. This crate puts together what three others provide: the emulator of
//! Secrets Manager (`secretsmanager-emulator`), the driver that runs a function through a rotation
//! (`rotation-driver`), and temporary database servers (`test-servers`). It does not depend on the
//! rotation crates, so it can run any rotation function.

mod activity;
mod bench;
pub mod cli;
mod completions;
mod database_args;
mod demo;
mod docker;
mod doctor;
mod files;
mod journal;
mod man_pages;
mod page;
mod preflight;
mod progress;
mod report;
mod rotate;
mod serve;
mod service_env;
mod stage;
