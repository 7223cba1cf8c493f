//! Tests of rogue servers, which answer in place of the database server.

use anyhow::{Context, Result};
use rotation_tests::postgres::{Fixture, on_each};
use rotation_tests::proxy::{impostor, recorder};
use rotation_tests::server::SUPERUSER_PASSWORD;
use serde_json::json;

/// Returns an authentication request: `R`, the length, the code and the rest.
fn request(code: u32, rest: &[u8]) -> Vec<u8> {
    let length = 8 + u32::try_from(rest.len()).unwrap_or(0);
    [&[b'R'][..], &length.to_be_bytes(), &code.to_be_bytes(), rest].concat()
}

#[tokio::test]
async fn rogue_server_without_tls_gets_no_password() {
    on_each(|target| async move {
        let clear_text = request(3, &[]);
        let md5 = request(5, &[1, 2, 3, 4]);
        let parameter = b"S\0\0\0\x08a\0b\0".to_vec();
        let notice = b"N\0\0\0\x05\0".to_vec();
        for (what, asks) in [
            ("cleartext", clear_text.clone()),
            ("MD5", md5),
            ("a parameter, then cleartext", [parameter, clear_text.clone()].concat()),
            ("a notice, then cleartext", [notice, clear_text].concat()),
        ] {
            for (ssl, mode, expected) in [
                (json!(null), "require", "TlsNotOffered"),
                (json!(true), "require", "TlsNotOffered"),
                (json!(true), "prefer", "TlsNotOffered"),
                (json!("TRUE"), "prefer", "TlsNotOffered"),
                (json!(null), "prefer", "ReadablePasswordRefused"),
            ] {
                // Over the first connection, it answers `N` to the SSLRequest. Over the second one,
                // it answers the start-up message with a request for the password.
                let (tls_asker, heard) =
                    impostor(vec![b"N".to_vec(), asks.clone(), request(0, &[])]).await?;
                let (plain, heard_plain) = impostor(vec![asks.clone(), request(0, &[])]).await?;
                let fixture = Fixture::new(&target).await?;
                // The fallback connects a second time, so the proxy chooses the rogue server by the
                // order of connections.
                let port = split_proxy(tls_asker.port(), plain.port()).await?;
                fixture.change(&json!({"host": "127.0.0.1", "port": port, "ssl": ssl}))?;
                let function = fixture.program("single-user").env("TLS_MODE", mode).into();
                let error = fixture.failure(&function).await?;
                assert_eq!(
                    error.error_type, expected,
                    "{what}, ssl {ssl}, {mode}: {}",
                    error.message
                );
                let heard: Vec<u8> =
                    [heard.lock().unwrap().clone(), heard_plain.lock().unwrap().clone()].concat();
                assert!(heard.len() >= 8, "the rogue server received nothing");
                // A password message begins with `p`. Before it, the client sends only the start-up
                // message, which has no password.
                let password = fixture.value("AWSCURRENT")?["password"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let text = String::from_utf8_lossy(&heard).into_owned();
                assert!(
                    !text.contains(&password),
                    "{what}, ssl {ssl}, {mode}: the password was sent"
                );
                assert!(!text.contains("md5"), "{what}, ssl {ssl}, {mode}: an MD5 answer was sent");
                if expected == "ReadablePasswordRefused" {
                    assert!(text.contains(&fixture.user), "the fallback was not tried: {text:?}");
                }
                fixture.search_for_passwords(&error.message)?;
            }
        }
        Ok(())
    })
    .await;
}

/// With `"ssl": false`, the operator has decided that passwords may be sent unencrypted.
#[tokio::test]
async fn ssl_false_sends_requested_cleartext_password() {
    on_each(|target| async move {
        let (address, heard) = impostor(vec![request(3, &[]), request(0, &[])]).await?;
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"host": "127.0.0.1", "port": address.port(), "ssl": false}))?;
        let error = fixture.failure(&fixture.function("single-user")).await?;
        let password =
            fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
        assert!(
            String::from_utf8_lossy(&heard.lock().unwrap()).contains(&password),
            "{}",
            error.message
        );
        Ok(())
    })
    .await;
}

/// Starts a proxy that connects its first client to one port and all others to another port.
async fn split_proxy(first: u16, others: u16) -> Result<u16> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        let mut to = first;
        while let Ok((mut client, _)) = listener.accept().await {
            let target = std::mem::replace(&mut to, others);
            tokio::spawn(async move {
                if let Ok(mut server) = tokio::net::TcpStream::connect(("127.0.0.1", target)).await
                {
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                }
            });
        }
    });
    Ok(port)
}

/// With `TLS_MODE=prefer`, a rotation on a real server without TLS uses SCRAM and logs a warning.
#[tokio::test]
async fn prefer_skips_tls_only_if_server_has_none() {
    on_each(|target| async move {
        let mut options = rotation_tests::postgres::options()?;
        options.certificates = None;
        let Some((_server, plain)) = target.another(options)? else { return Ok(()) };
        let fixture = Fixture::new(&plain).await?;
        fixture.change(&json!({"ssl": null}))?;
        let error = fixture.failure(&fixture.function("single-user")).await?;
        assert_eq!(error.error_type, "TlsNotOffered");
        assert!(
            error.message.contains("\"ssl\": false") && error.message.contains("TLS_MODE=prefer")
        );

        let token = fixture.version("AWSPENDING")?.context("no pending version")?;
        let function = fixture.program("single-user").env("TLS_MODE", "prefer").into();
        let rotation = fixture.attempt(&function, &token, 1).await;
        assert_eq!(rotation.failed, None);
        fixture.log_in().await?;
        assert!(
            fixture.function_log().contains("the connection is unencrypted"),
            "no warning in the log"
        );
        assert_eq!(fixture.failed_logins()?, 0);
        assert!(!fixture.function_log().contains(SUPERUSER_PASSWORD));
        fixture.search_for_passwords("")
    })
    .await;
}

/// Over an unencrypted connection, `TLS_MODE=prefer` sends only SCRAM proofs and verifiers.
#[tokio::test]
async fn prefer_sends_no_password_in_any_strategy() {
    on_each(|target| async move {
        let mut options = rotation_tests::postgres::options()?;
        options.certificates = None;
        let Some((_server, plain)) = target.another(options)? else { return Ok(()) };
        for strategy in ["single-user", "single-user-by-master", "master-user"] {
            let fixture = Fixture::new(&plain).await?;
            let (relay, heard) = recorder(plain.host.clone(), plain.port).await?;
            let change = json!({"ssl": null, "host": "localhost", "port": relay.port()});
            fixture.change(&change)?;
            fixture.change_master(&change)?;
            let function = fixture.program(strategy).env("TLS_MODE", "prefer").into();
            for _ in 0..2 {
                fixture.rotate(&function).await?;
                let heard = heard.lock().map(|heard| heard.clone()).unwrap_or_default();
                let heard = String::from_utf8_lossy(&heard);
                assert!(
                    heard.contains("PASSWORD 'SCRAM-SHA-256$"),
                    "{strategy}: nothing was recorded"
                );
                let passwords = [fixture.value("AWSCURRENT")?, fixture.value("AWSPREVIOUS")?]
                    .map(|value| value["password"].as_str().unwrap_or_default().to_owned());
                for password in passwords.into_iter().chain([fixture.master_password()?]) {
                    assert!(!heard.contains(&password), "{strategy}: a password was sent");
                }
                assert!(!heard.contains("PASSWORD 'md5"), "{strategy}: an MD5 hash was sent");
            }
        }
        Ok(())
    })
    .await;
}
