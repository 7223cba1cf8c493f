//! Fixtures: the users, the secrets and the function for one test on one server.

mod leak_scan;
mod measurement;
mod preflight;
mod rotations;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use anyhow::{Context, Result, bail};
use secretsmanager_emulator::Service;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::proxy::FaultProxy;
use crate::server::{Made, Server};
use leak_scan::Written;

/// The ARN of a fixture's master secret.
pub const MASTER_ARN: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:test/master-AbCdEf";
/// The ARN of a fixture's secret.
pub const SECRET_ARN: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:test/secret-AbCdEf";

/// The users and the database of one test on a server, and a Secrets Manager for that test alone.
pub struct Fixture<T: Server> {
    /// The server whose users the test rotates.
    pub target: T,
    /// The local Secrets Manager.
    pub service: Service,
    /// The base user, with a name that no other test uses.
    pub user: String,
    /// The master user, which is not a superuser.
    pub master: String,
    /// The database of the base user.
    pub database: String,
    written: Arc<Written>,
    /// The AWS secret access key and session token of the function.
    credentials: [String; 2],
    folder: TempDir,
    /// The length of the server's log when the fixture was created.
    log_start: AtomicU64,
    preflight_logins: preflight::PreflightLogins,
}

/// Checks that no password or credential of the test has been logged, and drops its users.
impl<T: Server> Drop for Fixture<T> {
    fn drop(&mut self) {
        let searched = self.search(&self.function_log(), "");
        // The cleanup runs on a separate thread with its own runtime, because a test may end inside
        // an async function.
        let (target, database) = (self.target.clone(), self.database.clone());
        let users = [self.alternate(), self.user.clone(), self.master.clone()];
        let dropped = std::thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                target.drop_databases(&database).await?;
                target.drop_users(&users).await;
                Ok(())
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("could not drop database {}", self.database);
        }
        if let Err(error) = searched
            && !std::thread::panicking()
        {
            panic!("{error:#}");
        }
    }
}

/// Generates a password that cannot be confused with any other text in a log. It has 30 bytes, the
/// limit of Oracle before 23ai.
pub fn new_password() -> String {
    format!("pw-{}", &Uuid::new_v4().simple().to_string()[..27])
}

/// Returns a part of a name that no other fixture uses.
pub fn unique() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}_{number}", &Uuid::new_v4().simple().to_string()[..8])
}

impl<T: Server> Fixture<T> {
    /// Creates a user, its database, a master user that may administer it, and both secrets.
    ///
    /// # Errors
    /// Returns an error if anything cannot be created.
    pub async fn new(target: &T) -> Result<Self> {
        let unique = unique();
        Self::with_user(target, &format!("app_{unique}"), &unique).await
    }

    /// Creates a fixture whose base user has the given name.
    ///
    /// # Errors
    /// Returns an error if anything cannot be created.
    pub async fn with_user(target: &T, user: &str, unique: &str) -> Result<Self> {
        let (password, masters_password) = (new_password(), new_password());
        let master = format!("master_{unique}");
        let database = target.database(unique);
        let log_start = target.log_length()?;
        let made = Made {
            user,
            password: &password,
            database: &database,
            master: &master,
            masters_password: &masters_password,
        };
        target.make(&made).await?;

        let folder = tempfile::tempdir()?;
        if let Some(authority) = target.authority() {
            std::fs::write(folder.path().join("authority.pem"), authority)?;
        }
        let fixture = Self {
            target: target.clone(),
            service: Service::start(0).await?,
            user: user.to_owned(),
            master: master.clone(),
            database,
            written: Arc::default(),
            credentials: [new_password(), new_password()],
            folder,
            log_start: log_start.into(),
            preflight_logins: Default::default(),
        };
        fixture.written.secrets.lock().unwrap_or_else(PoisonError::into_inner).extend(
            fixture.credentials.iter().cloned().chain([password.clone(), masters_password.clone()]),
        );
        let mut secret = fixture.secret(user, &password);
        secret["masterarn"] = MASTER_ARN.into();
        fixture.service.put_secret("test/secret", SECRET_ARN, &secret.to_string())?;
        let masters = fixture.secret(&master, &masters_password);
        fixture.service.put_secret("test/master", MASTER_ARN, &masters.to_string())?;
        Ok(fixture)
    }

    /// Returns the name of the alternate user.
    pub fn alternate(&self) -> String {
        format!("{}{}", self.user, T::ALTERNATE_SUFFIX)
    }

    /// Creates a fixture whose base user has many kinds of privileges and attributes.
    ///
    /// # Errors
    /// Returns an error if anything cannot be created.
    pub async fn rich(target: &T) -> Result<Self> {
        let fixture = Self::new(target).await?;
        let (user, master, database) = (&fixture.user, &fixture.master, &fixture.database);
        let password =
            fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
        target
            .enrich(&Made { user, password: &password, database, master, masters_password: "" })
            .await?;
        Ok(fixture)
    }

    /// Returns a secret for this server.
    pub fn secret(&self, user: &str, password: &str) -> Value {
        let (host, port) = self.target.address();
        let mut secret = json!({"engine": T::ENGINE, "host": host, "port": port,
            "username": user, "password": password, "dbname": self.database});
        if self.target.is_unencrypted() {
            secret["ssl"] = false.into();
        }
        secret
    }

    /// Stores a value as `AWSCURRENT`.
    ///
    /// # Errors
    /// Returns the service's error.
    pub fn store(&self, value: &Value) -> Result<()> {
        self.remember(value);
        // The service rejects a rotation if `AWSPENDING` stays on a version that is no longer
        // current.
        if let Some(pending) = self.version("AWSPENDING")?
            && self.version("AWSCURRENT")?.as_ref() == Some(&pending)
        {
            let request = json!({
                "SecretId": SECRET_ARN,
                "VersionStage": "AWSPENDING",
                "RemoveFromVersionId": pending,
            });
            self.service.perform("UpdateSecretVersionStage", &request)?;
        }
        // Two versions that were created in the same millisecond would have no order.
        std::thread::sleep(std::time::Duration::from_millis(2));
        self.service.perform(
            "PutSecretValue",
            &json!({"SecretId": SECRET_ARN, "SecretString": value.to_string()}),
        )?;
        Ok(())
    }

    /// Returns the id of the version that holds a staging label.
    ///
    /// # Errors
    /// Returns the service's error.
    pub fn version(&self, label: &str) -> Result<Option<String>> {
        let described = self.service.perform("DescribeSecret", &json!({"SecretId": SECRET_ARN}))?;
        let mut versions = described["VersionIdsToStages"].as_object().into_iter().flatten();
        let holds =
            |labels: &Value| labels.as_array().is_some_and(|labels| labels.contains(&label.into()));
        Ok(versions.find(|(_, labels)| holds(labels)).map(|(id, _)| id.clone()))
    }

    /// Changes keys of the current secret. The value `null` removes a key.
    ///
    /// # Errors
    /// Returns the service's error.
    pub fn change(&self, keys: &Value) -> Result<()> {
        let mut value = self.value("AWSCURRENT")?;
        for (key, new) in keys.as_object().into_iter().flatten() {
            match (new, value.as_object_mut()) {
                (Value::Null, Some(fields)) => drop(fields.remove(key)),
                (new, Some(fields)) => drop(fields.insert(key.clone(), new.clone())),
                _ => bail!("the secret is not a JSON object"),
            }
        }
        self.store(&value)
    }

    fn master_value(&self) -> Result<Value> {
        let answer = self.service.perform("GetSecretValue", &json!({"SecretId": MASTER_ARN}))?;
        Ok(serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default())?)
    }

    /// Returns the master user's password.
    ///
    /// # Errors
    /// Returns the service's error.
    pub fn master_password(&self) -> Result<String> {
        Ok(self.master_value()?["password"].as_str().unwrap_or_default().to_owned())
    }

    /// Changes keys of the master secret.
    ///
    /// # Errors
    /// Returns the service's error.
    pub fn change_master(&self, keys: &Value) -> Result<()> {
        let mut value = self.master_value()?;
        for (key, new) in keys.as_object().into_iter().flatten() {
            value[key] = new.clone();
        }
        let put = json!({"SecretId": MASTER_ARN, "SecretString": value.to_string()});
        self.service.perform("PutSecretValue", &put)?;
        Ok(())
    }

    /// Returns the value of the version that holds a staging label.
    ///
    /// # Errors
    /// Returns an error if no version holds it.
    pub fn value(&self, label: &str) -> Result<Value> {
        let answer = self
            .service
            .perform("GetSecretValue", &json!({"SecretId": SECRET_ARN, "VersionStage": label}))?;
        let value = serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default())?;
        self.remember(&value);
        Ok(value)
    }

    /// Starts a proxy in front of the server and changes both secrets so that they name it.
    ///
    /// # Errors
    /// Returns an error if no port is available.
    pub async fn start_fault_proxy(&self) -> Result<FaultProxy> {
        let (host, port) = self.target.address();
        let cutter = FaultProxy::start(host.to_owned(), port).await?;
        let change = json!({"port": cutter.address.port(), "host": "localhost"});
        self.change(&change)?;
        self.change_master(&change)?;
        Ok(cutter)
    }

    /// Logs in with the current secret value.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn log_in(&self) -> Result<T::Session> {
        self.log_in_with(&self.value("AWSCURRENT")?).await
    }

    /// Logs in with a secret value.
    ///
    /// # Errors
    /// Returns the server's error.
    pub async fn log_in_with(&self, value: &Value) -> Result<T::Session> {
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        let user = text("username");
        let session = self.target.connect(user, text("password"), text("dbname")).await;
        session.with_context(|| format!("logging in as {user}"))
    }
}
