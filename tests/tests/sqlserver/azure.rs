//! Tests of Azure SQL Database, which has users of databases, but no server for the sync of logins.

use anyhow::{Result, ensure};
use rotation_tests::fixture::new_password;
use rotation_tests::server::{NAMES, Server};
use rotation_tests::sqlserver::{FakeServer, Fixture, Target, on_each, sql, with_password};
use serde_json::json;
use test_servers::Certificates;

/// Creates a fixture on a fake server that behaves like Azure SQL Database.
async fn azure(target: &Target) -> Result<Option<(FakeServer, Fixture)>> {
    if target.log().is_none() {
        println!("skipped: that server is not Azure SQL Database");
        return Ok(None);
    }
    let certificates = Certificates::for_names(&NAMES)?;
    let fake = FakeServer::start(Some(certificates), &["--azure"]).await?;
    let fixture = Fixture::new(&fake.target).await?;
    fixture.change_master(&json!({"dbname": fixture.database}))?;
    Ok(Some((fake, fixture)))
}

#[tokio::test]
async fn users_of_azure_database_are_rotated() {
    on_each(|target| async move {
        for strategy in ["single-user", "single-user-by-master", "master-user"] {
            let Some((_fake, fixture)) = azure(&target).await? else { return Ok(()) };
            let password = new_password();
            let mut admin = fixture.admin().await?;
            let with = with_password(&password);
            sql(&mut admin, &format!("CREATE USER [database user] WITH {with}")).await?;
            sql(&mut admin, "GRANT SELECT ON present TO [database user]").await?;
            fixture.change(&json!({"username": "database user", "password": password}))?;
            for _ in 0..3 {
                fixture.rotate(&fixture.function(strategy)).await?;
                sql(&mut fixture.log_in().await?, "SELECT * FROM present").await?;
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn login_with_master_user_is_not_supported_on_azure() {
    on_each(|target| async move {
        for strategy in ["single-user-by-master", "master-user"] {
            let Some((fake, fixture)) = azure(&target).await? else { return Ok(()) };
            let function = fixture.function(strategy);
            let error = fixture.expect(&function, "NeedsDecision", "CREATE USER").await?;
            ensure!(error.message.contains("Azure SQL Database"), "{}", error.message);
            ensure!(!fake.target.has_login(&fixture.alternate()).await?, "a login was created");
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// Azure SQL Database changes the password of a login only in `master`.
#[tokio::test]
async fn login_changes_its_password_only_in_master_on_azure() {
    on_each(|target| async move {
        let Some((_fake, fixture)) = azure(&target).await? else { return Ok(()) };
        let function = fixture.function("single-user");
        fixture.expect(&function, "NeedsDecision", "\"dbname\": \"master\"").await?;
        fixture.log_in().await?;
        let version = fixture.version("AWSPENDING")?.unwrap_or_default();
        fixture.give_up(&version)?;
        fixture.change(&json!({"dbname": "master"}))?;
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}
