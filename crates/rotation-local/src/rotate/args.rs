//! The options of `rotate`.

use std::path::PathBuf;

use clap::Args;

use crate::database_args::DatabaseArgs;

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
