//! Tests of common users, which exist in every container of a multitenant database.

use anyhow::{Context, Result, ensure};
use rotation_tests::fixture::{new_password, unique};
use rotation_tests::oracle::{FakeServer, Fixture, SERVICE, Target, on_each, quoted, rows, sql};
use rotation_tests::server::{NAMES, Server};
use serde_json::json;
use test_servers::Certificates;

/// The service of the root.
const ROOT: &str = "CDB1";

/// A fixture in a pluggable database, and a common user in the secret.
struct CommonUser {
    // The fixture reads the log of the server when it is dropped.
    fixture: Fixture,
    fake: FakeServer,
    name: String,
}

impl CommonUser {
    async fn new(target: &Target) -> Result<Self> {
        let certificates = Certificates::for_names(&NAMES)?;
        let fake = target.start_another(Some(certificates), &["--root", ROOT]).await?;
        let fixture = Fixture::new(&fake.target).await?;
        let (name, password) = (format!("c##app_{}", unique()), new_password());
        let user = quoted(&name);
        let mut root = fake.target.log_in("system", &fake.target.password, ROOT).await?;
        for statement in [
            format!("CREATE USER {user} IDENTIFIED BY \"{password}\""),
            format!("GRANT CREATE SESSION TO {user} CONTAINER = ALL"),
        ] {
            sql(&mut root, &statement).await?;
        }
        fixture.change(&json!({"username": name, "password": password, "dbname": ROOT}))?;
        Ok(Self { fixture, fake, name })
    }

    /// Makes the secrets name the root. Only a common user can be the master user there.
    fn use_root(&self) -> Result<()> {
        self.fixture.change(&json!({"dbname": ROOT}))?;
        self.fixture.change_master(&json!({
            "username": "system",
            "password": self.fake.target.password,
            "dbname": ROOT,
        }))
    }

    /// Logs in to the root and to the pluggable database with the current password.
    async fn log_in_everywhere(&self) -> Result<()> {
        let value = self.fixture.value("AWSCURRENT")?;
        let password = value["password"].as_str().unwrap_or_default();
        for service in [ROOT, SERVICE] {
            self.fake.target.log_in(&self.name, password, service).await?;
        }
        Ok(())
    }
}

/// A GRANT in the root gives a privilege in the root only, so the alternate user could not log in
/// to the pluggable databases.
#[tokio::test]
async fn common_users_do_not_alternate() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs the root of a multitenant database");
            return Ok(());
        }
        let common = CommonUser::new(&target).await?;
        common.use_root()?;
        let function = common.fixture.function("master-user");
        let error = common.fixture.expect(&function, "NeedsDecision", "single user").await?;
        ensure!(error.message.contains("is a common user"), "{}", error.message);
        let clone = format!("{}_CLONE", common.name.to_uppercase());
        let query = "SELECT username FROM dba_users WHERE username = :1";
        let mut root =
            common.fake.target.log_in("system", &common.fake.target.password, ROOT).await?;
        assert!(rows(&mut root, query, &clone).await?.is_empty(), "{clone} was created");
        common.log_in_everywhere().await
    })
    .await;
}

/// The password of a common user can be changed in the root only.
#[tokio::test]
async fn common_user_rotates_in_root_only() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs the root of a multitenant database");
            return Ok(());
        }
        for strategy in ["single-user", "single-user-by-master"] {
            let common = CommonUser::new(&target).await?;
            let fixture = &common.fixture;
            let function = fixture.function(strategy);
            fixture.change(&json!({"dbname": SERVICE}))?;
            let error = fixture.expect(&function, "NeedsDecision", "service of the root").await?;
            ensure!(error.message.contains("common user"), "{}", error.message);
            fixture.preflight_finds(&function, "NeedsDecision", "service of the root").await?;
            common.log_in_everywhere().await?;
            fixture.give_up(&fixture.version("AWSPENDING")?.context("no version is pending")?)?;
            common.use_root()?;
            fixture.rotate(&function).await?;
            common.log_in_everywhere().await?;
        }
        Ok(())
    })
    .await;
}
