//! Tests of logins whose session runs as another account, and of the master user under another
//! spelling.

use anyhow::ensure;
use rotation_local::throwaway::Certificates;
use rotation_tests::oracle::{Fixture, Peer, SERVICE, on_each, quoted, sql};
use rotation_tests::scene::new_password;
use rotation_tests::server::{NAMES, Server};
use serde_json::json;

/// Users of a directory service can share a schema of the database in this way.
#[tokio::test]
async fn password_of_another_account_is_not_changed() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a directory service");
            return Ok(());
        }
        let certificates = Certificates::for_names(&NAMES)?;
        let peer = Peer::start(Some(certificates), &["--alias", "ALIAS_USER=SHARED"]).await?;
        let scene = Fixture::with_user(&peer.target, "alias_user", "shared_schema").await?;
        let password =
            scene.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
        let mut admin = peer.target.admin().await?;
        sql(&mut admin, &format!("CREATE USER shared IDENTIFIED BY \"{password}\"")).await?;
        sql(&mut admin, &format!("GRANT CREATE SESSION TO {}", quoted("shared"))).await?;
        let function = scene.function("single-user");
        let error = scene.expect(&function, "NeedsDecision", "\"username\"").await?;
        let expected = "runs the session of alias_user as the account SHARED";
        ensure!(error.message.contains(expected), "{}", error.message);
        // Neither password has changed.
        peer.target.connect("shared", &password, SERVICE).await?;
        scene.log_in().await?;
        Ok(())
    })
    .await;
}

/// The server converts both names to the same user, although they differ even in lower case.
#[tokio::test]
async fn master_by_another_spelling_is_not_rotated() {
    on_each(|target| async move {
        for strategy in ["single-user-by-master", "master-user"] {
            let scene = Fixture::new(&target).await?;
            let own = scene.secret(&scene.master, &scene.master_password()?);
            // The upper case of U+017F is S.
            let spelled = scene.master.replacen('s', "\u{17f}", 1);
            ensure!(spelled != scene.master);
            let password = match strategy {
                "master-user" => scene.master_password()?,
                _ => new_password(),
            };
            scene.change(&json!({"username": spelled, "password": password}))?;
            let error =
                scene.expect(&scene.function(strategy), "NeedsDecision", "masterarn").await?;
            ensure!(error.message.contains("is the master"), "{}", error.message);
            scene.log_in_with(&own).await?;
        }
        Ok(())
    })
    .await;
}
