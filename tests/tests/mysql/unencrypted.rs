//! Tests of rotations without TLS: what the function sends over the network, and that it changes
//! nothing if a later login could not work.

use anyhow::{Result, ensure};
use rotation_tests::fixture::new_password;
use rotation_tests::mysql::{Fixture, MySql, Target, Which, account, on_each, options, sql};
use rotation_tests::proxy::Heard;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

crate::on_both! {
    prefer_sends_nothing_to_a_server_without_tls
}

const STRATEGIES: [&str; 3] = ["single-user", "single-user-by-master", "master-user"];

/// Creates a fixture whose user logs in with the given plugin and is in the server's cache.
async fn fixture_with_plugin(target: &Target<MySql>, plugin: &str) -> Result<Fixture<MySql>> {
    let fixture = Fixture::new(target).await?;
    let password = new_password();
    let user = account(&fixture.user);
    let identified = format!("ALTER USER {user} IDENTIFIED WITH {plugin} BY '{password}'");
    sql(&mut target.admin().await?, &identified).await?;
    fixture.change(&json!({"password": password}))?;
    fixture.log_in().await?;
    Ok(fixture)
}

/// A new password empties the cache. Then the client sends the password encrypted with the server's
/// RSA key.
#[tokio::test]
async fn sha2_passwords_rotate_with_rsa_key() {
    on_each::<MySql, _>(|target| async move {
        for plugin in ["caching_sha2_password", "sha256_password"] {
            for strategy in STRATEGIES {
                let fixture = fixture_with_plugin(&target, plugin).await?;
                fixture.change(&json!({"ssl": false}))?;
                for _ in 0..3 {
                    fixture.rotate(&fixture.function(strategy)).await?;
                }
                assert_eq!(fixture.failed_logins()?, 0, "{plugin} {strategy}");
                fixture.log_in().await?;
                fixture.search_for_passwords("")?;
            }
        }
        Ok(())
    })
    .await;
}

/// The server's cache has the user, so this login works. The login after a change would fail.
#[tokio::test]
async fn missing_rsa_key_changes_nothing() {
    on_each::<MySql, _>(|target| async move {
        let mut options = options()?;
        for plugin in ["caching-sha2", "sha256"] {
            options.arguments.extend([
                format!("--{plugin}-password-auto-generate-rsa-keys=OFF"),
                format!("--{plugin}-password-private-key-path=none"),
                format!("--{plugin}-password-public-key-path=none"),
            ]);
        }
        let Some((_server, target)) = target.another(options).await? else { return Ok(()) };
        for strategy in STRATEGIES {
            let fixture = fixture_with_plugin(&target, "caching_sha2_password").await?;
            fixture.change(&json!({"ssl": false}))?;
            let before = fixture.value("AWSCURRENT")?;
            let function = fixture.function(strategy);
            let error = fixture.expect(&function, "NeedsDecision", "no RSA key").await?;
            ensure!(error.message.contains("remove \"ssl\": false"), "{}", error.message);
            ensure!(error.message.contains("cancel-rotate-secret"), "{}", error.message);
            fixture.log_in_with(&before).await?;
            assert_eq!(fixture.failed_logins()?, 0);
            // The operator follows the remedy.
            fixture.change(&json!({"ssl": null}))?;
            let token = fixture.version("AWSPENDING")?.unwrap_or_default();
            fixture.give_up(&token)?;
            fixture.rotate(&function).await?;
            fixture.log_in().await?;
        }
        // A user that is not in the cache cannot log in at all, and its password is not sent.
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"ssl": false}))?;
        let function = fixture.function("single-user");
        fixture.expect(&function, "ReadablePasswordRefused", "RSA key").await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// Starts a proxy that removes the TLS flag from each greeting and records what clients send.
async fn without_the_offer_of_tls(host: String, port: u16) -> Result<(u16, Heard)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let relay = listener.local_addr()?.port();
    let heard = Heard::default();
    let ears = heard.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (host, ears) = (host.clone(), ears.clone());
            tokio::spawn(async move {
                let (mut from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) =
                    TcpStream::connect((host, port)).await?.into_split();
                let mut greeting = vec![0; 4096];
                let count = from_server.read(&mut greeting).await?;
                // The version ends with a zero byte. After it come the connection id, the first
                // part of the nonce and a zero byte.
                let version = greeting[5..].iter().position(|byte| *byte == 0).unwrap_or_default();
                greeting[5 + version + 15] &= !0x08;
                to_client.write_all(&greeting[..count]).await?;
                tokio::spawn(
                    async move { tokio::io::copy(&mut from_server, &mut to_client).await },
                );
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    if let Ok(mut ears) = ears.lock() {
                        ears.extend_from_slice(&buffer[..count]);
                    }
                    to_server.write_all(&buffer[..count]).await?;
                }
                std::io::Result::Ok(())
            });
        }
    });
    Ok((relay, heard))
}

/// `TLS_MODE=prefer` does not permit an unencrypted login to MySQL, because the protocol proves
/// nothing about a server without TLS.
async fn prefer_sends_nothing_to_a_server_without_tls<W: Which>(target: Target<W>) -> Result<()> {
    for strategy in STRATEGIES {
        let fixture = Fixture::new(&target).await?;
        let (host, port) = (target.address.host.clone(), target.address.port);
        let (relay, heard) = without_the_offer_of_tls(host, port).await?;
        let change = json!({"port": relay, "host": "localhost"});
        fixture.change(&change)?;
        fixture.change_master(&change)?;
        let function = fixture.program(strategy).env("TLS_MODE", "prefer").into();
        let error = fixture.expect(&function, "TlsNotOffered", "\"ssl\": false").await?;
        ensure!(error.message.contains("Turn TLS on at the server"), "{}", error.message);
        let sent = heard.lock().map(|heard| heard.len()).unwrap_or_default();
        assert_eq!(sent, 0, "{strategy}: something was sent");
        assert_eq!(fixture.failed_logins()?, 0);
        // The operator follows the remedy, because the network is trusted.
        fixture.give_up(&fixture.version("AWSPENDING")?.unwrap_or_default())?;
        fixture.change(&json!({"ssl": false}))?;
        fixture.change_master(&json!({"ssl": false}))?;
        let first =
            fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
        fixture.rotate(&fixture.function(strategy)).await?;
        // The statement contains the new password. No login sends the old one or the master user's.
        let heard = heard.lock().map(|heard| heard.clone()).unwrap_or_default();
        let heard = String::from_utf8_lossy(&heard);
        ensure!(!heard.is_empty(), "nothing was recorded");
        for password in [first, fixture.master_password()?] {
            ensure!(!heard.contains(&password), "{strategy}: a password was sent");
        }
        fixture.rotate(&fixture.function(strategy)).await?;
        assert_eq!(fixture.failed_logins()?, 0);
    }
    Ok(())
}

/// A password that is too long for the RSA key would lock the user out. The function rejects it
/// before it changes anything, and a rotation with the setting in the remedy succeeds.
#[tokio::test]
async fn password_too_long_for_the_rsa_key_is_rejected() {
    on_each::<MySql, _>(|target| async move {
        for plugin in ["caching_sha2_password", "sha256_password"] {
            for strategy in STRATEGIES {
                let fixture = fixture_with_plugin(&target, plugin).await?;
                fixture.change(&json!({"ssl": false}))?;
                let before = fixture.value("AWSCURRENT")?;
                let long = fixture.program(strategy).env("PASSWORD_LENGTH", "214").into();
                let error = fixture.expect(&long, "PasswordRejected", "PASSWORD_LENGTH").await?;
                ensure!(error.message.contains("at most 213 bytes"), "{}", error.message);
                fixture.log_in_with(&before).await?;
                // The operator follows the remedy: cancels the rotation and makes the password
                // shorter.
                let token = fixture.version("AWSPENDING")?.unwrap_or_default();
                fixture.give_up(&token)?;
                let longest = fixture.program(strategy).env("PASSWORD_LENGTH", "213").into();
                for _ in 0..2 {
                    fixture.rotate(&longest).await?;
                }
                fixture.log_in().await?;
                assert_eq!(fixture.failed_logins()?, 0, "{plugin} {strategy}");
            }
        }
        Ok(())
    })
    .await;
}

/// A deprecated version may have such a password. The database cannot have it, so the search
/// continues.
#[tokio::test]
async fn search_skips_passwords_too_long_for_the_rsa_key() {
    on_each::<MySql, _>(|target| async move {
        let fixture = fixture_with_plugin(&target, "caching_sha2_password").await?;
        fixture.change(&json!({"ssl": false}))?;
        let function = fixture.function("single-user");
        fixture.rotate(&function).await?;
        // The first version is set and then cancelled. The next one is never set.
        let token = fixture.stage(None)?;
        for step in ["createSecret", "setSecret"] {
            fixture.step(&function, step, &token).await?;
        }
        fixture.value("AWSPENDING")?;
        fixture.give_up(&token)?;
        let long = fixture.program("single-user").env("PASSWORD_LENGTH", "256").into();
        let token = fixture.stage(None)?;
        fixture.step(&long, "createSecret", &token).await?;
        fixture.value("AWSPENDING")?;
        fixture.give_up(&token)?;
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}
