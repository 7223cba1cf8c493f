//! Tests of `KEEP_PREVIOUS_PASSWORD` on MySQL: no login of a client that has the old password
//! fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::{Result, ensure};
use rotation_driver::Function;
use rotation_tests::fixture::SECRET_ARN;
use rotation_tests::mysql::{Fixture, MySql, Target, account, on_each, sql};
use serde_json::{Value, json};

async fn fixture(target: &Target<MySql>) -> Result<Fixture<MySql>> {
    let fixture = Fixture::new(target).await?;
    let grant = format!("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {}", account(&fixture.user));
    sql(&mut target.admin().await?, &grant).await?;
    Ok(fixture)
}

fn function(fixture: &Fixture<MySql>) -> Function {
    fixture.program("single-user").env("KEEP_PREVIOUS_PASSWORD", "true").into()
}

#[tokio::test]
async fn old_password_works_throughout_rotation() {
    on_each::<MySql, _>(|target| async move {
        let fixture = Arc::new(fixture(&target).await?);
        let function = function(&fixture);
        let old = fixture.value("AWSCURRENT")?;
        let stop = Arc::new(AtomicBool::new(false));
        let logins = Arc::new(AtomicUsize::new(0));
        let client = {
            let (fixture, old, stop, logins) =
                (fixture.clone(), old.clone(), stop.clone(), logins.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    fixture.log_in_with(&old).await?;
                    logins.fetch_add(1, Ordering::SeqCst);
                }
                anyhow::Ok(())
            })
        };
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
        stop.store(true, Ordering::SeqCst);
        client.await??;
        let logins = logins.load(Ordering::SeqCst);
        println!("{logins} logins");
        ensure!(logins >= 3, "only {logins} logins");
        fixture.log_in_with(&old).await?;
        assert_eq!(fixture.failed_logins()?, 0);
        // The old password works until the next rotation.
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
        fixture.log_in_with(&fixture.value("AWSPREVIOUS")?).await?;
        assert!(
            fixture.log_in_with(&old).await.is_err(),
            "the password before the previous one still works"
        );
        fixture.search_for_passwords("")
    })
    .await;
}

/// A second `RETAIN CURRENT PASSWORD` would discard the old password.
#[tokio::test]
async fn set_secret_twice_keeps_the_old_password() {
    on_each::<MySql, _>(|target| async move {
        for history in
            ["PASSWORD HISTORY DEFAULT", "PASSWORD HISTORY 5", "PASSWORD REQUIRE CURRENT"]
        {
            let fixture = fixture(&target).await?;
            let statement = format!("ALTER USER {} {history}", account(&fixture.user));
            sql(&mut target.admin().await?, &statement).await?;
            let function = function(&fixture);
            for _ in 0..2 {
                let old = fixture.value("AWSCURRENT")?;
                let token = fixture.stage(None)?;
                fixture.step(&function, "createSecret", &token).await?;
                let first = fixture.step(&function, "setSecret", &token).await?;
                assert_eq!(first["outcome"], "done", "{first}");
                let again = fixture.step(&function, "setSecret", &token).await?;
                assert_eq!(again["outcome"], "already_done", "{again}");
                fixture.log_in_with(&old).await?;
                assert_eq!(fixture.attempt(&function, &token, 1).await.failed, None);
                fixture.log_in().await?;
                fixture.log_in_with(&old).await?;
            }
            assert_eq!(fixture.failed_logins()?, 0);
            fixture.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn old_password_works_after_any_lost_packet() {
    on_each::<MySql, _>(|target| async move {
        for after in [false, true] {
            for point in 0.. {
                let fixture = fixture(&target).await?;
                let old = fixture.value("AWSCURRENT")?;
                let cutter = fixture.start_fault_proxy().await?;
                let function = function(&fixture);
                let token = fixture.stage(None)?;
                cutter.cut(point, after);
                let first = fixture.attempt(&function, &token, 1).await;
                fixture.log_in_with(&old).await?;
                if !cutter.heal() {
                    assert_eq!(first.failed, None);
                    ensure!(point >= 8, "only {point} packets");
                    break;
                }
                let second = fixture.attempt(&function, &token, 1).await;
                ensure!(
                    second.failed.is_none(),
                    "cut at {point}, after {after}: {:?}",
                    second.failed
                );
                fixture.log_in_with(&old).await?;
                fixture.log_in().await?;
            }
        }
        Ok(())
    })
    .await;
}

/// The password of the cancelled rotation has become the primary one, and no labelled version has
/// it.
#[tokio::test]
async fn cancelled_rotation_keeps_current_password() {
    on_each::<MySql, _>(|target| async move {
        for (policy, old_works) in [("DEFAULT", true), ("HISTORY", false)] {
            let fixture = fixture(&target).await?;
            let function = function(&fixture);
            let old = fixture.value("AWSCURRENT")?;
            if !old_works {
                let statement = format!("ALTER USER {} PASSWORD HISTORY 5", account(&fixture.user));
                sql(&mut target.admin().await?, &statement).await?;
                // After this rotation, the server's history also contains the current password.
                fixture.rotate(&function).await?;
            }
            let old = if old_works { old } else { fixture.value("AWSCURRENT")? };
            let cancelled = fixture.stage(None)?;
            for step in ["createSecret", "setSecret"] {
                fixture.step(&function, step, &cancelled).await?;
            }
            fixture.value("AWSPENDING")?;
            let request = json!({
                "SecretId": SECRET_ARN,
                "VersionStage": "AWSPENDING",
                "RemoveFromVersionId": cancelled,
            });
            fixture.service.perform("UpdateSecretVersionStage", &request)?;

            let rotation = fixture.rotate(&function).await?;
            fixture.log_in().await?;
            assert_eq!(fixture.log_in_with(&old).await.is_ok(), old_works, "{policy}");
            let set = rotation.steps[1].result.as_ref().map(Value::to_string).unwrap_or_default();
            assert_eq!(set.contains("no longer works"), !old_works, "{set}");
            fixture.search_for_passwords(&set)?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn missing_password_admin_privilege_is_reported() {
    on_each::<MySql, _>(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let error = fixture
            .expect(&function(&fixture), "PrivilegeMissing", "GRANT APPLICATION_PASSWORD_ADMIN")
            .await?;
        assert!(error.message.contains("KEEP_PREVIOUS_PASSWORD"), "{}", error.message);
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}
