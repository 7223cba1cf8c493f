//! Tests of failures that only SQL Server reports, which the function must tell apart.

use anyhow::{Context, ensure};
use rotation_local::throwaway::Certificates;
use rotation_sqlserver::identifier;
use rotation_tests::server::{NAMES, Server};
use rotation_tests::sqlserver::{Fixture, Peer, on_each, sql, with_password};
use serde_json::json;

#[tokio::test]
async fn refusals_that_no_password_mends_end_the_search_at_once() {
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
            let scene = Fixture::new(&target).await?;
            let password =
                scene.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
            let statement = statement.replace("{user}", &identifier(&scene.user));
            let statement = statement.replace("{password}", &with_password(&password));
            sql(&mut target.admin("master").await?, &statement).await?;
            scene.change(&change)?;
            scene.expect(&scene.function("single-user"), error_type, part).await?;
            if target.log().is_some() {
                assert_eq!(scene.failed_logins()?, 1, "more than one password was tried");
            }
        }
        Ok(())
    })
    .await;
}

/// CHECK_POLICY is on, under a Windows policy that locks accounts and lets passwords expire.
#[tokio::test]
async fn accounts_that_are_locked_or_whose_password_has_expired() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a server under a Windows policy");
            return Ok(());
        }
        let strict =
            Peer::start(Some(Certificates::for_names(&NAMES)?), &["--lockout", "2"]).await?;
        let scene = Fixture::new(&strict.target).await?;
        let user = identifier(&scene.user);
        sql(
            &mut strict.target.admin("master").await?,
            &format!("ALTER LOGIN {user} WITH CHECK_POLICY = ON"),
        )
        .await?;
        let mut wrong = scene.value("AWSCURRENT")?;
        wrong["password"] = "a-wrong-password".into();
        for _ in 0..2 {
            ensure!(scene.log_in_with(&wrong).await.is_err());
        }
        let error = scene.expect(&scene.function("single-user"), "AccountLocked", "UNLOCK").await?;
        assert!(error.message.contains(&format!("ALTER LOGIN {user}")), "{}", error.message);

        let expired = Peer::start(Some(Certificates::for_names(&NAMES)?), &["--expired"]).await?;
        let scene = Fixture::new(&expired.target).await?;
        let user = identifier(&scene.user);
        let statement = format!("ALTER LOGIN {user} WITH CHECK_POLICY = ON, CHECK_EXPIRATION = ON");
        sql(&mut expired.target.admin("master").await?, &statement).await?;
        scene
            .expect(
                &scene.function("single-user"),
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
async fn the_master_unlocks_the_login_whose_turn_it_is() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a server under a Windows policy");
            return Ok(());
        }
        let strict =
            Peer::start(Some(Certificates::for_names(&NAMES)?), &["--lockout", "2"]).await?;
        let scene = Fixture::new(&strict.target).await?;
        let user = identifier(&scene.user);
        sql(
            &mut strict.target.admin("master").await?,
            &format!("ALTER LOGIN {user} WITH CHECK_POLICY = ON"),
        )
        .await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        let mut wrong = scene.value("AWSPREVIOUS")?;
        wrong["password"] = "a-wrong-password".into();
        for _ in 0..2 {
            ensure!(scene.log_in_with(&wrong).await.is_err());
        }
        let rotation = scene.rotate(&function).await?;
        scene.log_in().await?;
        let records = format!("{:?}", rotation.steps);
        assert!(records.contains("was locked after too many wrong passwords"), "{records}");
        Ok(())
    })
    .await;
}

/// The password consists of one kind of character, which the policy rejects.
#[tokio::test]
async fn a_password_that_the_server_s_policy_refuses() {
    on_each(|target| async move {
        for strategy in ["single-user", "master-user"] {
            let scene = Fixture::new(&target).await?;
            let user = identifier(&scene.user);
            sql(
                &mut target.admin("master").await?,
                &format!("ALTER LOGIN {user} WITH CHECK_POLICY = ON"),
            )
            .await?;
            let program = scene
                .program(strategy)
                .env("EXCLUDE_NUMBERS", "true")
                .env("EXCLUDE_UPPERCASE", "true");
            let function = program.env("EXCLUDE_PUNCTUATION", "true").into();
            let error = scene.expect(&function, "PasswordRejected", "CHECK_POLICY = OFF").await?;
            assert!(error.message.contains("--remove-from-version-id"), "{}", error.message);
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
            let scene = Fixture::new(&target).await?;
            let (user, master) = (identifier(&scene.user), identifier(&scene.master));
            let filled = |text: &str| {
                let text = text.replace("{user}", &user).replace("{master}", &master);
                text.replace("{database}", &identifier(&scene.database))
            };
            // Another database, which the master user is not a member of.
            let mut admin = target.admin("master").await?;
            let closed = identifier(&format!("{}_other", scene.database));
            if statement.contains("CONNECT ANY") {
                sql(&mut admin, &format!("CREATE DATABASE {closed}")).await?;
            }
            sql(&mut admin, &filled(statement)).await?;
            let function = scene.function("master-user");
            if statement.contains("ANY LOGIN") || statement.contains("ANY DEFINITION") {
                scene.preflight_finds(&function, "PrivilegeMissing", &filled(remedy)).await?;
            }
            let error = scene.expect(&function, "PrivilegeMissing", &filled(remedy)).await?;
            if statement.contains("CONNECT ANY") {
                assert!(
                    error.message.contains(&format!("{}_other", scene.database)),
                    "{}",
                    error.message
                );
            }
            // The current login still works, although the alternate user is half-created.
            scene.log_in().await?;
            let context = if remedy.contains("ROLE db_owner") {
                "USE {database}; "
            } else {
                "USE [master]; "
            };
            sql(&mut admin, &filled(&format!("{context}{remedy}"))).await?;
            let rotation = scene.again(&function).await?;
            ensure!(rotation.failed.is_none(), "{remedy} did not help: {:?}", rotation.failed);
            scene.log_in().await?;
            assert_eq!(scene.failed_logins()?, 0);
        }
        Ok(())
    })
    .await;
}

/// A half-created alternate user is a login with a random password that is not stored anywhere.
#[tokio::test]
async fn a_half_made_login_lets_nobody_in() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let database = identifier(&scene.database);
        let master = identifier(&scene.master);
        let mut admin = target.admin("master").await?;
        sql(&mut admin, &format!("USE {database}; ALTER ROLE db_owner DROP MEMBER {master}"))
            .await?;
        scene.expect(&scene.function("master-user"), "PrivilegeMissing", "db_owner").await?;
        assert!(target.has_login(&scene.alternate()).await?, "the login was not created");
        let error = scene
            .log_in_with(&scene.value("AWSPENDING")?)
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
async fn a_second_user_that_must_change_its_password_is_mended() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        scene.rotate(&function).await?;
        let clone = identifier(&scene.alternate());
        let mut admin = target.admin("master").await?;
        sql(&mut admin, &format!("ALTER LOGIN {clone} WITH CHECK_POLICY = ON")).await?;
        let password = with_password(&rotation_tests::scene::new_password());
        let must_change =
            format!("ALTER LOGIN {clone} WITH {password} MUST_CHANGE, CHECK_EXPIRATION = ON");
        sql(&mut admin, &must_change).await?;
        scene.rotate(&function).await?;
        scene.log_in().await?;
        Ok(())
    })
    .await;
}

/// An administrator blocks the base user while the alternate user is active. The alternate user
/// must keep working.
#[tokio::test]
async fn what_keeps_the_base_user_out_does_not_keep_its_second_one_out() {
    on_each(|target| async move {
        for statement in [
            "USE [master]; DENY CONNECT SQL TO {user}",
            "USE [master]; REVOKE CONNECT SQL FROM {user}",
            "USE {database}; DENY CONNECT TO {user}",
            "USE {database}; DROP USER {user}",
            "ALTER LOGIN {user} DISABLE",
        ] {
            let scene = Fixture::new(&target).await?;
            let function = scene.function("master-user");
            scene.rotate(&function).await?;
            let statement = statement.replace("{user}", &identifier(&scene.user));
            let statement = statement.replace("{database}", &identifier(&scene.database));
            sql(&mut target.admin("master").await?, &statement).await?;
            let error = scene.failure(&function).await?;
            assert!(error.message.contains("testSecret"), "{statement}: {}", error.message);
            // AWSCURRENT is still the alternate user.
            scene.log_in().await.with_context(|| statement.clone())?;
        }
        Ok(())
    })
    .await;
}
