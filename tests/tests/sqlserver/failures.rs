//! Tests of failures that only SQL Server reports, which the function must tell apart.

use anyhow::{Context, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::server::{NAMES, Server};
use rotation_tests::sqlserver::{Fixture, on_each, sql, with_password};
use serde_json::json;
use test_servers::Certificates;

#[tokio::test]
async fn non_password_errors_stop_the_search() {
    on_each(|target| async move {
        let must_change = "ALTER LOGIN {user} WITH CHECK_POLICY = ON; ALTER LOGIN {user} WITH \
            {password} MUST_CHANGE, \
            CHECK_EXPIRATION = ON";
        let rows = [
            ("ALTER LOGIN {user} DISABLE", json!({}), "LoginNotPermitted", "ENABLE"),
            (must_change, json!({}), "AccountExpired", "CHECK_EXPIRATION = OFF"),
            (
                "SELECT 1",
                json!({"dbname": "no_such_database"}),
                "DatabaseAccessDenied",
                "no_such_database",
            ),
            (
                "SELECT 1",
                json!({"dbname": "model"}),
                "DatabaseAccessDenied",
                "USE [model]; CREATE \
                USER",
            ),
        ];
        for (statement, change, error_type, part) in rows {
            let fixture = Fixture::new(&target).await?;
            let password =
                fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
            let statement = statement.replace("{user}", &identifier(&fixture.user));
            let statement = statement.replace("{password}", &with_password(&password));
            sql(&mut target.admin("master").await?, &statement).await?;
            fixture.change(&change)?;
            fixture.expect(&fixture.function("single-user"), error_type, part).await?;
            if target.log().is_some() {
                assert_eq!(fixture.failed_logins()?, 1, "more than one password was tried");
            }
        }
        Ok(())
    })
    .await;
}

/// CHECK_POLICY is on, under a Windows policy that locks accounts and lets passwords expire.
#[tokio::test]
async fn locked_and_expired_logins_are_reported() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a server under a Windows policy");
            return Ok(());
        }
        let strict = target
            .start_another(Some(Certificates::for_names(&NAMES)?), &["--lockout", "2"])
            .await?;
        let fixture = Fixture::new(&strict.target).await?;
        let user = identifier(&fixture.user);
        sql(
            &mut strict.target.admin("master").await?,
            &format!("ALTER LOGIN {user} WITH CHECK_POLICY = ON"),
        )
        .await?;
        let mut wrong = fixture.value("AWSCURRENT")?;
        wrong["password"] = "a-wrong-password".into();
        for _ in 0..2 {
            ensure!(fixture.log_in_with(&wrong).await.is_err());
        }
        let error =
            fixture.expect(&fixture.function("single-user"), "AccountLocked", "UNLOCK").await?;
        assert!(error.message.contains(&format!("ALTER LOGIN {user}")), "{}", error.message);

        let expired =
            target.start_another(Some(Certificates::for_names(&NAMES)?), &["--expired"]).await?;
        let fixture = Fixture::new(&expired.target).await?;
        let user = identifier(&fixture.user);
        let statement = format!("ALTER LOGIN {user} WITH CHECK_POLICY = ON, CHECK_EXPIRATION = ON");
        sql(&mut expired.target.admin("master").await?, &statement).await?;
        fixture
            .expect(
                &fixture.function("single-user"),
                "AccountExpired",
                "this function cannot change it",
            )
            .await?;
        Ok(())
    })
    .await;
}

/// Clients with an old password have locked the login. The master user unlocks it when it is the
/// target.
#[tokio::test]
async fn master_user_unlocks_target_login() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a server under a Windows policy");
            return Ok(());
        }
        let strict = target
            .start_another(Some(Certificates::for_names(&NAMES)?), &["--lockout", "2"])
            .await?;
        let fixture = Fixture::new(&strict.target).await?;
        let user = identifier(&fixture.user);
        sql(
            &mut strict.target.admin("master").await?,
            &format!("ALTER LOGIN {user} WITH CHECK_POLICY = ON"),
        )
        .await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let mut wrong = fixture.value("AWSPREVIOUS")?;
        wrong["password"] = "a-wrong-password".into();
        for _ in 0..2 {
            ensure!(fixture.log_in_with(&wrong).await.is_err());
        }
        let rotation = fixture.rotate(&function).await?;
        fixture.log_in().await?;
        let records = format!("{:?}", rotation.steps);
        assert!(records.contains("was locked after too many wrong passwords"), "{records}");
        Ok(())
    })
    .await;
}

/// The password consists of one kind of character, which the policy rejects.
#[tokio::test]
async fn password_policy_error_is_reported() {
    on_each(|target| async move {
        for strategy in ["single-user", "master-user"] {
            let fixture = Fixture::new(&target).await?;
            let user = identifier(&fixture.user);
            sql(
                &mut target.admin("master").await?,
                &format!("ALTER LOGIN {user} WITH CHECK_POLICY = ON"),
            )
            .await?;
            let program = fixture
                .program(strategy)
                .env("EXCLUDE_NUMBERS", "true")
                .env("EXCLUDE_UPPERCASE", "true");
            let function = program.env("EXCLUDE_PUNCTUATION", "true").into();
            let error = fixture.expect(&function, "PasswordRejected", "CHECK_POLICY = OFF").await?;
            assert!(error.message.contains("--remove-from-version-id"), "{}", error.message);
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
        let cases = [
            (
                "USE [master]; REVOKE ALTER ANY LOGIN FROM {master}",
                "GRANT ALTER ANY LOGIN TO {master}",
            ),
            (
                "USE [master]; REVOKE VIEW ANY DEFINITION FROM {master}",
                "GRANT VIEW ANY DEFINITION TO {master}",
            ),
            (
                "USE [master]; REVOKE CONNECT ANY DATABASE FROM {master}",
                "GRANT CONNECT ANY DATABASE TO {master}",
            ),
            (
                "USE {database}; ALTER ROLE db_owner DROP MEMBER {master}",
                "ALTER ROLE db_owner ADD MEMBER {master}",
            ),
            (
                "USE [master]; GRANT VIEW SERVER STATE TO {user}",
                "GRANT VIEW SERVER STATE TO {master} WITH GRANT OPTION",
            ),
            (
                "ALTER SERVER ROLE processadmin ADD MEMBER {user}",
                "ALTER SERVER ROLE [processadmin] ADD MEMBER {master}",
            ),
        ];
        for (statement, remedy) in cases {
            let fixture = Fixture::new(&target).await?;
            let (user, master) = (identifier(&fixture.user), identifier(&fixture.master));
            let filled = |text: &str| {
                let text = text.replace("{user}", &user).replace("{master}", &master);
                text.replace("{database}", &identifier(&fixture.database))
            };
            // Another database, which the master user is not a member of.
            let mut admin = target.admin("master").await?;
            let closed = identifier(&format!("{}_other", fixture.database));
            if statement.contains("CONNECT ANY") {
                sql(&mut admin, &format!("CREATE DATABASE {closed}")).await?;
            }
            sql(&mut admin, &filled(statement)).await?;
            let function = fixture.function("master-user");
            if statement.contains("ANY LOGIN") || statement.contains("ANY DEFINITION") {
                fixture.preflight_finds(&function, "PrivilegeMissing", &filled(remedy)).await?;
            }
            let error = fixture.expect(&function, "PrivilegeMissing", &filled(remedy)).await?;
            if statement.contains("CONNECT ANY") {
                assert!(
                    error.message.contains(&format!("{}_other", fixture.database)),
                    "{}",
                    error.message
                );
            }
            // The current login still works, although the alternate user is half-created.
            fixture.log_in().await?;
            let context = if remedy.contains("ROLE db_owner") {
                "USE {database}; "
            } else {
                "USE [master]; "
            };
            sql(&mut admin, &filled(&format!("{context}{remedy}"))).await?;
            let rotation = fixture.again(&function).await?;
            ensure!(rotation.failed.is_none(), "{remedy} did not help: {:?}", rotation.failed);
            fixture.log_in().await?;
            assert_eq!(fixture.failed_logins()?, 0);
        }
        Ok(())
    })
    .await;
}

/// A half-created alternate user is a login with a random password that is not stored anywhere.
#[tokio::test]
async fn half_created_login_cannot_log_in() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let database = identifier(&fixture.database);
        let master = identifier(&fixture.master);
        let mut admin = target.admin("master").await?;
        sql(&mut admin, &format!("USE {database}; ALTER ROLE db_owner DROP MEMBER {master}"))
            .await?;
        fixture.expect(&fixture.function("master-user"), "PrivilegeMissing", "db_owner").await?;
        assert!(target.has_login(&fixture.alternate()).await?, "the login was not created");
        let error = fixture
            .log_in_with(&fixture.value("AWSPENDING")?)
            .await
            .err()
            .map(|error| format!("{error:?}"));
        assert!(error.is_some_and(|error| error.contains("18456")));
        Ok(())
    })
    .await;
}

/// SSMS sets MUST_CHANGE when an administrator sets a password. The options of the base login
/// cannot be copied before it is cleared.
#[tokio::test]
async fn must_change_of_alternate_login_is_cleared() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        fixture.rotate(&function).await?;
        let clone = identifier(&fixture.alternate());
        let mut admin = target.admin("master").await?;
        sql(&mut admin, &format!("ALTER LOGIN {clone} WITH CHECK_POLICY = ON")).await?;
        let password = with_password(&rotation_tests::fixture::new_password());
        let must_change =
            format!("ALTER LOGIN {clone} WITH {password} MUST_CHANGE, CHECK_EXPIRATION = ON");
        sql(&mut admin, &must_change).await?;
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// An administrator blocks the base user while the alternate user is active. The alternate user
/// must keep working.
#[tokio::test]
async fn blocking_base_user_does_not_block_alternate() {
    on_each(|target| async move {
        for statement in [
            "USE [master]; DENY CONNECT SQL TO {user}",
            "USE [master]; REVOKE CONNECT SQL FROM {user}",
            "USE {database}; DENY CONNECT TO {user}",
            "USE {database}; DROP USER {user}",
            "ALTER LOGIN {user} DISABLE",
        ] {
            let fixture = Fixture::new(&target).await?;
            let function = fixture.function("master-user");
            fixture.rotate(&function).await?;
            let statement = statement.replace("{user}", &identifier(&fixture.user));
            let statement = statement.replace("{database}", &identifier(&fixture.database));
            sql(&mut target.admin("master").await?, &statement).await?;
            let error = fixture.failure(&function).await?;
            assert!(error.message.contains("testSecret"), "{statement}: {}", error.message);
            // AWSCURRENT is still the alternate user.
            fixture.log_in().await.with_context(|| statement.clone())?;
        }
        Ok(())
    })
    .await;
}
