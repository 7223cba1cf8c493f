//! Tests of `docs/migrate.md`: they follow the page literally from each state that AWS's functions
//! leave behind.

use anyhow::{Context, Result, ensure};
use rotation_driver::Program;
use rotation_tests::discovery::use_one_tls_provider;
use rotation_tests::documentation::documented;
use rotation_tests::fixture::{Fixture, new_password};
use rotation_tests::local::{REGION, Serve, until};
use rotation_tests::mysql::{self, MariaDb, MySql};
use rotation_tests::runtime_emulator::Rie;
use rotation_tests::server::Server;
use rotation_tests::{binary, postgres};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::aws_functions::AwsFunctions;

/// The progress of the last rotation of AWS's function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The rotation is complete. With alternating users, the base user is current.
    Whole,
    /// The rotation is complete. The alternate user is current and has been used.
    CloneIsCurrent,
    /// `createSecret` has run. With alternating users, the alternate user does not exist yet.
    Created,
    /// `createSecret` has run, and `setSecret` has changed the password.
    Set,
}

/// Returns the shell blocks of the page.
fn commands() -> Result<[String; 5]> {
    Ok([
        documented("docs/migrate.md", "aws secretsmanager describe-secret")?,
        documented(
            "docs/migrate.md",
            "aws secretsmanager rotate-secret --secret-id my-app --rotation-lambda-arn NEW",
        )?,
        documented("docs/migrate.md", "aws secretsmanager cancel-rotate-secret")?,
        documented("docs/migrate.md", "aws lambda invoke")?,
        documented(
            "docs/migrate.md",
            "aws secretsmanager rotate-secret --secret-id my-app --rotation-lambda-arn OLD",
        )?,
    ])
}

fn arn(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:123456789012:function:{function}")
}

/// A database with a base user and a master user, and a Secrets Manager with the secret `my-app`.
struct Estate<T: Server> {
    fixture: Fixture<T>,
    serve: Serve,
    strategy: &'static str,
    /// The secret value of the base user.
    base: Value,
    folder: TempDir,
}

impl<T: AwsFunctions> Estate<T> {
    async fn new(target: &T, strategy: &'static str) -> Result<Self> {
        let fixture = Fixture::new(target).await?;
        let folder = tempfile::tempdir()?;
        let authority = folder.path().join("authority.pem");
        std::fs::write(&authority, target.authority().unwrap_or_default())?;
        let program = binary(T::BINARY);
        let [old, new] = ["old", "new"].map(|name| format!("{name}={}", program.display()));
        let [for_old, for_new] =
            ["old", "new"].map(|name| format!("{name}:ROTATION_STRATEGY={strategy}"));
        let arguments = [
            "--json",
            "--attempts",
            "1",
            "--function",
            &old,
            "--function",
            &new,
            "--env",
            &for_old,
            "--env",
            &for_new,
        ];
        let authority = authority.to_string_lossy();
        let serve = Serve::start_with(&arguments, &[("TLS_CA_FILE", &*authority)]).await?;
        let mut base = fixture.value("AWSCURRENT")?;
        let master = fixture.secret(&fixture.master, &fixture.master_password()?).to_string();
        let master =
            serve.client().create_secret().name("master").secret_string(master).send().await?;
        base["masterarn"] = master.arn.context("the master secret has no ARN")?.into();
        Ok(Self { fixture, serve, strategy, base, folder })
    }

    fn clone(&self, password: &str) -> Value {
        let mut value = self.base.clone();
        value["username"] = self.fixture.alternate().into();
        value["password"] = password.into();
        value
    }

    async fn log_in(&self, value: &Value) -> Result<T::Session> {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let session = self
            .fixture
            .target
            .connect(&text("username"), &text("password"), &self.fixture.database)
            .await;
        session.with_context(|| format!("{} cannot log in", value["username"]))
    }

    async fn master(&self) -> Result<T::Session> {
        let password = self.fixture.master_password()?;
        self.fixture.target.connect(&self.fixture.master, &password, &self.fixture.database).await
    }

    /// Stores a value with the staging label `AWSCURRENT` or `AWSPENDING`.
    async fn put(&self, value: &Value, label: &str) -> Result<()> {
        let put = self.serve.client().put_secret_value().secret_id("my-app");
        put.secret_string(value.to_string()).version_stages(label).send().await?;
        Ok(())
    }

    /// Leaves the database and the secret in the state in which AWS's function leaves them.
    async fn prepare(&self, state: State) -> Result<()> {
        let (serve, base) = (&self.serve, &self.base);
        let user = &self.fixture.user;
        let alternates = self.strategy == "master-user";
        if T::ENGINE == "postgres" {
            let schema = format!("CREATE SCHEMA made; GRANT ALL ON SCHEMA made TO \"{user}\"");
            self.fixture.target.administer(&self.fixture.database, &schema).await?;
        }
        let first = new_password();
        let create = serve.client().create_secret().name("my-app");
        if alternates && state != State::Created {
            T::create_clone(&mut self.master().await?, user, &first, &self.fixture.database)
                .await?;
        }
        match state {
            State::Whole if alternates => {
                create.secret_string(self.clone(&first).to_string()).send().await?;
                self.put(base, "AWSCURRENT").await?;
            }
            State::CloneIsCurrent => {
                create.secret_string(base.to_string()).send().await?;
                self.put(&self.clone(&first), "AWSCURRENT").await?;
                T::work_as_clone(&mut self.log_in(&self.clone(&first)).await?).await?;
            }
            State::Whole | State::Created | State::Set => {
                create.secret_string(base.to_string()).send().await?;
            }
        }
        let rotate =
            serve.client().rotate_secret().secret_id("my-app").rotation_lambda_arn(arn("old"));
        rotate.rotate_immediately(false).send().await?;
        self.finished(1).await?;
        if !matches!(state, State::Created | State::Set) {
            return Ok(());
        }
        let mut pending = if alternates { self.clone("") } else { base.clone() };
        pending["password"] = new_password().into();
        self.put(&pending, "AWSPENDING").await?;
        if state == State::Set {
            let text = |key: &str| pending[key].as_str().unwrap_or_default();
            T::set_password(&mut self.master().await?, text("username"), text("password")).await?;
        }
        Ok(())
    }

    /// Waits until the given number of rotations and tests have ended, and checks that the last one
    /// has passed.
    async fn finished(&self, count: usize) -> Result<()> {
        let event = until("the rotation ends", async || {
            let message = self.serve.output();
            let events =
                message.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            Ok(events.filter(|event| event["event"] == "finished").nth(count - 1))
        })
        .await?;
        ensure!(event["status"] == "passed", "{event:#}");
        Ok(())
    }

    async fn value(&self, label: &str) -> Result<Value> {
        let read = self.serve.client().get_secret_value().secret_id("my-app").version_stage(label);
        Ok(serde_json::from_str(read.send().await?.secret_string().unwrap_or_default())?)
    }

    /// Runs the command of the page that invokes preflight, on the Runtime Interface Emulator
    /// instead of the Lambda service. Returns the remedies.
    async fn preflight(&self, command: &str) -> Result<Vec<String>> {
        let program = Program::new(binary(T::BINARY))
            .env("SECRETS_MANAGER_ENDPOINT", self.serve.endpoint())
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", self.serve.key.as_str())
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("ROTATION_STRATEGY", self.strategy)
            .env("TLS_CA_FILE", self.folder.path().join("authority.pem").to_string_lossy());
        let rie = Rie::start(&binary(T::BINARY), &program).await?;
        let secret = self.serve.client().describe_secret().secret_id("my-app").send().await?;
        // The emulator has one function, with this name.
        let command = command
            .replace("NEW-FUNCTION", "function")
            .replace("ARN-OF-THE-SECRET", secret.arn().unwrap_or_default());
        // The option belongs to version 2 of the AWS CLI. The tests use version 1, which does not
        // need it.
        let command = command.replace("--cli-binary-format raw-in-base64-out", "");
        let text =
            self.serve.run_in_shell(&command, &[("AWS_ENDPOINT_URL_LAMBDA", &rie.endpoint())])?;
        let record = serde_json::Deserializer::from_str(&text).into_iter::<Value>().next();
        let record = record.context("preflight returned nothing")??;
        let checks = record["checks"].as_array().with_context(|| text.clone())?;
        ensure!(checks.len() > 5, "{record:#}");
        let bad = checks.iter().filter(|check| check["status"] == "failed");
        Ok(bad.filter_map(|check| check["remedy"].as_str().map(str::to_owned)).collect())
    }

    /// Follows the page, and then rotates twice.
    async fn migrate(&self, state: State) -> Result<()> {
        let [look, point, unfinished, preflight, back] = commands()?;
        let labels: Value = serde_json::from_str(&self.serve.run_in_shell(&look, &[])?)?;
        let versions = labels.as_object().context("the secret has no versions")?;
        let pending = versions.iter().find(|(_, labels)| {
            let has = |label: &str| {
                labels.as_array().is_some_and(|labels| labels.contains(&json!(label)))
            };
            has("AWSPENDING") && !has("AWSCURRENT")
        });
        ensure!(pending.is_some() == matches!(state, State::Created | State::Set), "{labels}");
        let commands = match pending {
            Some((version, _)) => unfinished.replace("VERSION-OF-AWSPENDING", version),
            None => point,
        };
        let before = self.value("AWSCURRENT").await?;
        self.serve.run_in_shell(&commands.replace("NEW-FUNCTION", &arn("new")), &[])?;
        self.finished(2).await?;
        let is_same = self.value("AWSCURRENT").await? == before;
        ensure!(
            is_same == pending.is_none(),
            "AWSCURRENT must change only if a rotation was unfinished"
        );
        for remedy in self.preflight(&preflight).await? {
            // The page says: "Run the statement as an administrator of the database, and ask
            // again."
            let (_, statement) =
                remedy.rsplit_once("allow the master user to do it: ").context(remedy.clone())?;
            self.fixture
                .target
                .administer(&self.fixture.database, statement.trim_end_matches('.'))
                .await?;
        }
        let remedies = self.preflight(&preflight).await?;
        ensure!(remedies.is_empty(), "{remedies:?}");
        for count in [3, 4] {
            self.serve.client().rotate_secret().secret_id("my-app").send().await?;
            self.finished(count).await?;
            self.log_in(&self.value("AWSCURRENT").await?).await?;
            if self.strategy == "master-user" {
                self.log_in(&self.value("AWSPREVIOUS").await?).await?;
            }
        }
        self.serve.run_in_shell(&back.replace("OLD-FUNCTION", &arn("old")), &[])?;
        self.finished(5).await?;
        // This is what AWS's function does next.
        let (current, password) = (self.value("AWSCURRENT").await?, new_password());
        let next = match (self.strategy, current["username"] == self.base["username"]) {
            ("master-user", true) => self.clone(&password),
            _ => {
                let mut value = self.base.clone();
                value["password"] = password.as_str().into();
                value
            }
        };
        let user = next["username"].as_str().unwrap_or_default();
        T::set_password(&mut self.master().await?, user, &password).await?;
        self.log_in(&next).await?;
        Ok(())
    }
}

/// The strategies, with the states in which their functions can leave a secret.
const CURRENT_CLONE: [(&str, State); 1] = [("master-user", State::CloneIsCurrent)];
const WHOLE: [(&str, State); 2] = [("master-user", State::Whole), ("single-user", State::Whole)];
const UNFINISHED: [(&str, State); 3] =
    [("master-user", State::Created), ("master-user", State::Set), ("single-user", State::Set)];

async fn migrates<T: AwsFunctions>(target: T, cases: &[(&'static str, State)]) -> Result<()> {
    for (strategy, state) in cases {
        let estate = Estate::new(&target, strategy).await?;
        let done = async {
            estate.prepare(*state).await.context("preparing")?;
            estate.migrate(*state).await
        };
        done.await.with_context(|| format!("{strategy}, {state:?}: {}", estate.serve.output()))?;
    }
    Ok(())
}

/// The AWS CLI is slow. Therefore each kind of state has its own test, and only the newest version
/// of PostgreSQL runs all of them.
async fn newest_postgres_migrates(cases: &[(&'static str, State)]) -> Result<()> {
    use_one_tls_provider();
    let target = postgres::targets().await?.pop().context("there is no server")?;
    migrates(target, cases).await
}

#[tokio::test]
async fn postgres_with_a_current_clone_is_migrated() {
    postgres::on_each(|target| migrates(target, &CURRENT_CLONE)).await;
}

#[tokio::test]
async fn postgres_after_complete_rotation_is_migrated() -> Result<()> {
    newest_postgres_migrates(&WHOLE).await
}

#[tokio::test]
async fn postgres_after_an_unfinished_rotation_is_migrated() -> Result<()> {
    newest_postgres_migrates(&UNFINISHED).await
}

#[tokio::test]
async fn mysql_with_a_current_clone_is_migrated() {
    mysql::on_each::<MySql, _>(|target| migrates(target, &CURRENT_CLONE)).await;
}

#[tokio::test]
async fn mysql_after_complete_rotation_is_migrated() {
    mysql::on_each::<MySql, _>(|target| migrates(target, &WHOLE)).await;
}

#[tokio::test]
async fn mysql_after_an_unfinished_rotation_is_migrated() {
    mysql::on_each::<MySql, _>(|target| migrates(target, &UNFINISHED)).await;
}

#[tokio::test]
async fn mariadb_with_a_current_clone_is_migrated() {
    mysql::on_each::<MariaDb, _>(|target| migrates(target, &CURRENT_CLONE)).await;
}

#[tokio::test]
async fn mariadb_after_complete_rotation_is_migrated() {
    mysql::on_each::<MariaDb, _>(|target| migrates(target, &WHOLE)).await;
}

#[tokio::test]
async fn mariadb_after_an_unfinished_rotation_is_migrated() {
    mysql::on_each::<MariaDb, _>(|target| migrates(target, &UNFINISHED)).await;
}
