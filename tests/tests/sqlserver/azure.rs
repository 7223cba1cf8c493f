//! Tests of Azure SQL Database, which has users of databases, but no server for the sync of logins.
//! The tests of the suite run there if `SQLSERVER_RELEASES` chooses it.

use anyhow::{Result, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::fixture::new_password;
use rotation_tests::server::NAMES;
use rotation_tests::sqlserver::{
    AZURE, FakeServer, Fixture, on_each_release, sql, tests_real_server, with_password,
};
use serde_json::json;
use test_servers::Certificates;

async fn azure() -> Result<FakeServer> {
    FakeServer::start_release(Some(AZURE), Some(Certificates::for_names(&NAMES)?), &[]).await
}

/// Creates a fixture whose secret has a login of the server, with a user in the database.
async fn with_login(fake: &FakeServer) -> Result<Fixture> {
    let fixture = Fixture::new(&fake.target).await?;
    let (password, name) = (new_password(), format!("login_{}", fixture.user));
    let (login, database) = (identifier(&name), identifier(&fixture.database));
    let mut admin = fake.target.admin("master").await?;
    let with = with_password(&password);
    sql(&mut admin, &format!("CREATE LOGIN {login} WITH {with}")).await?;
    sql(&mut admin, &format!("USE {database}; CREATE USER {login} FOR LOGIN {login}")).await?;
    fixture.change(&json!({"username": name, "password": password}))?;
    Ok(fixture)
}

#[tokio::test]
async fn login_with_master_user_is_not_supported_on_azure() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    let fake = azure().await?;
    for strategy in ["single-user-by-master", "master-user"] {
        let fixture = with_login(&fake).await?;
        let function = fixture.function(strategy);
        let error = fixture.expect(&function, "NeedsDecision", "CREATE USER").await?;
        ensure!(error.message.contains("Azure SQL Database"), "{}", error.message);
        let alternate = format!("login_{}", fixture.alternate());
        ensure!(!fake.target.has_login(&alternate).await?, "a login was created");
        fixture.log_in().await?;
    }
    Ok(())
}

/// Azure SQL Database changes the password of a login only in `master`.
#[tokio::test]
async fn login_changes_its_password_only_in_master_on_azure() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    let fake = azure().await?;
    let fixture = with_login(&fake).await?;
    let function = fixture.function("single-user");
    fixture.expect(&function, "NeedsDecision", "\"dbname\": \"master\"").await?;
    fixture.log_in().await?;
    let version = fixture.version("AWSPENDING")?.unwrap_or_default();
    fixture.give_up(&version)?;
    fixture.change(&json!({"dbname": "master"}))?;
    fixture.rotate(&function).await?;
    fixture.log_in().await?;
    Ok(())
}

/// A master user that is only an ordinary user of the database, in every state of its privileges.
#[tokio::test]
async fn missing_privilege_is_reported_on_azure() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    let fake = azure().await?;
    let fixture = Fixture::new(&fake.target).await?;
    let master = identifier(&fixture.master);
    let mut admin = fixture.admin().await?;
    let function = fixture.function("master-user");
    for permission in ["ALTER ANY USER", "VIEW DEFINITION", "VIEW SECURITY DEFINITION"] {
        sql(&mut admin, &format!("DENY {permission} TO {master}")).await?;
        let grant = format!("GRANT {permission} TO {master}");
        fixture.preflight_finds(&function, "PrivilegeMissing", &grant).await?;
        sql(&mut admin, &format!("REVOKE {permission} FROM {master}")).await?;
    }
    fixture.rotate(&function).await?;
    fixture.log_in().await?;
    Ok(())
}

/// The function reads no view that the release does not have, whatever it has to report.
#[tokio::test]
async fn missing_view_of_catalog_is_an_error() {
    on_each_release(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let mut session = fixture.log_in().await?;
        let known = sql(&mut session, "SELECT l.language FROM sys.external_languages l").await;
        let old = ["2017", AZURE].map(Some).contains(&target.release.as_deref());
        ensure!(known.is_err() == old, "{known:?}");
        Ok(())
    })
    .await;
}
