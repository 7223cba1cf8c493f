//! The tests that every run makes on each release: each strategy and step, the sync of every class
//! of permissions, and preflight. With `SQLSERVER_RELEASES=all`, all other tests also run on each
//! release (`tests/README.md`).

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::server::NAMES;
use rotation_tests::sqlserver::{
    AZURE, FakeServer, Fixture, Target, on_each, on_each_release, sql, tests_real_server,
};
use rotation_tests::suite::{happy_path, preflight, single_user_by_master};
use test_servers::Certificates;

use crate::classes;
use crate::privileges;

async fn server(release: &str) -> Result<FakeServer> {
    FakeServer::start_release(Some(release), Some(Certificates::for_names(&NAMES)?), &[]).await
}

async fn rotates(release: &str) -> Result<()> {
    let fake = server(release).await?;
    let target = || fake.target.clone();
    happy_path::single_user_gets_new_password(target()).await.context("single user")?;
    happy_path::users_alternate_and_previous_one_still_works(target())
        .await
        .context("two users")?;
    single_user_by_master::master_user_sets_password_of_single_user(target())
        .await
        .context("a single user by its master")?;
    preflight::preflight_passes_for_valid_secret(target()).await.context("preflight")?;
    classes::permissions_of_every_class(&target()).await.context("every class")?;
    if release != AZURE {
        privileges::every_privilege(&target(), false).await.context("every privilege")?;
    }
    Ok(())
}

// The other tests run on 2022 by default.
#[tokio::test]
async fn rotations_work_on_2017() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    rotates("2017").await
}

#[tokio::test]
async fn rotations_work_on_2019() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    rotates("2019").await
}

#[tokio::test]
async fn rotations_work_on_azure() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    rotates(AZURE).await
}

/// Returns the version in the answer to PRELOGIN.
fn version_before_login(target: &Target) -> Result<[u8; 4]> {
    let mut stream = TcpStream::connect((&*target.host, target.port))?;
    // VERSION and ENCRYPTION, whose value 2 means that the client does not support it.
    let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 2];
    stream.write_all(&[&[0x12, 1, 0, 26, 0, 0, 1, 0][..], &options].concat())?;
    let mut answer = [0; 8];
    stream.read_exact(&mut answer)?;
    let mut payload = vec![0; usize::from(u16::from_be_bytes([answer[2], answer[3]])) - 8];
    stream.read_exact(&mut payload)?;
    ensure!(payload.first() == Some(&0), "VERSION is not the first option");
    let offset = usize::from(u16::from_be_bytes([payload[1], payload[2]]));
    Ok(payload.get(offset..offset + 4).context("no version")?.try_into()?)
}

/// The server has the version, the views and the permissions of its release.
#[tokio::test]
async fn fake_server_answers_as_its_release() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    for (release, version, product, edition, languages, granular) in [
        ("2017", [14, 0, 3, 232], "14.0.1000.169", 3, false, false),
        ("2019", [15, 0, 7, 208], "15.0.2000.5", 3, true, false),
        ("2022", [16, 0, 3, 232], "16.0.1000.6", 3, true, true),
        (AZURE, [12, 0, 7, 208], "12.0.2000.8", 5, false, true),
    ] {
        let fake = server(release).await?;
        assert_eq!(version_before_login(&fake.target)?, version, "{release}");
        let fixture = Fixture::new(&fake.target).await?;
        let mut session = fixture.log_in().await?;
        let query = "SELECT CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)), \
            CAST(SERVERPROPERTY('EngineEdition') AS int), @@VERSION, \
            CAST(SERVERPROPERTY('ProductMajorVersion') AS nvarchar(128))";
        let row = session.simple_query(query).await?.into_row().await?.context("no row")?;
        assert_eq!(row.get::<&str, _>(0), Some(product));
        assert_eq!(row.get::<i32, _>(1), Some(edition));
        let at_at_version = row.get::<&str, _>(2).unwrap_or_default();
        let name = if release == AZURE { "SQL Azure" } else { release };
        ensure!(at_at_version.contains(name) && at_at_version.contains(product), "{at_at_version}");
        assert_eq!(row.get::<&str, _>(3), product.split('.').next());
        let view = "SELECT l.language FROM sys.external_languages l";
        let answer = sql(&mut session, view).await;
        assert_eq!(answer.is_ok(), languages, "{release}: {answer:?}");
        let grant = format!("GRANT VIEW SECURITY DEFINITION TO [{}]", fixture.user);
        let answer = sql(&mut fixture.admin().await?, &grant).await;
        assert_eq!(answer.is_ok(), granular, "{release}: {answer:?}");
    }
    Ok(())
}

/// A permission that SQL Server 2022 has introduced hides principals and permissions if it is
/// denied. The master user must not sync what it does not see.
#[tokio::test]
async fn denied_security_definitions_stop_the_rotation() {
    on_each(|target| async move {
        if target.log.is_none() || matches!(target.release.as_deref(), Some("2017" | "2019")) {
            println!("skipped: this release does not have the permission");
            return Ok(());
        }
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let (master, database) = (identifier(&fixture.master), identifier(&fixture.database));
        let mut admin = target.admin("master").await?;
        for (scope, permission) in [
            ("[master]", "VIEW ANY SECURITY DEFINITION"),
            ("[master]", "CREATE LOGIN"),
            (database.as_str(), "VIEW SECURITY DEFINITION"),
        ] {
            sql(&mut admin, &format!("USE {scope}; DENY {permission} TO {master}")).await?;
            let checks = fixture.preflight(&function).await?;
            let found = checks.iter().any(|check| {
                check["errorType"] == "PrivilegeMissing"
                    && check.to_string().contains(&format!("GRANT {permission} TO {master}"))
            });
            ensure!(found, "{permission}: {checks:#?}");
            sql(&mut admin, &format!("USE {scope}; REVOKE {permission} FROM {master}")).await?;
        }
        fixture.rotate(&function).await?;
        Ok(())
    })
    .await;
}

/// The label of the target says on which release a test of the suite has failed.
#[tokio::test]
async fn targets_are_the_chosen_releases() {
    on_each_release(|target| async move {
        if let Some(release) = &target.release {
            ensure!(target.label.ends_with(release.as_str()), "{}", target.label);
        }
        Ok(())
    })
    .await;
}
