//! `rotation-local demo`: everything once, on a server that is thrown away.

mod database;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail};
use rand::distr::{Alphanumeric, SampleString};
use serde_json::{Value, json};

use crate::cli::DemoArgs;
use crate::function::Program;
use crate::progress::{Progress, say};
use crate::serve::program;
use crate::service::Service;
use crate::trigger::{Attempt, rotate_secret};

use database::{Database, Refusal};

pub(crate) use database::Engine;

pub(crate) async fn demo(args: &DemoArgs) -> Result<()> {
    let function = function_path(args.function.as_deref(), args.engine)?;
    let display = args.engine.display();
    say(&format!("A throw-away {display}, rotated through the real function\n"));

    let folder = tempfile::tempdir()?;
    let start = std::time::Instant::now();
    let database = Database::start(args.engine, &new_password()).await?;
    let seconds = start.elapsed().as_secs_f64();
    say(&format!("  {display} with TLS is up, on port {} of localhost ({seconds:.1} s)", database.port()));
    let authority = folder.path().join("authority.pem");
    std::fs::write(&authority, database.authority())?;
    let service = Service::start(0).await?;
    let key = service.require_key();
    let scene = Scene {
        database,
        service,
        authority,
        function,
        args,
        key,
        log: Arc::default(),
        passwords: Mutex::default(),
        on_purpose: AtomicUsize::new(0),
    };
    scene.make_users().await?;

    scene.rotate("single user", "single-user", "demo/single-user", "app").await?;
    scene.rotate("alternating users", "master-user", "demo/master-user", "shop").await?;
    scene.check_logs()?;
    say("\nAll proven. Nothing of it is left on this machine.");
    Ok(())
}

/// The function: as given, or beside this program.
fn function_path(given: Option<&Path>, engine: Engine) -> Result<PathBuf> {
    let path = match given {
        Some(path) => std::path::absolute(path)?,
        None => std::env::current_exe()?.with_file_name(format!("rotation-{}", engine.name())),
    };
    if !path.exists() {
        bail!(
            "there is no function {}: build it first (cargo build), or name one with --function",
            path.display()
        );
    }
    Ok(path)
}

fn new_password() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 24)
}

struct Scene<'a> {
    database: Database,
    service: Service,
    authority: PathBuf,
    function: PathBuf,
    args: &'a DemoArgs,
    /// Opens the service.
    key: String,
    /// What the function has written.
    log: Arc<Mutex<String>>,
    /// Every password that a rotation has made.
    passwords: Mutex<Vec<String>>,
    /// Logins that the proof itself let fail.
    on_purpose: AtomicUsize,
}

const MASTER_ARN: &str = "arn:aws:secretsmanager:us-east-1:123456789012:secret:demo/master-AbCdEf";

impl Scene<'_> {
    /// Two applications' users and a master that is no superuser, each with its secret.
    async fn make_users(&self) -> Result<()> {
        let (app, shop, master) = (new_password(), new_password(), new_password());
        self.database.make_users(&app, &shop, &master).await?;
        let secret = |user: &str, password: &str| {
            json!({"engine": self.args.engine.name(), "host": "localhost", "port": self.database.port(),
                "username": user, "password": password, "dbname": "shop"})
        };
        let mut alternating = secret("shop", &shop);
        alternating["masterarn"] = MASTER_ARN.into();
        for (name, value) in [("demo/single-user", secret("app", &app)), ("demo/master-user", alternating)] {
            let arn = format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:{name}-AbCdEf");
            self.service.put_secret(name, &arn, &value.to_string())?;
        }
        self.service.put_secret("demo/master", MASTER_ARN, &secret("master", &master).to_string())?;
        say("  users app, shop and master (no superuser) are made, and their secrets stored");
        Ok(())
    }

    async fn rotate(&self, title: &str, strategy: &str, secret: &str, user: &str) -> Result<()> {
        say(&format!("\n{title}: user {user}, {} rotations", self.args.times));
        let function = self.program(strategy).into();
        for time in 1..=self.args.times {
            let (before, labels_before) = (self.current(secret)?, self.labels(secret)?);
            self.service.forget_calls();
            let staged = self
                .service
                .perform("RotateSecret", &json!({"SecretId": secret, "RotationLambdaARN": "demo"}))?;
            let token = staged["VersionId"].as_str().unwrap_or_default();
            say(&format!("  rotation {time}"));
            let rotation = rotate_secret(
                &self.service,
                &function,
                secret,
                token,
                Attempt::default(),
                &mut Progress::default(),
            )
            .await;
            if rotation.failed.is_some() {
                bail!("the rotation failed; its error stands above");
            }
            let total: u128 = rotation.steps.iter().map(|step| step.took.as_millis()).sum();
            say(&format!("    {} ms in all, {} Secrets Manager calls", total, self.service.calls().len()));
            say(&format!("    labels before  {labels_before}\n    labels after   {}", self.labels(secret)?));
            let after = self.current(secret)?;
            self.passwords
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(after["password"].as_str().map(str::to_owned));
            self.prove(&before, &after).await?;
        }
        Ok(())
    }

    /// The proof, by logging in.
    async fn prove(&self, before: &Value, after: &Value) -> Result<()> {
        let text = |secret: &Value, key: &str| secret[key].as_str().unwrap_or_default().to_owned();
        let (old_user, user) = (text(before, "username"), text(after, "username"));
        let refused = self.database.failed_logins()? - self.on_purpose.load(Ordering::Relaxed);
        say(&format!("    failed logins seen by the server: {refused}"));
        if refused != 0 {
            bail!("the rotation caused failed logins");
        }
        let session = self.database.log_in(&user, &text(after, "password")).await;
        let session = session.map_err(|refusal| refusal.into_error("the new password is refused"))?;
        say(&format!(
            "    the new password of {user} is accepted (logs in as {}, acts as {})",
            session.login, session.acts_as
        ));
        match (self.database.log_in(&old_user, &text(before, "password")).await, old_user == user) {
            (Err(Refusal::Password), true) => {
                // The one failed login of this rotation, made on purpose.
                self.on_purpose.fetch_add(1, Ordering::Relaxed);
                say(&format!("    the old password of {old_user} is refused"));
            }
            (Ok(_), true) => bail!("the old password of {old_user} is still accepted"),
            (Ok(_), false) => {
                say(&format!("    the previous user {old_user} still works until the next rotation"))
            }
            (Err(refusal), _) => return Err(refusal.into_error("logging in as the previous user")),
        }
        Ok(())
    }

    fn program(&self, strategy: &str) -> Program {
        let log = Arc::clone(&self.log);
        let verbose = self.args.verbose;
        program(&self.function.to_string_lossy(), &self.service.endpoint(), &self.key)
            .env("ROTATION_STRATEGY", strategy)
            .env("TLS_CA_FILE", self.authority.to_string_lossy())
            .log(move |line| {
                if verbose {
                    say(&format!("      {line}"));
                }
                let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                log.push_str(line);
                log.push('\n');
            })
    }

    fn current(&self, secret: &str) -> Result<Value> {
        let answer = self.service.perform("GetSecretValue", &json!({"SecretId": secret}))?;
        Ok(serde_json::from_str(answer["SecretString"].as_str().unwrap_or_default())?)
    }

    /// Labels with the first characters of the version that holds them.
    fn labels(&self, secret: &str) -> Result<String> {
        let answer = self.service.perform("DescribeSecret", &json!({"SecretId": secret}))?;
        let mut labels = Vec::new();
        for (version, names) in answer["VersionIdsToStages"].as_object().into_iter().flatten() {
            let version: String = version.chars().take(8).collect();
            labels.extend(
                names
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .map(|name| format!("{name} {version}")),
            );
        }
        labels.sort();
        Ok(labels.join(", "))
    }

    /// No password stands in any log.
    fn check_logs(&self) -> Result<()> {
        let server = self.database.log()?;
        let function = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let passwords = self.passwords.lock().unwrap_or_else(PoisonError::into_inner);
        if passwords.is_empty() || function.is_empty() || !server.contains("shop_clone") {
            bail!("the logs hold nothing that could be searched");
        }
        say(&format!(
            "\n  the server's log ({} lines, every statement logged) and the function's ({} lines) hold none of the {} passwords",
            server.lines().count(),
            function.lines().count(),
            passwords.len()
        ));
        if passwords
            .iter()
            .any(|password| server.contains(password.as_str()) || function.contains(password.as_str()))
        {
            bail!("a password stands in a log");
        }
        Ok(())
    }
}
