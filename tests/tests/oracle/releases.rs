//! The tests that every run makes on each release: each strategy and step, the sync of every kind
//! of privilege, preflight, and what differs between releases. With `ORACLE_RELEASES=all`, all
//! other tests also run on each release (`tests/README.md`).

use std::process::Command;

use anyhow::{Context, Result, ensure};
use rotation_tests::child_process::text;
use rotation_tests::fake_server::Engine as _;
use rotation_tests::oracle::{
    FakeServer, Fixture, Oracle, SERVICE, Target, on_each, on_release, quoted, rows, sql,
};
use rotation_tests::server::{NAMES, Server};
use rotation_tests::suite::{happy_path, preflight, single_user_by_master};
use rotation_tests::{repository, tool};
use serde_json::json;
use test_servers::Certificates;

use crate::privileges;

/// The releases in their order. 18c has no fake server, but introduced columns.
const ORDER: [&str; 5] = ["12.2", "18c", "19c", "21c", "23ai"];

fn is_since(release: &str, first: &str) -> bool {
    let place = |name: &str| ORDER.iter().position(|one| *one == name);
    place(release) >= place(first)
}

async fn rotates(target: Target) -> Result<()> {
    happy_path::single_user_gets_new_password(target.clone()).await.context("single user")?;
    happy_path::users_alternate_and_previous_one_still_works(target.clone())
        .await
        .context("two users")?;
    single_user_by_master::master_user_sets_password_of_single_user(target.clone())
        .await
        .context("a single user by its master")?;
    preflight::preflight_passes_for_valid_secret(target.clone()).await.context("preflight")?;
    if target.log.is_some() {
        privileges::every_privilege(&target, false).await.context("every privilege")?;
    }
    gradual_rollover(&target).await.context("gradual rollover")?;
    // The function does not even try what the release does not have.
    if let (Some(log), Some(release)) = (target.log(), target.release.as_deref()) {
        let log = std::fs::read_to_string(log)?;
        for part in ["FROM SYS.DBA_SCHEMA_PRIVS", "common, read_only FROM SYS.DBA_USERS"] {
            ensure!(log.contains(part) == (release == "23ai"), "{part} on {release}");
        }
    }
    Ok(())
}

// The other tests run on 19c by default.
#[tokio::test]
async fn rotations_work_on_12_2() {
    on_release("12.2", rotates).await;
}

#[tokio::test]
async fn rotations_work_on_21c() {
    on_release("21c", rotates).await;
}

#[tokio::test]
async fn rotations_work_on_23ai() {
    on_release("23ai", rotates).await;
}

/// With PASSWORD_ROLLOVER_TIME, the record reports how long the old password remains valid, and
/// which password a second rotation invalidates. 12.2 does not have this limit.
async fn gradual_rollover(target: &Target) -> Result<()> {
    let fixture = Fixture::new(target).await?;
    let function = fixture.function("single-user");
    let profile = quoted(&format!("{}_rollover", fixture.user));
    let mut admin = target.admin().await?;
    let create = format!("CREATE PROFILE {profile} LIMIT PASSWORD_ROLLOVER_TIME 2");
    if let Err(error) = sql(&mut admin, &create).await {
        ensure!(target.release.as_deref().is_none_or(|release| release == "12.2"), "{error:?}");
        ensure!(format!("{error:?}").contains("ORA-02376"), "{error:?}");
        let records = format!("{:?}", fixture.rotate(&function).await?.steps);
        ensure!(!records.contains("rollover"), "{records}");
        return Ok(());
    }
    sql(&mut admin, &format!("ALTER USER {} PROFILE {profile}", quoted(&fixture.user))).await?;
    for note in ["still works for 2 day(s)", "A gradual rollover was already in progress"] {
        let records = format!("{:?}", fixture.rotate(&function).await?.steps);
        ensure!(records.contains(note), "{records}");
    }
    Ok(())
}

#[tokio::test]
async fn gradual_rollover_is_reported() {
    on_each(|target| async move { gradual_rollover(&target).await }).await;
}

/// The driver does not support 11.2, and the queries need columns that 12.1 does not have.
#[tokio::test]
async fn release_before_12_2_is_rejected() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server has one release");
            return Ok(());
        }
        // The test's own driver cannot create users on 11.2. A password is not sent there.
        let fake = FakeServer::start_release(Some("11.2"), None, &[]).await?;
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"port": fake.target.port, "ssl": false}))?;
        let function = fixture.function("single-user");
        let error = fixture.expect(&function, "ReleaseUnsupported", "12.2 or newer").await?;
        ensure!(error.message.contains("release 11.2 or older"), "{}", error.message);

        let certificates = Certificates::for_names(&NAMES)?;
        let fake = FakeServer::start_release(Some("12.1"), Some(certificates), &[]).await?;
        for strategy in ["single-user", "single-user-by-master", "master-user"] {
            let fixture = Fixture::new(&fake.target).await?;
            let function = fixture.function(strategy);
            fixture.preflight_finds(&function, "ReleaseUnsupported", "12.2 or newer").await?;
            let error = fixture.expect(&function, "ReleaseUnsupported", "12.2 or newer").await?;
            ensure!(error.message.contains("release 12.1.0.2.0"), "{}", error.message);
            fixture.log_in().await?;
            let log = std::fs::read_to_string(fake.target.log().context("no log")?)?;
            for user in [&fixture.user, &fixture.master] {
                let statement = format!("{}: ", quoted(user).replace('"', ""));
                ensure!(!log.contains(&format!(" {statement}")), "{statement} in {log}");
            }
        }
        Ok(())
    })
    .await;
}

/// The table with the columns has the first release of each. The server has no other columns.
#[tokio::test]
async fn fake_server_has_the_columns_of_its_release() -> Result<()> {
    let table = std::fs::read_to_string(repository().join("tests/fidelity/catalog/oracle.tsv"))?;
    let cells: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    for release in Oracle::RELEASES.context("no releases")?.all {
        let fake = FakeServer::start_release(Some(release), None, &[]).await?;
        let mut admin = fake.target.admin().await?;
        for row in &cells {
            let [view, column, _, _, first, _] = row[..] else { anyhow::bail!("{row:?}") };
            let has_view = cells.iter().any(|row| row[0] == view && is_since(release, row[4]));
            let answer = sql(&mut admin, &format!("SELECT {column} FROM {view}")).await;
            let expected = match (is_since(release, first), has_view) {
                (true, _) => answer.is_ok(),
                (false, true) => format!("{answer:?}").contains("ORA-00904"),
                (false, false) => format!("{answer:?}").contains("ORA-00942"),
            };
            ensure!(expected, "{view}.{column} on {release}: {answer:?}");
        }
    }
    Ok(())
}

/// The server reports its release in the protocol and in the dictionary, and accepts the passwords
/// and statements of this release.
#[tokio::test]
async fn fake_server_answers_as_its_release() -> Result<()> {
    for (release, version, base_version, message) in [
        ("12.2", "12.2.0.1.0", "12.2.0.1.0", "invalid username/password; logon denied"),
        ("19c", "19.28.0.0.0", "19.0.0.0.0", "invalid username/password; logon denied"),
        ("21c", "21.3.0.0.0", "21.0.0.0.0", "invalid username/password; logon denied"),
        ("23ai", "23.6.0.24.10", "23.0.0.0.0", "invalid credential or not authorized"),
    ] {
        let fake = FakeServer::start_release(Some(release), None, &[]).await?;
        let mut admin = fake.target.admin().await?;
        assert_eq!(admin.version().as_deref(), Some(version));
        let query = "SELECT version FROM product_component_version WHERE product LIKE :1";
        assert_eq!(rows(&mut admin, query, "Oracle%").await?, [[base_version]]);
        // The remedy for an account without a 12C verifier contains this query.
        sql(&mut admin, "SELECT username, password_versions FROM SYS.DBA_USERS").await?;
        let wrong = fake.target.log_in("system", "wrong", SERVICE).await.err();
        ensure!(format!("{wrong:?}").contains(message), "{release}: {wrong:?}");
        let is_newest = release == "23ai";
        let password = "x".repeat(31);
        for (statement, error) in [
            (format!("CREATE USER long_one IDENTIFIED BY {password}"), "ORA-28218"),
            ("CREATE USER reader IDENTIFIED BY x READ ONLY".into(), "ORA-00922"),
            ("GRANT SELECT ANY TABLE ON SCHEMA \"SYSTEM\" TO reader".into(), "ORA-00905"),
        ] {
            let answer = sql(&mut admin, &statement).await;
            ensure!(answer.is_ok() == is_newest, "{release}: {answer:?}");
            ensure!(is_newest || format!("{answer:?}").contains(error), "{release}: {answer:?}");
        }
        accepts_second_client(&fake.target).await.context(release)?;
    }
    Ok(())
}

/// Checks the fake server with a second client, so that it does not only match one driver. The
/// client logs in, is rejected, changes its password and runs statements.
async fn accepts_second_client(target: &Target) -> Result<()> {
    let done = Command::new(tool("python"))
        .arg("-B")
        .arg(repository().join("tests/fake_servers/oracle_client.py"))
        .args([format!("localhost:{}/{SERVICE}", target.port), target.password.clone()])
        .output()?;
    let message = text(&done);
    ensure!(done.status.success() && message.contains("all as expected"), "{message}");
    Ok(())
}

/// Since 23ai, a password can have 1024 bytes. An administrator may have chosen the current one.
#[tokio::test]
async fn long_password_of_23ai_is_replaced() {
    on_release("23ai", |target| async move {
        for strategy in ["single-user", "master-user"] {
            let fixture = Fixture::new(&target).await?;
            let long = rotation_tests::fixture::new_password().repeat(10);
            if let Err(error) = target.give_password(&fixture.user, &long).await {
                ensure!(target.log.is_none(), "{error:?}");
                println!("skipped: the server does not accept long passwords");
                return Ok(());
            }
            fixture.change(&json!({"password": long}))?;
            let function = fixture.function(strategy);
            for _ in 0..2 {
                fixture.rotate(&function).await?;
                fixture.log_in().await?;
            }
            assert_eq!(fixture.failed_logins()?, 0);
        }
        Ok(())
    })
    .await;
}
