//! Tests of logins whose session runs as another account, and of the master user under another
//! spelling.

use anyhow::ensure;
use rotation_tests::fixture::new_password;
use rotation_tests::oracle::{Fixture, SERVICE, on_each, quoted, sql};
use rotation_tests::server::{NAMES, Server};
use serde_json::json;
use test_servers::Certificates;

/// Users of a directory service can share a schema of the database in this way.
#[tokio::test]
async fn password_of_other_session_account_is_not_changed() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a directory service");
            return Ok(());
        }
        let certificates = Certificates::for_names(&NAMES)?;
        let fake =
            target.start_another(Some(certificates), &["--alias", "ALIAS_USER=SHARED"]).await?;
        let fixture = Fixture::with_user(&fake.target, "alias_user", "shared_schema").await?;
        let password =
            fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
        let mut admin = fake.target.admin().await?;
        sql(&mut admin, &format!("CREATE USER shared IDENTIFIED BY \"{password}\"")).await?;
        sql(&mut admin, &format!("GRANT CREATE SESSION TO {}", quoted("shared"))).await?;
        let function = fixture.function("single-user");
        let error = fixture.expect(&function, "NeedsDecision", "\"username\"").await?;
        let expected = "runs the session of alias_user as the account SHARED";
        ensure!(error.message.contains(expected), "{}", error.message);
        // Neither password has changed.
        fake.target.connect("shared", &password, SERVICE).await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// The server converts both names to the same user, although they differ even in lower case.
#[tokio::test]
async fn master_user_in_other_spelling_is_rejected() {
    on_each(|target| async move {
        for strategy in ["single-user-by-master", "master-user"] {
            let fixture = Fixture::new(&target).await?;
            let own = fixture.secret(&fixture.master, &fixture.master_password()?);
            // The upper case of U+017F is S.
            let spelled = fixture.master.replacen('s', "\u{17f}", 1);
            ensure!(spelled != fixture.master);
            let password = match strategy {
                "master-user" => fixture.master_password()?,
                _ => new_password(),
            };
            fixture.change(&json!({"username": spelled, "password": password}))?;
            let error =
                fixture.expect(&fixture.function(strategy), "NeedsDecision", "masterarn").await?;
            ensure!(error.message.contains("is the master"), "{}", error.message);
            fixture.log_in_with(&own).await?;
        }
        Ok(())
    })
    .await;
}
