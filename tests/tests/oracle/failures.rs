//! Tests of failures that only Oracle reports, which the function must tell apart.

use anyhow::ensure;
use rotation_local::throwaway::Certificates;
use rotation_tests::oracle::{Fixture, Peer, SERVICE, on_each, quoted, sql};
use rotation_tests::relay::recorder;
use rotation_tests::server::{NAMES, Server};
use serde_json::json;

#[tokio::test]
async fn refusals_that_no_password_mends_end_the_search_at_once() {
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
            let scene = Fixture::new(&target).await?;
            let filled = |text: &str| text.replace("{user}", &quoted(&scene.user));
            sql(&mut target.admin().await?, &filled(statement)).await?;
            scene.expect(&scene.function("single-user"), error_type, &filled(part)).await?;
            if target.log().is_some() {
                assert_eq!(scene.failed_logins()?, 1, "more than one password was tried");
            }
        }
        // A text that would name another server in the connect descriptor is rejected as a database
        // name.
        for database in ["NO_SUCH_SERVICE", "X)(HOST=evil.example.com"] {
            let scene = Fixture::new(&target).await?;
            scene.change(&json!({"dbname": database}))?;
            scene.expect(&scene.function("single-user"), "DatabaseNotFound", "dbname").await?;
        }
        Ok(())
    })
    .await;
}

/// FAILED_LOGIN_ATTEMPTS of the user's profile locks the account.
#[tokio::test]
async fn an_account_that_too_many_failed_logins_have_locked() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let (user, profile) = (quoted(&scene.user), quoted(&format!("{}_profile", scene.user)));
        let mut admin = target.admin().await?;
        sql(&mut admin, &format!("CREATE PROFILE {profile} LIMIT FAILED_LOGIN_ATTEMPTS 1")).await?;
        sql(&mut admin, &format!("ALTER USER {user} PROFILE {profile}")).await?;
        let mut wrong = scene.value("AWSCURRENT")?;
        wrong["password"] = "a-wrong-password".into();
        ensure!(scene.log_in_with(&wrong).await.is_err());
        scene.expect(&scene.function("single-user"), "AccountLocked", "ACCOUNT UNLOCK").await?;
        Ok(())
    })
    .await;
}

/// The verify function of the user's profile rejects the password.
#[tokio::test]
async fn a_password_that_the_profile_refuses() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a known verify function");
            return Ok(());
        }
        for strategy in ["single-user", "master-user"] {
            let scene = Fixture::new(&target).await?;
            let (user, profile) = (quoted(&scene.user), quoted(&format!("{}_profile", scene.user)));
            let mut admin = target.admin().await?;
            let limit = "PASSWORD_VERIFY_FUNCTION ora12c_strong_verify_function";
            sql(&mut admin, &format!("CREATE PROFILE {profile} LIMIT {limit}")).await?;
            sql(&mut admin, &format!("ALTER USER {user} PROFILE {profile}")).await?;
            let function = scene.program(strategy).env("PASSWORD_LENGTH", "8").into();
            let error =
                scene.expect(&function, "PasswordRejected", "PASSWORD_VERIFY_FUNCTION").await?;
            assert!(error.message.contains("--remove-from-version-id"), "{}", error.message);
            scene.log_in().await?;
            // A password of the usual length passes, also when the alternate user is created.
            let scene = Fixture::new(&target).await?;
            sql(&mut admin, &format!("ALTER USER {} PROFILE {profile}", quoted(&scene.user)))
                .await?;
            let long = scene.program(strategy).env("EXCLUDE_CHARACTERS", "\"").into();
            let mut attempts = 0;
            // The function requires two characters of each kind. They are likely, but not certain.
            while let Err(error) = scene.rotate(&long).await {
                attempts += 1;
                ensure!(
                    attempts < 5 && error.to_string().starts_with("PasswordRejected"),
                    "{error}"
                );
                let token = scene.version("AWSPENDING")?.unwrap_or_default();
                let remove = json!({
                    "SecretId": "test/secret",
                    "VersionStage": "AWSPENDING",
                    "RemoveFromVersionId": token,
                });
                scene.service.perform("UpdateSecretVersionStage", &remove)?;
            }
            scene.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// For each privilege that the master user can lack, the error names the statement that grants it.
/// The test runs this statement, and the rotation succeeds.
#[tokio::test]
async fn a_master_without_a_privilege_is_told_which() {
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
            let scene = Fixture::new(&target).await?;
            let filled = |text: &str| text.replace("{master}", &quoted(&scene.master));
            let mut admin = target.admin().await?;
            sql(&mut admin, &filled(revoked)).await?;
            let function = scene.function("master-user");
            if !revoked.contains("GRANT ANY") {
                scene.preflight_finds(&function, "PrivilegeMissing", &filled(grant)).await?;
            }
            scene.expect(&function, "PrivilegeMissing", &filled(grant)).await?;
            scene.log_in().await?;
            sql(&mut admin, &filled(grant)).await?;
            let rotation = scene.again(&function).await?;
            ensure!(rotation.failed.is_none(), "{grant} did not help: {:?}", rotation.failed);
            scene.log_in().await?;
            assert_eq!(scene.failed_logins()?, 0);
        }
        Ok(())
    })
    .await;
}

/// The driver panics on this server. The function reports an error.
#[tokio::test]
async fn a_server_that_demands_its_own_encryption_is_told_what_to_change() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        let peer = Peer::start(None, &["--encryption", "required"]).await?;
        let scene = Fixture::new(&target).await?;
        scene.change(&json!({"port": peer.target.port, "ssl": false}))?;
        let function = scene.function("single-user");
        scene.expect(&function, "ClientRejected", "SQLNET.ENCRYPTION_SERVER=ACCEPTED").await?;
        Ok(())
    })
    .await;
}

/// No certificate can be valid for such a name, and the driver panics on it.
#[tokio::test]
async fn a_host_that_no_certificate_can_be_for_is_named() {
    on_each(|target| async move {
        if target.authority.is_none() {
            println!("skipped: that server does not use TLS");
            return Ok(());
        }
        let scene = Fixture::new(&target).await?;
        // The name does not resolve, or TLS rejects it. Either error is correct, but the function
        // must not crash.
        scene.change(&json!({"host": "db_with_underscore%lo"}))?;
        let error = scene.failure(&scene.function("single-user")).await?;
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
async fn a_password_that_oracle_cannot_hold_is_not_stored() {
    on_each(|target| async move {
        for (setting, value) in [("PASSWORD_LENGTH", "31"), ("EXCLUDE_CHARACTERS", "abc")] {
            let scene = Fixture::new(&target).await?;
            let program = scene.program("single-user").env(setting, value);
            // Two of three passwords with thirty punctuation characters contain a double quote.
            let function = program
                .env("EXCLUDE_LOWERCASE", "true")
                .env("EXCLUDE_UPPERCASE", "true")
                .env("EXCLUDE_NUMBERS", "true")
                .into();
            for _ in 0..20 {
                let failed = scene.again(&function).await?.failed;
                match failed {
                    Some(error) => {
                        ensure!(error.error_type == "PasswordUnusable", "{}", error.message);
                        ensure!(scene.value("AWSPENDING").is_err(), "the password was stored");
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
async fn without_tls_a_password_is_never_readable_unless_the_secret_says_so() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        // Listeners without TLS react differently to a TLS handshake. All of them accept
        // unencrypted connections.
        for on_hello in ["reset", "wait"] {
            let plain = Peer::start(None, &["--on-hello", on_hello]).await?;
            let scene = Fixture::new(&plain.target).await?;
            scene.change(&json!({"ssl": null}))?;
            scene
                .expect(&scene.function("single-user"), "TlsNotOffered", "TLS_MODE=prefer")
                .await?;
        }
        let plain = Peer::start(None, &[]).await?;
        let scene = Fixture::new(&plain.target).await?;
        scene.change(&json!({"ssl": null}))?;
        scene.expect(&scene.function("single-user"), "TlsNotOffered", "TLS_MODE=prefer").await?;
        let prefer = |strategy| scene.program(strategy).env("TLS_MODE", "prefer").into();
        assert_eq!(scene.again(&prefer("single-user")).await?.failed, None);
        scene.log_in().await?;
        scene.change_master(&json!({"ssl": null}))?;
        let error = scene.expect(&prefer("master-user"), "NeedsDecision", "\"ssl\": false").await?;
        assert!(error.message.contains("readably"), "{}", error.message);
        scene.change_master(&json!({"ssl": false}))?;
        let scene = Fixture::new(&plain.target).await?;
        scene.rotate(&scene.function("master-user")).await?;
        scene.log_in().await?;
        scene.search_for_passwords("")
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
        let plain = Peer::start(None, &[]).await?;
        let scene = Fixture::new(&plain.target).await?;
        let (relay, heard) = recorder("localhost".into(), plain.target.port).await?;
        scene.change(&json!({"ssl": null, "host": "localhost", "port": relay.port()}))?;
        let function = scene.program("single-user").env("TLS_MODE", "prefer").into();
        scene.rotate(&function).await?;
        let heard = heard.lock().map(|heard| heard.clone()).unwrap_or_default();
        let heard = String::from_utf8_lossy(&heard);
        assert!(heard.contains("AUTH_NEWPASSWORD"), "nothing was recorded");
        for label in ["AWSCURRENT", "AWSPREVIOUS"] {
            let password = scene.value(label)?["password"].as_str().unwrap_or_default().to_owned();
            assert!(!heard.contains(&password), "the password of {label} was sent");
        }
        Ok(())
    })
    .await;
}

/// The form of messages depends on the release that the server reports to the driver.
#[tokio::test]
async fn every_release_that_the_driver_knows() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server has one release");
            return Ok(());
        }
        for version in ["12.2", "19c", "21c", "23ai"] {
            println!("version {version}");
            let peer = Peer::start(Some(Certificates::for_names(&NAMES)?), &["--version", version])
                .await?;
            let scene = Fixture::new(&peer.target).await?;
            for strategy in ["single-user", "master-user"] {
                scene.rotate(&scene.function(strategy)).await?;
                scene.log_in().await?;
            }
            assert_eq!(scene.failed_logins()?, 0);
        }
        Ok(())
    })
    .await;
}

/// Checks the fake server with a second client, so that it does not only match one driver. The
/// client logs in, is rejected, changes its password and runs statements.
#[tokio::test]
async fn another_client_agrees_with_the_peer() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server is a real one");
            return Ok(());
        }
        let peer = Peer::start(None, &[]).await?;
        let project = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let done = std::process::Command::new(rotation_tests::tool("python"))
            .arg("-B")
            .arg(project.join("tests/peers/oracle_client.py"))
            .args([
                format!("localhost:{}/{SERVICE}", peer.target.port),
                peer.target.password.clone(),
            ])
            .output()?;
        let message = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        ensure!(done.status.success() && message.contains("all as expected"), "{message}");
        Ok(())
    })
    .await;
}

/// The server's challenge has no parameters for PBKDF2. The driver panics on it, and the function
/// reports a remedy.
#[tokio::test]
async fn a_server_that_offers_no_12c_verifier_is_told_what_to_change() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        let peer = Peer::start(None, &["--verifier", "without-pbkdf2"]).await?;
        let scene = Fixture::new(&target).await?;
        scene.change(&json!({"port": peer.target.port, "ssl": false}))?;
        scene.expect(&scene.function("single-user"), "ClientRejected", "password_versions").await?;
        Ok(())
    })
    .await;
}
