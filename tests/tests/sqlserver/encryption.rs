//! Tests of TLS, of servers without TLS, and of rogue servers.

use rotation_tests::proxy::impostor;
use rotation_tests::server::NAMES;
use rotation_tests::sqlserver::{Fixture, on_each};
use serde_json::{Value, json};
use test_servers::Certificates;

/// Returns the answer to PRELOGIN: a version and the encryption option.
fn prelogin(encryption: u8) -> Vec<u8> {
    let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, encryption];
    [&[4, 1, 0, 26, 0, 0, 1, 0][..], &options].concat()
}

/// The type of the packet that contains the user and the password.
const LOGIN7: u8 = 0x10;

/// Returns a password as LOGIN7 encodes it: the halves of each byte are swapped, and the byte is
/// XORed with a constant.
fn scrambled(password: &str) -> Vec<u8> {
    password
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .map(|byte| byte.rotate_left(4) ^ 0xa5)
        .collect()
}

#[tokio::test]
async fn rogue_server_without_encryption_gets_no_password() {
    on_each(|target| async move {
        // The values are ENCRYPT_NOT_SUP and ENCRYPT_OFF.
        for encryption in [2, 0] {
            for (ssl, mode, error_type) in [
                (Value::Null, "require", "TlsNotOffered"),
                (json!(true), "require", "TlsNotOffered"),
                (json!(true), "prefer", "TlsNotOffered"),
                (Value::Null, "prefer", "TlsNotOffered"),
                (json!(false), "require", ""),
            ] {
                let (address, heard) = impostor(vec![prelogin(encryption)]).await?;
                let fixture = Fixture::new(&target).await?;
                fixture
                    .change(&json!({"host": "127.0.0.1", "port": address.port(), "ssl": ssl}))?;
                let function = fixture.program("single-user").env("TLS_MODE", mode).into();
                let error = fixture.failure(&function).await?;
                let heard = heard.lock().unwrap().clone();
                let password = fixture.value("AWSCURRENT")?["password"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let secret = scrambled(&password);
                let has_password = heard.windows(secret.len()).any(|bytes| bytes == secret);
                // This is the only case in which the operator has allowed it. It also shows that
                // the search finds the password.
                let allowed = ssl == json!(false) && encryption == 2;
                assert_eq!(
                    has_password, allowed,
                    "ssl {ssl}, {mode}, encryption {encryption}: {}",
                    error.message
                );
                if !error_type.is_empty() {
                    assert_eq!(
                        error.error_type, error_type,
                        "ssl {ssl}, {mode}: {}",
                        error.message
                    );
                    assert!(
                        !heard.windows(2).any(|bytes| bytes == [LOGIN7, 1]),
                        "a login was sent"
                    );
                    assert!(error.message.contains("\"ssl\": false"), "{}", error.message);
                    assert!(
                        error.message.contains("TLS_MODE=prefer does not help"),
                        "{}",
                        error.message
                    );
                }
            }
        }
        Ok(())
    })
    .await;
}

/// The server stops answering during the TLS handshake, or during the login.
#[tokio::test]
async fn silent_server_times_out() {
    on_each(|target| async move {
        for (encryption, ssl) in [(1, Value::Null), (2, json!(false))] {
            let (address, _) = impostor(vec![prelogin(encryption)]).await?;
            let fixture = Fixture::new(&target).await?;
            fixture.change(&json!({"host": "127.0.0.1", "port": address.port(), "ssl": ssl}))?;
            fixture.expect(&fixture.function("single-user"), "DatabaseSilent", "hangs").await?;
        }
        Ok(())
    })
    .await;
}

/// A rogue server sends errors that a test cannot cause on a real one. The function tries no other
/// password after them.
#[tokio::test]
async fn login_errors_are_distinguished_by_number() {
    on_each(|target| async move {
        for (number, error_type, part) in [
            (17809, "TooManyConnections", "connection limit"),
            (18401, "DatabaseNotReady", "retries the rotation"),
            (18461, "DatabaseNotReady", "retries the rotation"),
            (983, "DatabaseNotReady", "retries the rotation"),
            (17892, "ClientRejected", "logon trigger"),
            (18452, "AuthenticationUnsupported", "supported authentication method"),
            (4064, "DatabaseAccessDenied", "DEFAULT_DATABASE"),
            (18487, "AccountExpired", "CHECK_EXPIRATION"),
            (18486, "AccountLocked", "UNLOCK"),
            (50_000, "LoginFailed", "log"),
        ] {
            let (address, heard) = impostor(vec![prelogin(2), refusal(number)]).await?;
            let fixture = Fixture::new(&target).await?;
            fixture.change(&json!({"host": "127.0.0.1", "port": address.port(), "ssl": false}))?;
            let function = fixture.function("single-user");
            // Preflight does not run first, because its login would be counted as well.
            let error =
                fixture.expect_failure_without_preflight(&function, error_type, part).await?;
            assert!(error.message.contains("words of the server"), "{}", error.message);
            let name: Vec<u8> = fixture.user.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let logins =
                heard.lock().unwrap().windows(name.len()).filter(|bytes| *bytes == name).count();
            assert_eq!(logins, 1, "{number}: another password was tried");
        }
        Ok(())
    })
    .await;
}

/// Returns an ERROR token, and the DONE token that ends the answer.
fn refusal(number: u32) -> Vec<u8> {
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    let words = "words of the server";
    let body = [
        &number.to_le_bytes()[..],
        // State and severity.
        &[1, 14],
        &u16::try_from(words.len()).unwrap_or(0).to_le_bytes(),
        &utf16(words),
        // Empty names of the server and the procedure, and line 1.
        &[0, 0, 1, 0, 0, 0],
    ]
    .concat();
    let error =
        [&[0xaa][..], &u16::try_from(body.len()).unwrap_or(0).to_le_bytes(), &body].concat();
    let done = [0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let payload = [&error[..], &done].concat();
    let length = u16::try_from(payload.len() + 8).unwrap_or(0).to_be_bytes();
    [&[4, 1][..], &length, &[0, 0, 1, 0], &payload].concat()
}

/// Rotations work with each setting of the server: encryption required, TDS 8.0 only, and no
/// encryption.
#[tokio::test]
async fn rotation_works_with_each_encryption_setting() {
    on_each(|target| async move {
        if target.log.is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        let certificates = || Certificates::for_names(&NAMES);
        for mode in ["require", "strict"] {
            // TDS 8.0 is new in SQL Server 2022.
            if mode == "strict" && matches!(target.release.as_deref(), Some("2017" | "2019")) {
                continue;
            }
            let fake = target.start_another(Some(certificates()?), &["--mode", mode]).await?;
            if mode == "strict" {
                // The tests' driver does not support TDS 8.0, so the fixture is created on the
                // usual server.
                let fixture = Fixture::new(&target).await?;
                fixture.change(&json!({"port": fake.target.port}))?;
                let authority = tempfile::NamedTempFile::new()?;
                std::fs::write(
                    authority.path(),
                    fake.target.authority.clone().unwrap_or_default(),
                )?;
                let program = fixture.program("single-user");
                let function =
                    program.env("TLS_CA_FILE", authority.path().to_string_lossy()).into();
                let error = fixture.failure(&function).await?;
                // The login does not exist on this server. The error shows that the function
                // reached the server over TLS.
                assert_eq!(error.error_type, "CredentialsRefused", "{}", error.message);
                continue;
            }
            let fixture = Fixture::new(&fake.target).await?;
            fixture.rotate(&fixture.function("master-user")).await?;
            fixture.change(&json!({"ssl": false}))?;
            fixture
                .expect(&fixture.function("single-user"), "ClientRejected", "Remove \"ssl\": false")
                .await?;
        }
        let fake = target.start_another(None, &[]).await?;
        let fixture = Fixture::new(&fake.target).await?;
        for strategy in ["single-user", "master-user"] {
            fixture.rotate(&fixture.function(strategy)).await?;
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}
