//! The options and subcommands of the command line.

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::bench::BenchArgs;
use crate::completions::CompletionsArgs;
use crate::demo::DemoArgs;
use crate::doctor::DoctorArgs;
use crate::man_pages::ManPagesArgs;
use crate::preflight::PreflightArgs;
use crate::rotate::RotateArgs;
use crate::serve::ServeArgs;
use crate::{bench, completions, demo, doctor, man_pages, preflight, progress, rotate, serve};

/// A local AWS Secrets Manager that runs rotation functions
#[derive(Debug, Parser)]
#[command(name = "rotation-local", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure a function on a temporary database server, and compare it with another one
    Bench(BenchArgs),
    /// Print a shell completion script
    Completions(CompletionsArgs),
    /// Rotate secrets of a temporary database server, and print the evidence
    Demo(DemoArgs),
    /// Report on the rotations of an AWS account or of the local service, without changing anything
    Doctor(DoctorArgs),
    /// Write the manual pages of all commands
    ManPages(ManPagesArgs),
    /// Check whether a rotation of your own database would succeed, without changing anything
    Preflight(PreflightArgs),
    /// Rotate the password of your own database, with the secret in a file
    Rotate(RotateArgs),
    /// Serve Secrets Manager for the AWS CLI and SDKs, and run rotations
    Serve(ServeArgs),
}

impl Command {
    /// Returns `true` if the command prints JSON on standard output.
    fn prints_json(&self) -> bool {
        match self {
            Self::Bench(args) => args.json,
            Self::Completions(_) | Self::ManPages(_) => false,
            Self::Demo(args) => args.json,
            Self::Doctor(args) => args.json,
            Self::Preflight(args) => args.json,
            Self::Rotate(args) => args.json,
            Self::Serve(args) => args.json,
        }
    }
}

/// Parses the command line and runs the command.
pub async fn main() -> ExitCode {
    // The database driver of the demo and the certificates need a TLS provider. If one is installed
    // already, this call has no effect.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let command = Cli::parse().command;
    if command.prints_json() {
        progress::to_standard_error();
    }
    let done = match command {
        Command::Bench(args) => bench::bench(&args).await,
        Command::Completions(args) => completions::completions(&args, Cli::command()),
        Command::Demo(args) => demo::demo(&args).await,
        Command::Doctor(args) => Box::pin(doctor::doctor(&args)).await,
        Command::ManPages(args) => man_pages::man_pages(&args, Cli::command()),
        Command::Preflight(args) => preflight::preflight(&args).await,
        Command::Rotate(args) => rotate::rotate(&args).await,
        Command::Serve(args) => serve::serve(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<rotate::Interrupted>() {
                ExitCode::from(130)
            } else if error.is::<doctor::Findings>() {
                ExitCode::from(3)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}
