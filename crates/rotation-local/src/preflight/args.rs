//! The options of `preflight`.

use clap::Args;

use crate::database_args::DatabaseArgs;

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
