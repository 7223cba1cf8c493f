//! The options and subcommands of the command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value};

use crate::stage::database::Engine;
use crate::{bench, demo, preflight, progress, rotate, serve};

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
    /// Rotate secrets of a temporary database server, and print the evidence
    Demo(DemoArgs),
    /// Check whether a rotation of your own database would succeed, without changing anything
    Preflight(PreflightArgs),
    /// Rotate a secret in a file
    Rotate(RotateArgs),
    /// Serve Secrets Manager for the AWS CLI and SDKs, and run rotations
    Serve(ServeArgs),
}

impl Command {
    /// Returns `true` if the command prints JSON on standard output.
    fn prints_json(&self) -> bool {
        match self {
            Self::Bench(args) => args.json,
            Self::Demo(args) => args.json,
            Self::Preflight(args) => args.json,
            Self::Rotate(args) => args.json,
            Self::Serve(args) => args.json,
        }
    }
}

/// The options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Program of the function [default: the engine's function in the folder of this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) function: Option<PathBuf>,
    /// Command line of a function to compare with, such as 'python3 -m awslambdaric
    /// lambda_function.lambda_handler'
    #[arg(long, value_name = "COMMAND")]
    pub(crate) against: Option<String>,
    /// Number of measurements
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) times: u32,
    /// Time in milliseconds that Secrets Manager takes for each response
    #[arg(
        long,
        default_value_t = 10,
        value_name = "MILLISECONDS",
        value_parser = clap::value_parser!(u64).range(0..=1000)
    )]
    pub(crate) api_latency: u64,
    /// Database engine to measure with
    #[arg(long, value_enum, default_value = "postgres")]
    pub(crate) engine: Engine,
    /// Measure alternating users instead of a single user (configure a third-party function for
    /// them with its own settings)
    #[arg(long)]
    pub(crate) alternating: bool,
    /// Limit the CPU of the functions after their start to that of a Lambda function with this much
    /// memory (needs Linux and root)
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(128..=10240))]
    pub(crate) memory: Option<u32>,
    /// Print the measurements as JSON, with times in milliseconds
    #[arg(long)]
    pub(crate) json: bool,
    /// Show the functions' log lines
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// The options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Database engine to use
    #[arg(long, value_enum, default_value = "postgres")]
    pub(crate) engine: Engine,
    /// Program of the function [default: the engine's function in the folder of this program]
    #[arg(long, value_name = "PATH")]
    pub(crate) function: Option<PathBuf>,
    /// Number of rotations of each secret
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) times: u32,
    /// Print the result as JSON, and the progress on standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// Show the function's log lines
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// The options that select the rotation strategy.
#[derive(Debug, Args)]
pub(crate) struct MasterArgs {
    /// File with the master secret's JSON, for alternating users
    #[arg(long, value_name = "PATH")]
    pub(crate) master: Option<PathBuf>,
    /// Let the master user change the password of a single user, instead of alternating users
    #[arg(long, requires = "master")]
    pub(crate) by_master: bool,
}

impl MasterArgs {
    /// Returns `true` if the strategy is alternating users.
    pub(crate) fn alternates(&self) -> bool {
        self.master.is_some() && !self.by_master
    }

    /// Returns the function's `ROTATION_STRATEGY`.
    pub(crate) fn strategy(&self) -> &'static str {
        match (&self.master, self.by_master) {
            (None, _) => "single-user",
            (Some(_), true) => "single-user-by-master",
            (Some(_), false) => "master-user",
        }
    }

    /// Reads the master secret.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Map<String, Value>>> {
        self.master.as_deref().map(|path| rotate::read_json(path, "--master")).transpose()
    }
}

/// The options that describe the user's database.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// File with the secret's JSON (engine, host, port, username, password, dbname)
    #[arg(long, value_name = "PATH")]
    pub(crate) secret: PathBuf,
    #[command(flatten)]
    pub(crate) master: MasterArgs,
    /// PEM file with the CA certificate of the database server [default: the variable TLS_CA_FILE]
    #[arg(long, value_name = "PATH")]
    pub(crate) ca: Option<PathBuf>,
    /// Show the function's log lines
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// The options of `rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// Program or command line of the function, or the URL of a Lambda Invoke endpoint (URL#NAME
    /// sets the function's name at the endpoint)
    #[arg(long, value_name = "COMMAND|URL")]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Number of rotations
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) times: u32,
    /// File for the new secret [default: the file of --secret]
    #[arg(long, value_name = "PATH")]
    pub(crate) out: Option<PathBuf>,
    /// Rotate without confirmation
    #[arg(long)]
    pub(crate) yes: bool,
    /// Discard an unfinished rotation if the database does not have its password
    #[arg(long)]
    pub(crate) abandon: bool,
    /// Print the new secret, including its password
    #[arg(long)]
    pub(crate) show_passwords: bool,
    /// Print the result as JSON, and the progress on standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// Port of the local Secrets Manager, for a function at a URL, which needs the endpoint
    /// (0 for any free port)
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
}

/// The options of `preflight`.
#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    /// Program or command line of the function
    #[arg(long, value_name = "COMMAND")]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Print the checks as JSON, and the progress on standard error
    #[arg(long)]
    pub(crate) json: bool,
}

/// The options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Port to listen on
    #[arg(long, default_value_t = 4680)]
    pub(crate) port: u16,
    /// Address to listen on (an address that other machines can reach also needs --expose)
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
    /// Allow connections from other machines, which can read every secret with the printed
    /// credentials, over HTTP without TLS
    #[arg(long)]
    pub(crate) expose: bool,
    /// Allow connections from Docker containers, which SAM uses, and write an environment file for
    /// SAM and the AWS CLI
    #[arg(long, conflicts_with = "any_credentials")]
    pub(crate) docker: bool,
    /// Environment file of --docker
    #[arg(long, value_name = "PATH", default_value = "rotation-local.env", requires = "docker")]
    pub(crate) env_file: PathBuf,
    /// Name of a function, and its program, its command line or the URL of a Lambda Invoke endpoint
    /// (URL#NAME sets the function's name at the endpoint) (repeatable)
    #[arg(long = "function", value_name = "NAME=COMMAND|URL")]
    pub(crate) functions: Vec<String>,
    /// Environment variable of a function that is a program or command line (repeatable)
    #[arg(long = "env", value_name = "NAME:VARIABLE=VALUE")]
    pub(crate) environment: Vec<String>,
    /// Encrypted file that keeps the secrets [default: in memory until serve ends]
    #[arg(long, value_name = "PATH")]
    pub(crate) state: Option<PathBuf>,
    /// File with the passphrase of --state [default: the variable ROTATION_LOCAL_PASSPHRASE]
    #[arg(long, value_name = "PATH")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Account id in ARNs
    #[arg(long, default_value = secretsmanager_emulator::ACCOUNT, value_parser = account)]
    pub(crate) account: String,
    /// Maximum number of attempts of a rotation, including the first
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) attempts: u32,
    /// Pause before the second attempt in seconds (it doubles after each attempt)
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS", value_parser = positive)]
    pub(crate) pause: f64,
    /// Run the service clock FACTOR times faster, to test schedules
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = positive)]
    pub(crate) time_scale: f64,
    /// Accept any credentials from any user of this machine
    #[arg(long)]
    pub(crate) any_credentials: bool,
    /// Print one JSON object per line when the service is ready and when a rotation starts and
    /// ends, and everything else on standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// Show the functions' log lines
    #[arg(long)]
    pub(crate) verbose: bool,
}

fn account(text: &str) -> Result<String, String> {
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_account { Ok(text.to_owned()) } else { Err("an account id has twelve digits".to_owned()) }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.001..=1_000_000.0).contains(&number) => Ok(number),
        _ => Err("the value must be a number from 0.001 to 1000000".to_owned()),
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
        Command::Demo(args) => demo::demo(&args).await,
        Command::Preflight(args) => preflight::preflight(&args).await,
        Command::Rotate(args) => rotate::rotate(&args).await,
        Command::Serve(args) => serve::serve(&args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if error.is::<rotate::Interrupted>() { ExitCode::from(130) } else { ExitCode::FAILURE }
        }
    }
}
