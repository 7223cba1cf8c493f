//! Tests of authentication plugins: accounts with supported plugins rotate, and errors name the
//! unsupported ones.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use rotation_mysql::{ed25519_public_key, native_hash};
use rotation_tests::fixture::new_password;
use rotation_tests::mysql::{Fixture, MariaDb, MySql, account, on_each, options, sql};
use serde_json::json;

/// Over TLS, the client sends the cleartext password if the server has none in its cache.
#[tokio::test]
async fn sha2_and_sha256_passwords_rotate_with_empty_cache() {
    on_each::<MySql, _>(|target| async move {
        // FLUSH PRIVILEGES empties the cache. It also changes what the server shows of accounts
        // that other tests have just altered, so this test has its own server. (MySQL 9.7 shows an
        // expiry that PASSWORD EXPIRE DEFAULT has removed, until FLUSH PRIVILEGES.)
        let own = target.another(options()?).await?;
        let target = own.as_ref().map_or(&target, |(_, own)| own).clone();
        for plugin in ["caching_sha2_password", "sha256_password", "mysql_native_password"] {
            let fixture = Fixture::new(&target).await?;
            let mut admin = target.admin().await?;
            let password = new_password();
            let user = account(&fixture.user);
            let identified = format!("ALTER USER {user} IDENTIFIED WITH {plugin} BY '{password}'");
            if let Err(error) = sql(&mut admin, &identified).await {
                // MySQL 9 has no mysql_native_password.
                println!("skipped: {plugin}: {error:#}");
                continue;
            }
            fixture.change(&json!({"password": password}))?;
            for strategy in ["single-user", "master-user", "master-user", "single-user"] {
                sql(&mut admin, "FLUSH PRIVILEGES").await?;
                fixture.rotate(&fixture.function(strategy)).await.context(plugin)?;
                fixture.log_in().await?;
            }
            for user in [&fixture.user, &fixture.alternate()] {
                let has: String =
                    sqlx::query_scalar("SELECT plugin FROM mysql.user WHERE User = ?")
                        .bind(user)
                        .fetch_one(&mut admin)
                        .await?;
                assert_eq!(has, plugin);
            }
            assert_eq!(fixture.failed_logins()?, 0);
            fixture.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

/// Returns `true` if MariaDB's own client logs in. The tests' driver does not support the plugin.
fn mariadb_client_logs_in(fixture: &Fixture<MariaDb>, value: &serde_json::Value) -> Result<bool> {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let mut client = std::process::Command::new("mariadb");
    client.args(["--no-defaults", "--protocol=tcp", "-h", "127.0.0.1", "-e", "SELECT 1"]);
    client
        .arg(format!("--port={}", fixture.target.address.port))
        .arg(format!("--user={}", text("username")));
    Ok(client.env("MYSQL_PWD", text("password")).stdout(Stdio::null()).status()?.success())
}

/// MariaDB stores a public key that the function computes, so its log contains no password.
#[tokio::test]
async fn ed25519_accounts_rotate() {
    on_each::<MariaDb, _>(|target| async move {
        let mut admin = target.admin().await?;
        let _ = sql(&mut admin, "INSTALL SONAME 'auth_ed25519'").await;
        for (via, strategies) in [
            (
                "ed25519 USING '{}'",
                ["single-user", "single-user-by-master", "master-user", "master-user"],
            ),
            (
                "unix_socket OR ed25519 USING '{}'",
                ["single-user", "single-user-by-master", "single-user", "single-user"],
            ),
        ] {
            let fixture = Fixture::new(&target).await?;
            let password = new_password();
            let via = via.replace("{}", &ed25519_public_key(&password));
            let statement = format!("ALTER USER {} IDENTIFIED VIA {via}", account(&fixture.user));
            if let Err(error) = sql(&mut admin, &statement).await {
                println!("skipped: the server has no ed25519: {error:#}");
                return Ok(());
            }
            fixture.change(&json!({"password": password}))?;
            for strategy in strategies {
                fixture
                    .rotate(&fixture.function(strategy))
                    .await
                    .with_context(|| format!("{via} {strategy}"))?;
                let current = fixture.value("AWSCURRENT")?;
                ensure!(mariadb_client_logs_in(&fixture, &current)?, "{via} {strategy}");
            }
            assert_eq!(fixture.failed_logins()?, 0);
            fixture.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

/// MariaDB would change only one of the passwords, and the other one would always remain valid.
#[tokio::test]
async fn account_with_several_passwords_is_rejected() {
    on_each::<MariaDb, _>(|target| async move {
        let mut admin = target.admin().await?;
        let _ = sql(&mut admin, "INSTALL SONAME 'auth_ed25519'").await;
        for order in [["ed25519", "mysql_native_password"], ["mysql_native_password", "ed25519"]] {
            let fixture = Fixture::new(&target).await?;
            let current = fixture.value("AWSCURRENT")?;
            let password = current["password"].as_str().unwrap_or_default().to_owned();
            // The secret has the password of mysql_native_password, which the tests' driver
            // supports.
            let via = order.map(|plugin| match plugin {
                "ed25519" => format!("ed25519 USING '{}'", ed25519_public_key("another")),
                plugin => format!("{plugin} USING '{}'", native_hash(&password)),
            });
            let statement = format!(
                "ALTER USER {} IDENTIFIED VIA {}",
                account(&fixture.user),
                via.join(" OR ")
            );
            if let Err(error) = sql(&mut admin, &statement).await {
                println!("skipped: the server has no ed25519: {error:#}");
                return Ok(());
            }
            for strategy in ["single-user", "single-user-by-master", "master-user"] {
                let function = fixture.function(strategy);
                fixture.expect(&function, "NeedsDecision", "several passwords").await?;
                fixture.give_up(&fixture.version("AWSPENDING")?.unwrap_or_default())?;
            }
            let user = account(&fixture.user);
            let remedy =
                format!("ALTER USER {user} IDENTIFIED VIA ed25519 USING PASSWORD('{password}')");
            sql(&mut admin, "SET SESSION sql_log_off = ON").await?;
            sql(&mut admin, &remedy).await?;
            fixture.rotate(&fixture.function("single-user")).await?;
        }
        Ok(())
    })
    .await;
}
