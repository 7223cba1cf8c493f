//! Users, secrets and a function, for one test on one server.

mod foretold;
mod steps;
mod written;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use anyhow::{Context, Result, bail};
use rotation_local::Service;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::relay::Cutter;
use crate::server::{Made, Server};
use written::Written;

/// The ARN of the master secret of a scene.
pub const MASTER_ARN: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:test/master-AbCdEf";
/// The ARN of the secret of a scene.
pub const SECRET_ARN: &str =
    "arn:aws:secretsmanager:us-east-1:123456789012:secret:test/secret-AbCdEf";

/// One test's own corner of a server, and its own Secrets Manager.
pub struct Fixture<T: Server> {
    /// The server.
    pub target: T,
    /// Secrets Manager.
    pub service: Service,
    /// A user name that no other test has.
    pub user: String,
    /// A master that is no superuser.
    pub master: String,
    /// The user's own database.
    pub database: String,
    written: Arc<Written>,
    /// The function's own credentials.
    credentials: [String; 2],
    folder: TempDir,
    /// The length of the server's log when the scene began.
    log_start: AtomicU64,
    of_preflight: foretold::OfPreflight,
}

/// Whatever a test was about: no secret of it may stand anywhere in the end.
impl<T: Server> Drop for Fixture<T> {
    fn drop(&mut self) {
        let searched = self.search(&self.function_log(), "");
        // On a thread of its own: a test may end in the middle of anything.
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
            eprintln!("database {} was not dropped", self.database);
        }
        if let Err(error) = searched
            && !std::thread::panicking()
        {
            panic!("{error:#}");
        }
    }
}

/// Passwords that nothing else in a log looks like.
pub fn new_password() -> String {
    format!("pw-{}", Uuid::new_v4().simple())
}

/// A part of names that no other scene has.
pub fn unique() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{}_{number}", &Uuid::new_v4().simple().to_string()[..8])
}

impl<T: Server> Fixture<T> {
    /// Makes a user, its database, a master that may administer it, and both secrets.
    ///
    /// # Errors
    /// When anything cannot be made.
    pub async fn new(target: &T) -> Result<Self> {
        let unique = unique();
        Self::with_user(target, &format!("app_{unique}"), &unique).await
    }

    /// The same with a certain user name.
    ///
    /// # Errors
    /// When anything cannot be made.
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
        let scene = Self {
            target: target.clone(),
            service: Service::start(0).await?,
            user: user.to_owned(),
            master: master.clone(),
            database,
            written: Arc::default(),
            credentials: [new_password(), new_password()],
            folder,
            log_start: log_start.into(),
            of_preflight: Default::default(),
        };
        scene.written.secrets.lock().unwrap_or_else(PoisonError::into_inner).extend(
            scene.credentials.iter().cloned().chain([password.clone(), masters_password.clone()]),
        );
        let mut secret = scene.secret(user, &password);
        secret["masterarn"] = MASTER_ARN.into();
        scene.service.put_secret("test/secret", SECRET_ARN, &secret.to_string())?;
        let masters = scene.secret(&master, &masters_password);
        scene.service.put_secret("test/master", MASTER_ARN, &masters.to_string())?;
        Ok(scene)
    }

    /// The second of two alternating users.
    pub fn alternate(&self) -> String {
        format!("{}{}", self.user, T::ALTERNATE_SUFFIX)
    }

    /// A scene with a user that is hard to copy.
    ///
    /// # Errors
    /// When anything cannot be made.
    pub async fn rich(target: &T) -> Result<Self> {
        let scene = Self::new(target).await?;
        let (user, master, database) = (&scene.user, &scene.master, &scene.database);
        let password =
            scene.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
        target
            .enrich(&Made { user, password: &password, database, master, masters_password: "" })
            .await?;
        Ok(scene)
    }

    /// A secret for this server.
    pub fn secret(&self, user: &str, password: &str) -> Value {
        let (host, port) = self.target.place();
        let mut secret = json!({"engine": T::ENGINE, "host": host, "port": port,
            "username": user, "password": password, "dbname": self.database});
        if self.target.is_unencrypted() {
            secret["ssl"] = false.into();
        }
        secret
    }

    /// Stores another value as `AWSCURRENT`.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn store(&self, value: &Value) -> Result<()> {
        self.remember(value);
        // AWSPENDING left on a version that is no longer current would make the service refuse a
        // rotation.
        if let Some(pending) = self.version("AWSPENDING")?
            && self.version("AWSCURRENT")?.as_ref() == Some(&pending)
        {
            let request = json!({"SecretId": SECRET_ARN, "VersionStage": "AWSPENDING", "RemoveFromVersionId": pending});
            self.service.perform("UpdateSecretVersionStage", &request)?;
        }
        // Versions of one millisecond would have no order.
        std::thread::sleep(std::time::Duration::from_millis(2));
        self.service.perform(
            "PutSecretValue",
            &json!({"SecretId": SECRET_ARN, "SecretString": value.to_string()}),
        )?;
        Ok(())
    }

    /// The version that holds a label.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn version(&self, label: &str) -> Result<Option<String>> {
        let described = self.service.perform("DescribeSecret", &json!({"SecretId": SECRET_ARN}))?;
        let mut versions = described["VersionIdsToStages"].as_object().into_iter().flatten();
        let holds =
            |labels: &Value| labels.as_array().is_some_and(|labels| labels.contains(&label.into()));
        Ok(versions.find(|(_, labels)| holds(labels)).map(|(id, _)| id.clone()))
    }

    /// Changes keys of the current secret; `null` removes one.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn change(&self, keys: &Value) -> Result<()> {
        let mut value = self.value("AWSCURRENT")?;
        for (key, new) in keys.as_object().into_iter().flatten() {
            match (new, value.as_object_mut()) {
                (Value::Null, Some(fields)) => drop(fields.remove(key)),
                (new, Some(fields)) => drop(fields.insert(key.clone(), new.clone())),
                _ => bail!("the secret is no object"),
            }
        }
        self.store(&value)
    }

    fn master_value(&self) -> Result<Value> {
        let answer = self.service.perform("GetSecretValue", &json!({"SecretId": MASTER_ARN}))?;
        Ok(serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default())?)
    }

    /// The master's password.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn master_password(&self) -> Result<String> {
        Ok(self.master_value()?["password"].as_str().unwrap_or_default().to_owned())
    }

    /// Changes keys of the master secret.
    ///
    /// # Errors
    /// The service's refusal.
    pub fn change_master(&self, keys: &Value) -> Result<()> {
        let mut value = self.master_value()?;
        for (key, new) in keys.as_object().into_iter().flatten() {
            value[key] = new.clone();
        }
        let put = json!({"SecretId": MASTER_ARN, "SecretString": value.to_string()});
        self.service.perform("PutSecretValue", &put)?;
        Ok(())
    }

    /// The value that a label points at.
    ///
    /// # Errors
    /// When there is none.
    pub fn value(&self, label: &str) -> Result<Value> {
        let answer = self
            .service
            .perform("GetSecretValue", &json!({"SecretId": SECRET_ARN, "VersionStage": label}))?;
        let value = serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default())?;
        self.remember(&value);
        Ok(value)
    }

    /// Lets both secrets name a relay in front of the server.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn behind_a_relay(&self) -> Result<Cutter> {
        let (host, port) = self.target.place();
        let cutter = Cutter::start(host.to_owned(), port).await?;
        let change = json!({"port": cutter.address.port(), "host": "localhost"});
        self.change(&change)?;
        self.change_master(&change)?;
        Ok(cutter)
    }

    /// Logs in with the current value.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn log_in(&self) -> Result<T::Session> {
        self.log_in_with(&self.value("AWSCURRENT")?).await
    }

    /// Logs in with a value.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn log_in_with(&self, value: &Value) -> Result<T::Session> {
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        let user = text("username");
        let session = self.target.connect(user, text("password"), text("dbname")).await;
        session.with_context(|| format!("logging in as {user}"))
    }
}
