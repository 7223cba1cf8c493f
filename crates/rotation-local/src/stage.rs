//! The sandbox of `demo` and `bench`: a temporary database server with users, and a local Secrets
//! Manager with their secrets.

pub(crate) mod database;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rand::distr::{Alphanumeric, SampleString};
use rotation_driver::Program;
use secretsmanager_emulator::Service;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::service_env::with_service_env;
use database::{Database, Engine};

/// The secret of the single user `app`.
pub(crate) const SINGLE: &str = "demo/single-user";
/// The secret of two alternating users. The base user is `shop`.
pub(crate) const ALTERNATING: &str = "demo/master-user";
const MASTER_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/master-AbCdEf";

/// The servers and secrets that a function needs. Dropping it stops the database server and deletes
/// its files.
pub(crate) struct Sandbox {
    pub(crate) engine: Engine,
    pub(crate) database: Database,
    pub(crate) service: Service,
    /// The time that the database server took to start.
    pub(crate) took: Duration,
    /// The access key id that the service requires.
    pub(crate) key: String,
    authority: PathBuf,
    _folder: TempDir,
}

impl Sandbox {
    /// Starts a database server with TLS. Creates the users of two applications and a master user
    /// that is not a superuser, and a secret for each of them.
    pub(crate) async fn set_up(engine: Engine) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let start = Instant::now();
        let database = Database::start(engine, &new_password()).await?;
        let took = start.elapsed();
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, database.authority())?;
        let service = Service::start(0).await?;
        let key = service.require_key();
        let stage = Self { engine, database, service, took, key, authority, _folder: folder };
        stage.create_users().await?;
        Ok(stage)
    }

    async fn create_users(&self) -> Result<()> {
        let (app, shop, master) = (new_password(), new_password(), new_password());
        self.database.create_users(&app, &shop, &master).await?;
        let secret = |user: &str, password: &str| {
            json!({"engine": self.engine.name(), "host": "localhost", "port": self.database.port(),
                "username": user, "password": password, "dbname": "shop"})
        };
        let mut alternating = secret("shop", &shop);
        alternating["masterarn"] = MASTER_ARN.into();
        for (name, value) in [(SINGLE, secret("app", &app)), (ALTERNATING, alternating)] {
            self.service.put_secret(name, &self.arn(name), &value.to_string())?;
        }
        Ok(self.service.put_secret(
            "demo/master",
            MASTER_ARN,
            &secret("master", &master).to_string(),
        )?)
    }

    /// Sets the variables with which a function finds the service and trusts the database server.
    pub(crate) fn with_service_env(&self, program: Program, strategy: &str) -> Program {
        with_service_env(program, &self.service.endpoint(), &self.key)
            .env("ROTATION_STRATEGY", strategy)
            .env("TLS_CA_FILE", self.authority.to_string_lossy())
    }

    /// Starts a rotation, and returns the id of its version.
    pub(crate) fn begin(&self, secret: &str) -> Result<String> {
        let request = json!({"SecretId": secret, "RotationLambdaARN": "demo"});
        let staged = self.service.perform("RotateSecret", &request)?;
        Ok(staged["VersionId"].as_str().unwrap_or_default().to_owned())
    }

    /// Returns the ARN of a secret.
    pub(crate) fn arn(&self, secret: &str) -> String {
        format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{secret}-AbCdEf")
    }

    /// Returns the current value of a secret.
    pub(crate) fn current(&self, secret: &str) -> Result<Value> {
        let answer = self.service.perform("GetSecretValue", &json!({"SecretId": secret}))?;
        Ok(serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default())?)
    }
}

/// Returns the path of the function: the given one, or the engine's function in the folder of this
/// program.
pub(crate) fn function_path(given: Option<&Path>, engine: Engine) -> Result<PathBuf> {
    let path = match given {
        Some(path) => std::path::absolute(path)?,
        None => std::env::current_exe()?.with_file_name(format!("rotation-{}", engine.name())),
    };
    if !path.exists() {
        bail!(
            "there is no function {}; build it with cargo build, or name one with --function",
            path.display()
        );
    }
    Ok(path)
}

fn new_password() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 24)
}
