//! The commands.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use serde_json::{Map, Value};

use crate::stage::database::Engine;
use crate::{bench, demo, preflight, progress, rotate, serve};

/// AWS Secrets Manager on loopback, and the trigger that drives a rotation function through its
/// four steps.
#[derive(Debug, Parser)]
#[command(name = "rotation-local", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure a function, alone or against another one, on a throw-away database server
    Bench(BenchArgs),
    /// Rotate secrets of a throw-away database server, and show the proof
    Demo(DemoArgs),
    /// See what would go wrong in a rotation of your own database, and change nothing
    Preflight(PreflightArgs),
    /// Rotate the secret of your own database
    Rotate(RotateArgs),
    /// Serve Secrets Manager for the AWS CLI and SDKs, and run rotations when asked
    Serve(ServeArgs),
}

impl Command {
    /// Returns `true` if standard output is for programs.
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

/// Options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The function [default: the engine's, beside this program]
    #[arg(long)]
    pub(crate) function: Option<PathBuf>,
    /// The command of another function to compare with, such as 'python3 -m awslambdaric
    /// lambda_function.lambda_handler'
    #[arg(long, value_name = "COMMAND")]
    pub(crate) against: Option<String>,
    /// How often each thing is measured
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) times: u32,
    /// How many milliseconds Secrets Manager takes for each answer
    #[arg(long, default_value_t = 10, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=1000))]
    pub(crate) api_latency: u64,
    /// The database server to measure on
    #[arg(long, value_enum, default_value = "postgres")]
    pub(crate) engine: Engine,
    /// Alternating users instead of a single one (a function that is not ours must be told so by
    /// its own settings)
    #[arg(long)]
    pub(crate) alternating: bool,
    /// Give the functions, once they have started, no more of the CPU than Lambda gives to so much
    /// memory (Linux, as root)
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u32).range(128..=10240))]
    pub(crate) memory: Option<u32>,
    /// Print the figures as JSON, times in milliseconds
    #[arg(long)]
    pub(crate) json: bool,
    /// Show the functions' log lines
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// Options of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// The database server to show it on
    #[arg(long, value_enum, default_value = "postgres")]
    pub(crate) engine: Engine,
    /// The function to drive [default: the engine's, beside this program]
    #[arg(long)]
    pub(crate) function: Option<PathBuf>,
    /// How often each secret is rotated
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) times: u32,
    /// Print the result as JSON; progress goes to standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// Show the function's log lines
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// Who changes passwords.
#[derive(Debug, Args)]
pub(crate) struct MasterArgs {
    /// A file with the master secret's JSON: for alternating users
    #[arg(long)]
    pub(crate) master: Option<PathBuf>,
    /// The master sets the password of one user, instead of keeping two that alternate
    #[arg(long, requires = "master")]
    pub(crate) by_master: bool,
}

impl MasterArgs {
    /// Returns `true` if two users take turns.
    pub(crate) fn alternates(&self) -> bool {
        self.master.is_some() && !self.by_master
    }

    /// The function's `ROTATION_STRATEGY`.
    pub(crate) fn strategy(&self) -> &'static str {
        match (&self.master, self.by_master) {
            (None, _) => "single-user",
            (Some(_), true) => "single-user-by-master",
            (Some(_), false) => "master-user",
        }
    }

    /// The master secret.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Map<String, Value>>> {
        self.master.as_deref().map(|path| rotate::read_json(path, "--master")).transpose()
    }
}

/// A person's own database, and how the function works on it.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// A file with the secret's JSON: engine, host, port, username, password, dbname
    #[arg(long)]
    pub(crate) secret: PathBuf,
    #[command(flatten)]
    pub(crate) master: MasterArgs,
    /// CA certificate of the database server, a PEM file [default: the variable TLS_CA_FILE]
    #[arg(long, value_name = "PATH")]
    pub(crate) ca: Option<PathBuf>,
    /// Show the function's log lines
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// Options of `rotate`.
#[derive(Debug, Args)]
pub(crate) struct RotateArgs {
    /// The function: a program, a command line, or the URL of a Lambda Invoke endpoint, URL#NAME to
    /// name the function there
    #[arg(long, value_name = "COMMAND-or-URL")]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// How often
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) times: u32,
    /// Where the new secret goes [default: back into the file of --secret]
    #[arg(long)]
    pub(crate) out: Option<PathBuf>,
    /// Do not ask before changing anything
    #[arg(long)]
    pub(crate) yes: bool,
    /// Discard an unfinished rotation, if the database does not have its password
    #[arg(long)]
    pub(crate) abandon: bool,
    /// Print the new secret with its password
    #[arg(long)]
    pub(crate) show_passwords: bool,
    /// Print the result as JSON; progress goes to standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// Port of the local Secrets Manager (for a function behind a URL, which must be told the
    /// endpoint)
    #[arg(long, default_value_t = 0)]
    pub(crate) port: u16,
}

/// Options of `preflight`.
#[derive(Debug, Args)]
pub(crate) struct PreflightArgs {
    /// The function: a program or a command line
    #[arg(long, value_name = "COMMAND")]
    pub(crate) function: String,
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Print the checks as JSON; progress goes to standard error
    #[arg(long)]
    pub(crate) json: bool,
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Port
    #[arg(long, default_value_t = 4680)]
    pub(crate) port: u16,
    /// Address to listen on; one that other machines reach needs --expose as well
    #[arg(long, default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
    /// Let other machines in: whoever has the credentials reads every secret, over HTTP without TLS
    #[arg(long)]
    pub(crate) expose: bool,
    /// Let Docker containers in, as SAM uses them, and write an environment file for SAM and the
    /// AWS CLI
    #[arg(long, conflicts_with = "any_credentials")]
    pub(crate) docker: bool,
    /// The environment file of --docker
    #[arg(long, value_name = "PATH", default_value = "rotation-local.env", requires = "docker")]
    pub(crate) env_file: PathBuf,
    /// A function: its name, and a program, a command line or the URL of a Lambda Invoke endpoint,
    /// URL#NAME to name the function there (may be given several times)
    #[arg(long = "function", value_name = "NAME=COMMAND-or-URL")]
    pub(crate) functions: Vec<String>,
    /// An environment variable of a function that is a program (may be given several times)
    #[arg(long = "env", value_name = "NAME:VARIABLE=VALUE")]
    pub(crate) environment: Vec<String>,
    /// Keep the secrets in a file, encrypted [default: in memory, gone at the end]
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// A file with the passphrase of --state [default: the variable ROTATION_LOCAL_PASSPHRASE]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// The account of every ARN
    #[arg(long, default_value = crate::service::ACCOUNT, value_parser = account)]
    pub(crate) account: String,
    /// How often a rotation is tried in all, from the first step on
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) attempts: u32,
    /// The pause before the second attempt, in seconds; it doubles after each
    #[arg(long, default_value_t = 0.5, value_name = "SECONDS", value_parser = positive)]
    pub(crate) pause: f64,
    /// How many seconds go by in one: lets rotation schedules come sooner
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR", value_parser = positive)]
    pub(crate) time_scale: f64,
    /// Let in anybody on this machine, whatever the credentials
    #[arg(long)]
    pub(crate) any_credentials: bool,
    /// Print one JSON object per line: that the service is ready, and each rotation as it begins
    /// and ends; everything else goes to standard error
    #[arg(long)]
    pub(crate) json: bool,
    /// Show the functions' log lines
    #[arg(long)]
    pub(crate) verbose: bool,
}

fn account(text: &str) -> Result<String, String> {
    let is_account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_account { Ok(text.to_owned()) } else { Err("an account has twelve digits".to_owned()) }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if (0.001..=1_000_000.0).contains(&number) => Ok(number),
        _ => Err("it must be a number from 0.001 to 1000000".to_owned()),
    }
}

/// Runs the command of the command line.
pub async fn main() -> ExitCode {
    // The driver of the demonstration and the certificates need one TLS provider; a second call
    // changes nothing.
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
