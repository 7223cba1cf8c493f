//! Failures of the database, told apart.

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
        // What would name another server in the descriptor is no name of a database.
        for database in ["NO_SUCH_SERVICE", "X)(HOST=evil.example.com"] {
            let scene = Fixture::new(&target).await?;
            scene.change(&json!({"dbname": database}))?;
            scene.expect(&scene.function("single-user"), "DatabaseNotFound", "dbname").await?;
        }
        Ok(())
    })
    .await;
}

/// FAILED_LOGIN_ATTEMPTS of the user's profile.
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

/// The profile's verify function.
#[tokio::test]
async fn a_password_that_the_profile_refuses() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: it takes a verify function that is known");
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
            let error = scene.expect(&function, "PasswordRejected", "PASSWORD_VERIFY_FUNCTION").await?;
            assert!(error.message.contains("--remove-from-version-id"), "{}", error.message);
            scene.log_in().await?;
            // The rotation's own password passes, also where the second user is made.
            let scene = Fixture::new(&target).await?;
            sql(&mut admin, &format!("ALTER USER {} PROFILE {profile}", quoted(&scene.user))).await?;
            let long = scene.program(strategy).env("EXCLUDE_CHARACTERS", "\"").into();
            let mut attempts = 0;
            // Two of each kind are likely, not certain.
            while let Err(error) = scene.rotate(&long).await {
                attempts += 1;
                ensure!(attempts < 5 && error.to_string().starts_with("PasswordRejected"), "{error}");
                let token = scene.version("AWSPENDING")?.unwrap_or_default();
                let remove = json!({"SecretId": "test/secret", "VersionStage": "AWSPENDING", "RemoveFromVersionId": token});
                scene.service.perform("UpdateSecretVersionStage", &remove)?;
            }
            scene.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// Each privilege that a master can lack, and the statement that gives it: which then is run, and
/// helps.
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

/// The driver panics there: the function does not.
#[tokio::test]
async fn a_server_that_demands_its_own_encryption_is_told_what_to_change() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server cannot be set up here");
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

/// A certificate can be for no such name, and the driver panics on it.
#[tokio::test]
async fn a_host_that_no_certificate_can_be_for_is_named() {
    on_each(|target| async move {
        if target.authority.is_none() {
            println!("skipped: TLS is not used there");
            return Ok(());
        }
        let scene = Fixture::new(&target).await?;
        // Resolves nowhere, or is refused: either is the host's fault, and neither a dead function.
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

/// What the engine cannot hold is refused before it is stored.
#[tokio::test]
async fn a_password_that_oracle_cannot_hold_is_not_stored() {
    on_each(|target| async move {
        for (setting, value) in [("PASSWORD_LENGTH", "31"), ("EXCLUDE_CHARACTERS", "abc")] {
            let scene = Fixture::new(&target).await?;
            let program = scene.program("single-user").env(setting, value);
            // Of nothing but punctuation, thirty characters hold a quote two times in three.
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
                        ensure!(scene.value("AWSPENDING").is_err(), "it was stored");
                        break;
                    }
                    None => ensure!(setting != "PASSWORD_LENGTH", "31 bytes were taken"),
                }
            }
        }
        Ok(())
    })
    .await;
}

/// The RDS default: no TLS. A user's own password travels encrypted all the same; a master's
/// statement does not.
#[tokio::test]
async fn without_tls_a_password_is_never_readable_unless_the_secret_says_so() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server cannot be set up here");
            return Ok(());
        }
        // However a listener takes a hello of TLS, it speaks in clear when it is asked in clear.
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

/// What `TLS_MODE=prefer` sends over an unencrypted connection: a user's own passwords, encrypted.
#[tokio::test]
async fn prefer_sends_no_password_of_a_single_user() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server cannot be set up here");
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

/// What the driver is told of the server's release decides the forms of messages.
#[tokio::test]
async fn every_release_that_the_driver_knows() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server has its own");
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

/// That the peer is an Oracle server, and not what one driver takes for one: another client logs
/// in, is refused, changes its password and runs statements.
#[tokio::test]
async fn another_client_agrees_with_the_peer() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server is Oracle's own");
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

/// A challenge that says nothing of PBKDF2: the driver panics there, the function says what to do.
#[tokio::test]
async fn a_server_that_offers_no_12c_verifier_is_told_what_to_change() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server cannot be set up here");
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
