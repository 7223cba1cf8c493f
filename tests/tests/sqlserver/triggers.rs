//! Tests that DDL triggers of the application's users never run with the master user's privileges.

use anyhow::{Context, Result, ensure};
use rotation_driver::{Function, FunctionError};
use rotation_sqlserver::identifier;
use rotation_tests::fixture::new_password;
use rotation_tests::server::{NAMES, Server};
use rotation_tests::sqlserver::{Fixture, Session, on_each, sql, with_password};
use serde_json::json;
use test_servers::Certificates;

/// The strategies with a master user.
const BY_MASTER: &str = "single-user-by-master";
const ALTERNATING: &str = "master-user";

/// Returns a trigger that changes the password of another login when a login with that permission
/// fires it.
fn trigger(name: &str, on: &str, events: &str) -> String {
    let password = with_password(&new_password());
    let name = identifier(name);
    format!("CREATE TRIGGER {name} ON {on} FOR {events} AS ALTER LOGIN [a victim] WITH {password}")
}

/// Opens a session of the application's user.
async fn application(fixture: &Fixture) -> Result<Session> {
    fixture.log_in().await
}

/// Returns `true` if a trigger has run with the master user's privileges, which only the fake
/// server reports.
fn has_run(fixture: &Fixture) -> Result<bool> {
    Ok(fixture.target.log_since(0)?.contains(&format!("{}: trigger ", fixture.master)))
}

/// Returns the T-SQL statement and the value of the setting that a remedy names.
fn remedies(error: &FunctionError) -> Result<(String, String)> {
    let (_, remedy) =
        error.message.split_once("As an administrator of the database: ").context("no remedy")?;
    let (statement, rest) = remedy.split_once(". Or, ").context("no setting")?;
    let (_, value) = rest.split_once("ACCEPT_DDL_TRIGGERS=").context("no setting")?;
    let (value, _) = value.split_once(" on the function").context("no value")?;
    Ok((statement.to_owned(), value.to_owned()))
}

/// Returns the function with a value of `ACCEPT_DDL_TRIGGERS`.
fn accepting(fixture: &Fixture, strategy: &str, value: &str) -> Function {
    fixture.program(strategy).env("ACCEPT_DDL_TRIGGERS", value).into()
}

/// The application's user owns its database and plants a trigger in it.
#[tokio::test]
async fn trigger_of_database_owner_does_not_run_as_master() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let user = identifier(&fixture.user);
        sql(&mut fixture.admin().await?, &format!("ALTER ROLE db_owner ADD MEMBER {user}")).await?;
        let plant = trigger("it's [evil]", "DATABASE", "DDL_DATABASE_LEVEL_EVENTS");
        sql(&mut application(&fixture).await?, &plant).await?;

        let part = format!(
            "USE {}; DISABLE TRIGGER [it's [evil]]] ON DATABASE",
            identifier(&fixture.database)
        );
        let alternating = fixture.function(ALTERNATING);
        fixture.preflight_finds(&alternating, "NeedsDecision", &part).await?;
        let error = fixture.expect(&alternating, "NeedsDecision", &part).await?;
        for expected in [&fixture.database, &fixture.master, "it's [evil]]] would run"] {
            ensure!(error.message.contains(expected), "{expected}: {}", error.message);
        }
        ensure!(!has_run(&fixture)?, "the trigger ran with the master user's privileges");

        let (statement, _) = remedies(&error)?;
        sql(&mut target.admin("master").await?, &statement).await?;
        assert_eq!(fixture.again(&alternating).await?.failed, None);
        fixture.rotate(&alternating).await?;
        ensure!(!has_run(&fixture)?, "a disabled trigger ran");
        fixture.search_for_passwords("")
    })
    .await;
}

/// These rotations change nothing in the database, so its triggers do not matter.
#[tokio::test]
async fn trigger_without_matching_change_does_not_block() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let user = identifier(&fixture.user);
        let alternating = fixture.function(ALTERNATING);
        sql(&mut fixture.admin().await?, &format!("ALTER ROLE db_owner ADD MEMBER {user}")).await?;
        fixture.rotate(&alternating).await?;
        let plant = trigger("evil", "DATABASE", "DDL_DATABASE_LEVEL_EVENTS");
        sql(&mut application(&fixture).await?, &plant).await?;
        for function in
            [&alternating, &fixture.function(BY_MASTER), &fixture.function("single-user")]
        {
            let checks = fixture.preflight(function).await?;
            ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
            fixture.rotate(function).await?;
        }
        ensure!(!has_run(&fixture)?, "the trigger ran with the master user's privileges");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn accepted_trigger_runs_and_no_other_does() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (user, database) = (identifier(&fixture.user), identifier(&fixture.database));
        sql(&mut fixture.admin().await?, &format!("ALTER ROLE db_ddladmin ADD MEMBER {user}"))
            .await?;
        for name in ["audit", "evil"] {
            let plant = trigger(name, "DATABASE", "DDL_USER_EVENTS");
            sql(&mut application(&fixture).await?, &plant).await?;
        }
        // The name of a trigger in another database or of the server does not accept a trigger in
        // this database.
        for value in ["", "false", "audit,evil", "[other].[audit],[other].[evil]"] {
            let error = fixture.failure(&accepting(&fixture, ALTERNATING, value)).await?;
            ensure!(
                error.message.contains("[audit], [evil] would run"),
                "{value}: {}",
                error.message
            );
            fixture
                .give_up(&fixture.version("AWSPENDING")?.context("there is no pending version")?)?;
        }
        let one = format!("{database}.[audit]");
        let error = fixture
            .expect(&accepting(&fixture, ALTERNATING, &one), "NeedsDecision", "[evil] ON")
            .await?;
        ensure!(!error.message.contains("[audit]"), "{}", error.message);
        ensure!(!has_run(&fixture)?, "a trigger ran with the master user's privileges");

        let (_, value) = remedies(&error)?;
        let both = accepting(&fixture, ALTERNATING, &format!("{one},{value}"));
        fixture.preflight(&both).await?;
        assert_eq!(fixture.again(&both).await?.failed, None);
        ensure!(target.log().is_none() || has_run(&fixture)?, "an accepted trigger did not run");
        let all = accepting(&fixture, ALTERNATING, "true");
        fixture.rotate(&all).await?;
        let wrong = fixture.failure(&accepting(&fixture, ALTERNATING, "[audit")).await?;
        assert_eq!(wrong.error_type, "InvalidSetting");
        ensure!(wrong.message.contains("ACCEPT_DDL_TRIGGERS"), "{}", wrong.message);
        Ok(())
    })
    .await;
}

/// The first change shows the attacker that a rotation is running. The function checks for triggers
/// before every further change.
#[tokio::test]
async fn trigger_planted_between_two_changes_does_not_run() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (user, database) = (identifier(&fixture.user), identifier(&fixture.database));
        sql(&mut fixture.admin().await?, &format!("ALTER ROLE db_owner ADD MEMBER {user}")).await?;
        // The accepted trigger stands for a hostile session that waits for the first change.
        let plant = trigger("evil", "DATABASE", "DDL_DATABASE_LEVEL_EVENTS").replace('\'', "''");
        let first =
            format!("CREATE TRIGGER audit ON DATABASE FOR CREATE_USER AS EXEC (N'{plant}')");
        sql(&mut application(&fixture).await?, &first).await?;
        let function = accepting(&fixture, ALTERNATING, &format!("{database}.audit"));
        // Preflight cannot detect this, because the trigger does not exist yet.
        let part = "DISABLE TRIGGER [evil] ON DATABASE";
        fixture.expect_failure_without_preflight(&function, "NeedsDecision", part).await?;
        if target.log().is_some() {
            ensure!(has_run(&fixture)?, "the accepted trigger has planted nothing");
            let log = target.log_since(0)?;
            ensure!(
                !log.contains(&format!("{}: trigger evil ", fixture.master)),
                "the planted trigger ran: {log}"
            );
        }
        Ok(())
    })
    .await;
}

/// A trigger of an administrator does not block a rotation if the application's users have no
/// permission to change it. The record reports it.
#[tokio::test]
async fn trigger_of_administrator_is_reported_and_does_not_block() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let plant = trigger("audit", "DATABASE", "DDL_DATABASE_LEVEL_EVENTS");
        sql(&mut fixture.admin().await?, &plant).await?;
        let function = fixture.function(ALTERNATING);
        let checks = fixture.preflight(&function).await?;
        ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
        let rotation = fixture.rotate(&function).await?;
        let records = format!("{:?}", rotation.steps);
        ensure!(
            records.contains("the DDL trigger(s) [audit] may run with the privileges"),
            "{records}"
        );
        Ok(())
    })
    .await;
}

/// Covers every permission with which an application's user could create a trigger. Revoking it
/// unblocks the rotation.
#[tokio::test]
async fn every_permission_over_triggers_is_found() {
    const TRIGGER_PERMISSIONS: &[(&str, &str)] = &[
        ("ALTER ROLE db_owner ADD MEMBER {u}", "ALTER ROLE db_owner DROP MEMBER {u}"),
        ("ALTER ROLE db_ddladmin ADD MEMBER {u}", "ALTER ROLE db_ddladmin DROP MEMBER {u}"),
        (
            "ALTER ROLE db_securityadmin ADD MEMBER {u}",
            "ALTER ROLE db_securityadmin DROP MEMBER {u}",
        ),
        (
            "ALTER ROLE db_ddladmin ADD MEMBER inner_role",
            "ALTER ROLE db_ddladmin DROP MEMBER inner_role",
        ),
        ("GRANT CONTROL TO inner_role", "REVOKE CONTROL FROM inner_role"),
        ("GRANT ALTER TO {u}", "REVOKE ALTER FROM {u}"),
        (
            "GRANT ALTER ANY DATABASE DDL TRIGGER TO public",
            "REVOKE ALTER ANY DATABASE DDL TRIGGER FROM public",
        ),
        ("GRANT IMPERSONATE ON USER::writer TO {u}", "REVOKE IMPERSONATE ON USER::writer FROM {u}"),
        (
            "GRANT ALTER ON ROLE::writers TO outer_role",
            "REVOKE ALTER ON ROLE::writers FROM outer_role",
        ),
        (
            "USE [master]; GRANT ALTER ANY DATABASE TO {u}",
            "USE [master]; REVOKE ALTER ANY DATABASE FROM {u}",
        ),
    ];
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (user, database) = (identifier(&fixture.user), identifier(&fixture.database));
        let mut admin = fixture.admin().await?;
        sql(&mut admin, &trigger("audit", "DATABASE", "DDL_DATABASE_LEVEL_EVENTS")).await?;
        for statement in [
            "CREATE ROLE inner_role; CREATE ROLE outer_role; CREATE ROLE writers",
            "ALTER ROLE inner_role ADD MEMBER outer_role; ALTER ROLE outer_role ADD MEMBER {u}",
            "CREATE USER writer WITHOUT LOGIN; ALTER ROLE db_ddladmin ADD MEMBER writer",
            "ALTER ROLE db_ddladmin ADD MEMBER writers",
        ] {
            sql(&mut admin, &statement.replace("{u}", &user)).await?;
        }
        let function = fixture.function(ALTERNATING);
        let is_refused = async || {
            let checks = fixture.preflight(&function).await?;
            anyhow::Ok(format!("{checks:?}").contains("DISABLE TRIGGER [audit] ON DATABASE"))
        };
        ensure!(!is_refused().await?, "rejected without a permission");
        for (gives, takes_away) in TRIGGER_PERMISSIONS {
            for (statement, expected) in [(gives, true), (takes_away, false)] {
                sql(&mut admin, &format!("USE {database}; {}", statement.replace("{u}", &user)))
                    .await?;
                ensure!(is_refused().await? == expected, "after {statement}");
            }
        }
        sql(&mut admin, &format!("USE {database}; DROP USER {user}")).await?;
        sql(
            &mut admin,
            &format!("USE [master]; ALTER AUTHORIZATION ON DATABASE::{database} TO {user}"),
        )
        .await?;
        ensure!(is_refused().await?, "the owner of the database was not found");
        Ok(())
    })
    .await;
}

/// The test has its own server, because its trigger fires on changes of any login.
#[tokio::test]
async fn server_trigger_blocks_users_who_can_change_it() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test would disturb other tests on that server");
            return Ok(());
        }
        let fake = target.start_another(Some(Certificates::for_names(&NAMES)?), &[]).await?;
        let fixture = Fixture::new(&fake.target).await?;
        let (user, master) = (identifier(&fixture.user), identifier(&fixture.master));
        let mut admin = fake.target.admin("master").await?;
        let events = "DDL_SERVER_LEVEL_EVENTS, CREATE_USER";
        sql(&mut admin, &trigger("everywhere", "ALL SERVER", events)).await?;
        let rotation = fixture.rotate(&fixture.function(BY_MASTER)).await?;
        let records = format!("{:?}", rotation.steps);
        ensure!(has_run(&fixture)?, "the trigger did not run: {records}");

        // A member of securityadmin can grant itself a permission to create such a trigger.
        sql(
            &mut admin,
            &format!("USE [master]; ALTER SERVER ROLE securityadmin ADD MEMBER {user}"),
        )
        .await?;
        sql(
            &mut admin,
            &format!("USE [master]; ALTER SERVER ROLE securityadmin ADD MEMBER {master}"),
        )
        .await?;
        let log_start = fixture.target.log_length()?;
        for strategy in [BY_MASTER, ALTERNATING] {
            let function = fixture.function(strategy);
            let part = "DISABLE TRIGGER [everywhere] ON ALL SERVER";
            fixture.preflight_finds(&function, "NeedsDecision", part).await?;
            let error = fixture.expect(&function, "NeedsDecision", part).await?;
            let log = fixture.target.log_since(log_start)?;
            ensure!(
                !log.contains(&format!("{}: trigger ", fixture.master)),
                "the trigger ran: {log}"
            );
            let (_, value) = remedies(&error)?;
            assert_eq!(value, "[everywhere]");
            fixture
                .give_up(&fixture.version("AWSPENDING")?.context("there is no pending version")?)?;
        }
        fixture.rotate(&accepting(&fixture, BY_MASTER, "[everywhere]")).await?;
        sql(&mut admin, "USE [master]; DISABLE TRIGGER [everywhere] ON ALL SERVER").await?;
        fixture.rotate(&fixture.function(ALTERNATING)).await?;
        Ok(())
    })
    .await;
}

/// The master user changes a contained user by `ALTER USER` in the user's database, which fires the
/// trigger.
#[tokio::test]
async fn trigger_of_contained_owner_does_not_run_as_master() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (name, password) = (format!("{}_other", fixture.database), new_password());
        let (database, master) = (identifier(&name), identifier(&fixture.master));
        let mut admin = target.admin("master").await?;
        sql(&mut admin, "EXEC sp_configure 'contained database authentication', 1; RECONFIGURE")
            .await?;
        sql(&mut admin, &format!("CREATE DATABASE {database} CONTAINMENT = PARTIAL")).await?;
        for statement in [
            format!("CREATE USER [contained owner] WITH {}", with_password(&password)),
            "ALTER ROLE db_owner ADD MEMBER [contained owner]".to_owned(),
            format!("CREATE USER {master} FOR LOGIN {master}"),
            format!("ALTER ROLE db_owner ADD MEMBER {master}"),
        ] {
            sql(&mut admin, &format!("USE {database}; {statement}")).await?;
        }
        fixture.change(
            &json!({"username": "contained owner", "password": password, "dbname": name}),
        )?;
        sql(&mut application(&fixture).await?, &trigger("evil", "DATABASE", "DDL_USER_EVENTS"))
            .await?;
        for strategy in [BY_MASTER, ALTERNATING] {
            let function = fixture.function(strategy);
            let part = "DISABLE TRIGGER [evil] ON DATABASE";
            fixture.preflight_finds(&function, "NeedsDecision", part).await?;
            fixture.expect(&function, "NeedsDecision", part).await?;
            fixture
                .give_up(&fixture.version("AWSPENDING")?.context("there is no pending version")?)?;
        }
        // The user's change of its own password runs the trigger with the user's privileges.
        fixture.rotate(&fixture.function("single-user")).await?;
        ensure!(!has_run(&fixture)?, "the trigger ran with the master user's privileges");
        let statement = format!("USE {database}; DISABLE TRIGGER [evil] ON DATABASE");
        sql(&mut admin, &statement).await?;
        for strategy in [BY_MASTER, ALTERNATING] {
            fixture.rotate(&fixture.function(strategy)).await?;
        }
        Ok(())
    })
    .await;
}
