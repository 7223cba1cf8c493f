//! Tests of logins whose session runs as another account.

use anyhow::ensure;
use rotation_sqlserver::identifier;
use rotation_tests::server::{NAMES, Server};
use rotation_tests::sqlserver::{Fixture, on_each, sql, with_password};
use test_servers::Certificates;

/// The server behaves like a proxy that logs in to the database with its own login.
#[tokio::test]
async fn password_of_other_session_account_is_not_changed() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a proxy");
            return Ok(());
        }
        let certificates = Certificates::for_names(&NAMES)?;
        let fake =
            target.start_another(Some(certificates), &["--alias", "alias_user=shared"]).await?;
        let fixture = Fixture::with_user(&fake.target, "alias_user", "shared_login").await?;
        let password =
            fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
        let mut admin = fake.target.admin("master").await?;
        let with = with_password(&password);
        sql(&mut admin, &format!("CREATE LOGIN shared WITH {with}, CHECK_POLICY = OFF")).await?;
        let database = identifier(&fixture.database);
        sql(&mut admin, &format!("USE {database}; CREATE USER shared FOR LOGIN shared")).await?;
        let function = fixture.function("single-user");
        let error = fixture.expect(&function, "NeedsDecision", "\"username\"").await?;
        ensure!(
            error.message.contains("runs the session of alias_user as the account shared"),
            "{}",
            error.message
        );
        // Neither password has changed.
        fake.target.connect("shared", &password, &fixture.database).await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}
