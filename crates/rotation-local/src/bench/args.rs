//! The options of `bench`.

use std::path::PathBuf;

use clap::Args;

use crate::stage::database::Engine;

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
