//! The options that describe the user's database, and the function's environment for them.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use rotation_driver::Program;
use secretsmanager_emulator::Service;
use serde_json::{Map, Value};

use crate::files::read_json;
use crate::progress::say;
use crate::service_env::with_service_env;

pub(crate) const SECRET: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:local/secret-AbCdEf";
pub(crate) const MASTER: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:local/master-AbCdEf";

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
        self.master.as_deref().map(|path| read_json(path, "--master")).transpose()
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

/// Stores a master secret, and adds its ARN to the secret unless the secret names one.
pub(crate) fn put_master(
    service: &Service,
    secret: &mut Map<String, Value>,
    master: &Map<String, Value>,
) -> Result<()> {
    let arn = secret.get("masterarn").and_then(Value::as_str).unwrap_or(MASTER).to_owned();
    secret.insert("masterarn".into(), arn.as_str().into());
    Ok(service.put_secret("local/master", &arn, &Value::Object(master.clone()).to_string())?)
}

/// Sets the variables of a function that works on the user's database.
pub(crate) fn with_database_env(
    program: Program,
    service: &Service,
    key: &str,
    database: &DatabaseArgs,
) -> Program {
    let program = with_service_env(program, &service.endpoint(), key)
        .env("ROTATION_STRATEGY", database.master.strategy())
        // With these variables, remedies name rotation-local's commands instead of AWS's.
        .env("ROTATION_LOCAL_SECRET", database.secret.display().to_string());
    let program = match &database.master.master {
        Some(file) => program.env("ROTATION_LOCAL_MASTER", file.display().to_string()),
        None => program,
    };
    let program = match &database.ca {
        Some(file) => program.env("TLS_CA_FILE", file.display().to_string()),
        None => program,
    };
    if database.verbose { program.log(|line| say(&format!("      {line}"))) } else { program }
}
