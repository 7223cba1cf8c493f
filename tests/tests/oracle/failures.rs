//! Tests of failures that only Oracle reports, which the function must tell apart.

use anyhow::ensure;
use rotation_tests::oracle::{Fixture, on_each, quoted, sql};
use rotation_tests::proxy::recorder;
use rotation_tests::server::Server;
use serde_json::json;

#[tokio::test]
async fn non_password_errors_stop_the_search() {
    on_each(|target| async move {
        for (statement, error_type, part) in [
            ("ALTER USER {user} ACCOUNT LOCK", "AccountLocked", "ACCOUNT UNLOCK"),
            ("ALTER USER {user} PASSWORD EXPIRE", "AccountExpired", "PASSWORD_LIFE_TIME UNLIMITED"),
            (
                "REVOKE CREATE SESSION FROM {user}",
                "LoginNotPermitted",
                "GRANT CREATE SESSION TO {user}",
            ),
        ] {
            let fixture = Fixture::new(&target).await?;
            let filled = |text: &str| text.replace("{user}", &quoted(&fixture.user));
            sql(&mut target.admin().await?, &filled(statement)).await?;
            fixture.expect(&fixture.function("single-user"), error_type, &filled(part)).await?;
            if target.log().is_some() {
                assert_eq!(fixture.failed_logins()?, 1, "more than one password was tried");
            }
        }
        // A text that would name another server in the connect descriptor is rejected as a database
        // name.
        for database in ["NO_SUCH_SERVICE", "X)(HOST=evil.example.com"] {
            let fixture = Fixture::new(&target).await?;
            fixture.change(&json!({"dbname": database}))?;
            fixture.expect(&fixture.function("single-user"), "DatabaseNotFound", "dbname").await?;
        }
        Ok(())
    })
    .await;
}

/// FAILED_LOGIN_ATTEMPTS of the user's profile locks the account.
#[tokio::test]
async fn account_locked_by_failed_logins_is_reported() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (user, profile) = (quoted(&fixture.user), quoted(&format!("{}_profile", fixture.user)));
        let mut admin = target.admin().await?;
        sql(&mut admin, &format!("CREATE PROFILE {profile} LIMIT FAILED_LOGIN_ATTEMPTS 1")).await?;
        sql(&mut admin, &format!("ALTER USER {user} PROFILE {profile}")).await?;
        let mut wrong = fixture.value("AWSCURRENT")?;
        wrong["password"] = "a-wrong-password".into();
        ensure!(fixture.log_in_with(&wrong).await.is_err());
        fixture.expect(&fixture.function("single-user"), "AccountLocked", "ACCOUNT UNLOCK").await?;
        Ok(())
    })
    .await;
}

/// The verify function of the user's profile rejects the password.
#[tokio::test]
async fn password_verify_function_error_is_reported() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a known verify function");
            return Ok(());
        }
        for strategy in ["single-user", "master-user"] {
            let fixture = Fixture::new(&target).await?;
            let (user, profile) =
                (quoted(&fixture.user), quoted(&format!("{}_profile", fixture.user)));
            let mut admin = target.admin().await?;
            let limit = "PASSWORD_VERIFY_FUNCTION ora12c_strong_verify_function";
            sql(&mut admin, &format!("CREATE PROFILE {profile} LIMIT {limit}")).await?;
            sql(&mut admin, &format!("ALTER USER {user} PROFILE {profile}")).await?;
            let function = fixture.program(strategy).env("PASSWORD_LENGTH", "8").into();
            let error =
                fixture.expect(&function, "PasswordRejected", "PASSWORD_VERIFY_FUNCTION").await?;
            assert!(error.message.contains("--remove-from-version-id"), "{}", error.message);
            fixture.log_in().await?;
            // A password of the usual length passes, also when the alternate user is created.
            let fixture = Fixture::new(&target).await?;
            sql(&mut admin, &format!("ALTER USER {} PROFILE {profile}", quoted(&fixture.user)))
                .await?;
            let long = fixture.program(strategy).env("EXCLUDE_CHARACTERS", "\"").into();
            let mut attempts = 0;
            // The function requires two characters of each kind. They are likely, but not certain.
            while let Err(error) = fixture.rotate(&long).await {
                attempts += 1;
                ensure!(
                    attempts < 5 && error.to_string().starts_with("PasswordRejected"),
                    "{error}"
                );
                let token = fixture.version("AWSPENDING")?.unwrap_or_default();
                let remove = json!({
                    "SecretId": "test/secret",
                    "VersionStage": "AWSPENDING",
                    "RemoveFromVersionId": token,
                });
                fixture.service.perform("UpdateSecretVersionStage", &remove)?;
            }
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// For each privilege that the master user can lack, the error names the statement that grants it.
/// The test runs this statement, and the rotation succeeds.
#[tokio::test]
async fn missing_master_privilege_is_reported() {
    on_each(|target| async move {
        for (revoked, grant) in [
            ("REVOKE CREATE USER FROM {master}", "GRANT CREATE USER TO {master}"),
            ("REVOKE ALTER USER FROM {master}", "GRANT ALTER USER TO {master}"),
            ("REVOKE SELECT_CATALOG_ROLE FROM {master}", "GRANT SELECT_CATALOG_ROLE TO {master}"),
            (
                "REVOKE GRANT ANY PRIVILEGE FROM {master}",
                "GRANT CREATE SESSION TO {master} WITH ADMIN OPTION",
            ),
            (
                "REVOKE GRANT ANY OBJECT PRIVILEGE FROM {master}",
                "GRANT GRANT ANY OBJECT PRIVILEGE TO {master}",
            ),
        ] {
            let fixture = Fixture::new(&target).await?;
            let filled = |text: &str| text.replace("{master}", &quoted(&fixture.master));
            let mut admin = target.admin().await?;
            sql(&mut admin, &filled(revoked)).await?;
            let function = fixture.function("master-user");
            if !revoked.contains("GRANT ANY") {
                fixture.preflight_finds(&function, "PrivilegeMissing", &filled(grant)).await?;
            }
            fixture.expect(&function, "PrivilegeMissing", &filled(grant)).await?;
            fixture.log_in().await?;
            sql(&mut admin, &filled(grant)).await?;
            let rotation = fixture.again(&function).await?;
            ensure!(rotation.failed.is_none(), "{grant} did not help: {:?}", rotation.failed);
            fixture.log_in().await?;
            assert_eq!(fixture.failed_logins()?, 0);
        }
        Ok(())
    })
    .await;
}

/// The driver panics on this server. The function reports an error.
#[tokio::test]
async fn required_native_encryption_is_reported() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        let fake = target.start_another(None, &["--encryption", "required"]).await?;
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"port": fake.target.port, "ssl": false}))?;
        let function = fixture.function("single-user");
        fixture.expect(&function, "ClientRejected", "SQLNET.ENCRYPTION_SERVER=ACCEPTED").await?;
        Ok(())
    })
    .await;
}

/// No certificate can be valid for such a name, and the driver panics on it.
#[tokio::test]
async fn host_invalid_in_certificates_is_reported() {
    on_each(|target| async move {
        if target.authority.is_none() {
            println!("skipped: that server does not use TLS");
            return Ok(());
        }
        let fixture = Fixture::new(&target).await?;
        // The name does not resolve, or TLS rejects it. Either error is correct, but the function
        // must not crash.
        fixture.change(&json!({"host": "db_with_underscore%lo"}))?;
        let error = fixture.failure(&fixture.function("single-user")).await?;
        ensure!(
            ["HostNameNotFound", "TlsWrongName"].contains(&&*error.error_type),
            "{}",
            error.message
        );
        Ok(())
    })
    .await;
}

/// A password that Oracle cannot store is rejected before it becomes a pending version.
#[tokio::test]
async fn unsupported_password_is_not_stored() {
    on_each(|target| async move {
        for (setting, value) in [("PASSWORD_LENGTH", "31"), ("EXCLUDE_CHARACTERS", "abc")] {
            let fixture = Fixture::new(&target).await?;
            let program = fixture.program("single-user").env(setting, value);
            // Two of three passwords with thirty punctuation characters contain a double quote.
            let function = program
                .env("EXCLUDE_LOWERCASE", "true")
                .env("EXCLUDE_UPPERCASE", "true")
                .env("EXCLUDE_NUMBERS", "true")
                .into();
            for _ in 0..20 {
                let failed = fixture.again(&function).await?.failed;
                match failed {
                    Some(error) => {
                        ensure!(error.error_type == "PasswordUnusable", "{}", error.message);
                        ensure!(fixture.value("AWSPENDING").is_err(), "the password was stored");
                        break;
                    }
                    None => ensure!(setting != "PASSWORD_LENGTH", "31 bytes were accepted"),
                }
            }
        }
        Ok(())
    })
    .await;
}

/// TLS is off, which is the default of RDS. A user's change of its own password is encrypted
/// anyway, but a master user's statement is not.
#[tokio::test]
async fn cleartext_needs_ssl_false_without_tls() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        // Listeners without TLS react differently to a TLS handshake. All of them accept
        // unencrypted connections.
        for on_hello in ["reset", "wait"] {
            let plain = target.start_another(None, &["--on-hello", on_hello]).await?;
            let fixture = Fixture::new(&plain.target).await?;
            fixture.change(&json!({"ssl": null}))?;
            fixture
                .expect(&fixture.function("single-user"), "TlsNotOffered", "TLS_MODE=prefer")
                .await?;
        }
        let plain = target.start_another(None, &[]).await?;
        let fixture = Fixture::new(&plain.target).await?;
        fixture.change(&json!({"ssl": null}))?;
        fixture
            .expect(&fixture.function("single-user"), "TlsNotOffered", "TLS_MODE=prefer")
            .await?;
        let prefer = |strategy| fixture.program(strategy).env("TLS_MODE", "prefer").into();
        assert_eq!(fixture.again(&prefer("single-user")).await?.failed, None);
        fixture.log_in().await?;
        fixture.change_master(&json!({"ssl": null}))?;
        let error =
            fixture.expect(&prefer("master-user"), "NeedsDecision", "\"ssl\": false").await?;
        assert!(error.message.contains("in cleartext"), "{}", error.message);
        fixture.change_master(&json!({"ssl": false}))?;
        let fixture = Fixture::new(&plain.target).await?;
        fixture.rotate(&fixture.function("master-user")).await?;
        fixture.log_in().await?;
        fixture.search_for_passwords("")
    })
    .await;
}

/// Over an unencrypted connection, `TLS_MODE=prefer` sends a user's own passwords only in encrypted
/// form.
#[tokio::test]
async fn prefer_sends_no_password_of_a_single_user() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        let plain = target.start_another(None, &[]).await?;
        let fixture = Fixture::new(&plain.target).await?;
        let (relay, heard) = recorder("localhost".into(), plain.target.port).await?;
        fixture.change(&json!({"ssl": null, "host": "localhost", "port": relay.port()}))?;
        let function = fixture.program("single-user").env("TLS_MODE", "prefer").into();
        fixture.rotate(&function).await?;
        let heard = heard.lock().map(|heard| heard.clone()).unwrap_or_default();
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.contains("AUTH_NEWPASSWORD"), "nothing was recorded");
        for label in ["AWSCURRENT", "AWSPREVIOUS"] {
            let password =
                fixture.value(label)?["password"].as_str().unwrap_or_default().to_owned();
            assert!(!heard.contains(&password), "the password of {label} was sent");
        }
        Ok(())
    })
    .await;
}

/// The server's challenge has no parameters for PBKDF2. The driver panics on it, and the function
/// reports a remedy.
#[tokio::test]
async fn missing_12c_verifier_is_reported() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        let fake = target.start_another(None, &["--verifier", "without-pbkdf2"]).await?;
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"port": fake.target.port, "ssl": false}))?;
        fixture
            .expect(&fixture.function("single-user"), "ClientRejected", "password_versions")
            .await?;
        Ok(())
    })
    .await;
}
