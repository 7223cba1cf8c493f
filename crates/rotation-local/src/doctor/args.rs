//! The options of `doctor`.

use clap::Args;

/// The options of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Region to examine [default: the Region of the environment or the profile]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<String>,
    /// Age in minutes from which an unfinished rotation is stuck, and not running just now
    #[arg(long, value_name = "MINUTES", default_value_t = 120)]
    pub(crate) stuck_after: u32,
    /// Prefix of the names of your deployed functions (the parameter functionName of the stack)
    #[arg(long, value_name = "PREFIX", default_value = "secrets-rotation")]
    pub(crate) function_name: String,
    /// Print the report as JSON, and the text on standard error
    #[arg(long)]
    pub(crate) json: bool,
}
