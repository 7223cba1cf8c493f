//! The options of `serve`.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;

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
