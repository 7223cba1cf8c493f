//! The options of `demo`.

use std::path::PathBuf;

use clap::Args;

use crate::stage::database::Engine;

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
