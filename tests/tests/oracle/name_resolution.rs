//! Tests of names without an owner, whose meaning synonyms and the current schema can change.

use anyhow::{Result, ensure};
use rotation_tests::oracle::{Fixture, on_each, sql};
use rotation_tests::server::{NAMES, Server};
use test_servers::Certificates;

/// The views that the function reads.
const VIEWS: [&str; 14] = [
    "DBA_USERS",
    "DBA_OBJECTS",
    "DBA_TS_QUOTAS",
    "DBA_SYS_PRIVS",
    "DBA_ROLE_PRIVS",
    "DBA_TAB_PRIVS",
    "DBA_COL_PRIVS",
    "DBA_SCHEMA_PRIVS",
    "SESSION_PRIVS",
    "ROLE_SYS_PRIVS",
    "ROLE_ROLE_PRIVS",
    "USER_USERS",
    "USER_PASSWORD_LIMITS",
    "DUAL",
];

/// Returns the log lines in which the fake server reports that a planted object was read instead of
/// the dictionary.
fn planted_reads(fixture: &Fixture) -> Result<Vec<String>> {
    let log = fixture.target.log_since(0)?;
    Ok(log
        .lines()
        .filter(|line| line.contains("in place of the dictionary"))
        .map(str::to_owned)
        .collect())
}

/// Each case has its own database, because public synonyms and logon triggers affect every session.
#[tokio::test]
async fn planted_objects_are_not_read() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test would break other tests on that database");
            return Ok(());
        }
        for plants in ["public synonyms", "the current schema"] {
            let fake = target.start_another(Some(Certificates::for_names(&NAMES)?), &[]).await?;
            let fixture = Fixture::rich(&fake.target).await?;
            let mut admin = fake.target.admin().await?;
            sql(&mut admin, "CREATE USER evil IDENTIFIED BY \"no one logs in\" ACCOUNT LOCK")
                .await?;
            for view in VIEWS {
                sql(&mut admin, &format!("CREATE VIEW evil.{view} AS SELECT 1 A FROM SYS.DUAL"))
                    .await?;
                if plants == "public synonyms" {
                    let synonym =
                        format!("CREATE OR REPLACE PUBLIC SYNONYM {view} FOR evil.{view}");
                    sql(&mut admin, &synonym).await?;
                }
            }
            if plants == "the current schema" {
                let trigger = "CREATE OR REPLACE TRIGGER evil.at_logon AFTER LOGON ON DATABASE \
                    BEGIN EXECUTE IMMEDIATE 'ALTER SESSION SET CURRENT_SCHEMA = EVIL'; END;";
                sql(&mut admin, trigger).await?;
            }
            // The planted objects are effective: a name without an owner means the planted view.
            let mut session = fixture.log_in().await?;
            sql(&mut session, "SELECT username FROM user_users").await?;
            assert_eq!(
                planted_reads(&fixture)?.len(),
                1,
                "{plants}: the planted view was not read"
            );
            for strategy in ["single-user", "single-user-by-master", "master-user", "master-user"] {
                let function = fixture.function(strategy);
                let checks = fixture.preflight(&function).await?;
                ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
                fixture.rotate(&function).await?;
            }
            assert_eq!(
                planted_reads(&fixture)?.len(),
                1,
                "{plants}: {:#?}",
                planted_reads(&fixture)?
            );
        }
        Ok(())
    })
    .await;
}
