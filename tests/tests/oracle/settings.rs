//! Tests of settings of the server that a rotation cannot work with.

use anyhow::{Context, ensure};
use rotation_tests::oracle::{Fixture, on_each, quoted, sql};
use rotation_tests::server::{NAMES, Server};
use serde_json::json;
use test_servers::Certificates;

/// The SSL option of RDS has these settings if its settings were not changed.
#[tokio::test]
async fn legacy_tls_settings_are_reported() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        let certificates = Certificates::for_names(&NAMES)?;
        for version in ["1.0", "1.2"] {
            let fixture = Fixture::new(&target).await?;
            let legacy = target
                .start_another(Some(certificates.clone()), &["--legacy-tls", version])
                .await?;
            fixture.change(&json!({"port": legacy.target.port}))?;
            let function = fixture.function("single-user");
            let error = fixture.expect(&function, "TlsFailed", "SQLNET.SSL_VERSION").await?;
            let suite = "SQLNET.CIPHER_SUITE to TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
            ensure!(error.message.contains(suite), "{}", error.message);
        }
        Ok(())
    })
    .await;
}

/// Names have at most 30 bytes if COMPATIBLE is lower than 12.2.
#[tokio::test]
async fn name_too_long_for_compatible_is_reported() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        let certificates = Certificates::for_names(&NAMES)?;
        let fake = target.start_another(Some(certificates), &["--longest-name", "30"]).await?;
        let fixture = Fixture::with_user(&fake.target, "a_user_with_25_characters", "x").await?;
        let function = fixture.function("master-user");
        let error = fixture.expect(&function, "NeedsDecision", "COMPATIBLE").await?;
        ensure!(error.message.contains("ORA-00972"), "{}", error.message);
        ensure!(!error.message.contains("PASSWORD_LENGTH"), "{}", error.message);
        fixture.give_up(&fixture.version("AWSPENDING")?.context("no version is pending")?)?;
        fixture.rotate(&fixture.function("single-user")).await?;
        Ok(())
    })
    .await;
}

/// The dictionary shows the default tablespace of a user even if it was dropped.
#[tokio::test]
async fn dropped_default_tablespace_is_reported() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs known tablespaces");
            return Ok(());
        }
        let certificates = Certificates::for_names(&NAMES)?;
        let fake = target.start_another(Some(certificates), &[]).await?;
        let fixture = Fixture::new(&fake.target).await?;
        let user = quoted(&fixture.user);
        let mut admin = fake.target.admin().await?;
        sql(&mut admin, &format!("ALTER USER {user} DEFAULT TABLESPACE DATA")).await?;
        sql(&mut admin, "DROP TABLESPACE data").await?;
        let function = fixture.function("master-user");
        fixture.expect(&function, "NeedsDecision", "DEFAULT TABLESPACE").await?;
        sql(&mut admin, &format!("ALTER USER {user} DEFAULT TABLESPACE USERS")).await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        Ok(())
    })
    .await;
}
