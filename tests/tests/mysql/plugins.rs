//! How accounts log in: what works, and what is refused by its name.

use anyhow::Context;
use rotation_tests::mysql::{MariaDb, MySql, Scene, account, on_each, sql};
use rotation_tests::scene::new_password;
use serde_json::json;

/// Over TLS a password is sent as it is when the server has nothing in its cache.
#[tokio::test]
async fn sha2_passwords_with_an_empty_cache_and_sha256_passwords() {
    on_each::<MySql, _>(|target| async move {
        for plugin in ["caching_sha2_password", "sha256_password", "mysql_native_password"] {
            let scene = Scene::new(&target).await?;
            let mut admin = target.admin().await?;
            let password = new_password();
            let user = account(&scene.user);
            let identified = format!("ALTER USER {user} IDENTIFIED WITH {plugin} BY '{password}'");
            if let Err(error) = sql(&mut admin, &identified).await {
                // Gone in MySQL 9: mysql_native_password.
                println!("skipped: {plugin}: {error:#}");
                continue;
            }
            scene.change(&json!({"password": password}))?;
            for strategy in ["single-user", "master-user", "master-user", "single-user"] {
                sql(&mut admin, "FLUSH PRIVILEGES").await?;
                scene.rotate(&scene.function(strategy)).await.context(plugin)?;
                scene.log_in().await?;
            }
            for user in [&scene.user, &scene.alternate()] {
                let has: String = sqlx::query_scalar("SELECT plugin FROM mysql.user WHERE User = ?")
                    .bind(user)
                    .fetch_one(&mut admin)
                    .await?;
                assert_eq!(has, plugin);
            }
            assert_eq!(scene.failed_logins()?, 0);
            scene.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn ed25519_is_refused_by_name_before_anything_is_changed() {
    on_each::<MariaDb, _>(|target| async move {
        let mut admin = target.admin().await?;
        let _ = sql(&mut admin, "INSTALL SONAME 'auth_ed25519'").await;
        let scene = Scene::new(&target).await?;
        let statement = format!(
            "ALTER USER {} IDENTIFIED VIA ed25519 USING '{}'",
            account(&scene.user),
            "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY"
        );
        if sql(&mut admin, &statement).await.is_err() {
            println!("skipped: the server has no ed25519");
            return Ok(());
        }
        scene.expect(&scene.function("single-user"), "AuthenticationUnsupported", "ed25519").await?;

        // The master sees it in the base user's other account.
        let scene = Scene::new(&target).await?;
        let elsewhere = rotation_tests::mysql::account_at(&scene.user, "192.0.2.1");
        sql(&mut admin, &format!("CREATE USER {elsewhere} IDENTIFIED VIA ed25519 USING PASSWORD('x')"))
            .await?;
        scene.expect(&scene.function("master-user"), "NeedsDecision", "ed25519").await?;
        scene.log_in().await?;
        Ok(())
    })
    .await;
}

/// Without TLS the password would go under a key that nobody vouches for.
#[tokio::test]
async fn an_empty_cache_without_tls_is_told_with_what_to_do() {
    on_each::<MySql, _>(|target| async move {
        let scene = Scene::new(&target).await?;
        scene.change(&json!({"ssl": false}))?;
        let error =
            scene.expect(&scene.function("single-user"), "ReadablePasswordRefused", "\"ssl\": true").await?;
        assert!(error.message.contains("caching_sha2_password"), "{}", error.message);
        Ok(())
    })
    .await;
}
