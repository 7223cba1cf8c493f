//! Tests of users of a contained database, which have their own passwords and no login.

use std::time::Duration;

use anyhow::{Result, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::scene::new_password;
use rotation_tests::sqlserver::{Fixture, Target, on_each, sql, with_password};
use serde_json::json;

/// Creates a fixture whose user is a contained user in a contained database.
async fn contained(target: &Target) -> Result<Fixture> {
    let scene = Fixture::new(target).await?;
    let password = new_password();
    let name = format!("{}_other", scene.database);
    let (database, user, master) =
        (identifier(&name), identifier("contained user"), identifier(&scene.master));
    let mut admin = target.admin("master").await?;
    sql(&mut admin, "EXEC sp_configure 'contained database authentication', 1; RECONFIGURE")
        .await?;
    sql(&mut admin, &format!("CREATE DATABASE {database} CONTAINMENT = PARTIAL")).await?;
    for statement in [
        format!("CREATE USER {user} WITH {}", with_password(&password)),
        "CREATE TABLE present (a int)".to_owned(),
        format!("GRANT SELECT ON present TO {user}"),
        "CREATE ROLE readers".to_owned(),
        format!("ALTER ROLE readers ADD MEMBER {user}"),
        format!("CREATE USER {master} FOR LOGIN {master}"),
        format!("ALTER ROLE db_owner ADD MEMBER {master}"),
    ] {
        sql(&mut admin, &format!("USE {database}; {statement}")).await?;
    }
    scene.change(&json!({"username": "contained user", "password": password, "dbname": name}))?;
    Ok(scene)
}

#[tokio::test]
async fn a_contained_user_changes_its_own_password() {
    on_each(|target| async move {
        let scene = contained(&target).await?;
        for _ in 0..2 {
            let before = scene.value("AWSCURRENT")?;
            scene.rotate(&scene.function("single-user")).await?;
            scene.log_in().await?;
            ensure!(scene.log_in_with(&before).await.is_err(), "an old password is still accepted");
        }
        scene.search_for_passwords("")
    })
    .await;
}

#[tokio::test]
async fn contained_users_take_turns() {
    on_each(|target| async move {
        let scene = contained(&target).await?;
        let function = scene.function("master-user");
        for user in ["contained user_clone", "contained user", "contained user_clone"] {
            let before = scene.value("AWSCURRENT")?;
            scene.rotate(&function).await?;
            assert_eq!(scene.value("AWSCURRENT")?["username"], user);
            sql(&mut scene.log_in().await?, "SELECT * FROM present").await?;
            scene.log_in_with(&before).await?;
        }
        // The sync also covers what is granted and revoked later.
        let mut admin = target.admin(&format!("{}_other", scene.database)).await?;
        sql(&mut admin, "CREATE TABLE later (a int); GRANT SELECT ON later TO [contained user]")
            .await?;
        sql(&mut admin, "REVOKE SELECT ON present FROM [contained user]").await?;
        scene.rotate(&function).await?;
        scene.rotate(&function).await?;
        let mut session = scene.log_in().await?;
        sql(&mut session, "SELECT * FROM later").await?;
        ensure!(
            sql(&mut session, "SELECT * FROM present").await.is_err(),
            "the alternate user still has the revoked permission"
        );
        ensure!(!target.has_login("contained user_clone").await?, "a login was created");
        scene.search_for_passwords("")
    })
    .await;
}

#[tokio::test]
async fn a_contained_user_that_only_looks_like_the_second_is_not_touched() {
    on_each(|target| async move {
        let scene = contained(&target).await?;
        let password = new_password();
        let mut admin = target.admin(&format!("{}_other", scene.database)).await?;
        sql(
            &mut admin,
            &format!("CREATE USER [contained user_clone] WITH {}", with_password(&password)),
        )
        .await?;
        let function = scene.function("master-user");
        scene.expect(&function, "NeedsDecision", "DROP USER [contained user_clone]").await?;
        target
            .log_in("contained user_clone", &password, &format!("{}_other", scene.database))
            .await?;
        sql(&mut admin, "DROP USER [contained user_clone]").await?;
        assert_eq!(scene.again(&function).await?.failed, None);
        Ok(())
    })
    .await;
}

/// The master user is only an ordinary user of the contained database, so it can neither see nor
/// change the contained user.
#[tokio::test]
async fn a_master_without_a_privilege_in_the_contained_database_is_told_which() {
    on_each(|target| async move {
        let scene = contained(&target).await?;
        let master = identifier(&scene.master);
        let mut admin = target.admin(&format!("{}_other", scene.database)).await?;
        sql(&mut admin, &format!("ALTER ROLE db_owner DROP MEMBER {master}")).await?;
        sql(&mut admin, &format!("USE [master]; REVOKE VIEW ANY DEFINITION FROM {master}")).await?;
        let function = scene.function("master-user");
        scene
            .expect(&function, "PrivilegeMissing", &format!("GRANT VIEW DEFINITION TO {master}"))
            .await?;
        let database = identifier(&format!("{}_other", scene.database));
        sql(&mut admin, &format!("USE {database}; GRANT VIEW DEFINITION TO {master}")).await?;
        let failed = scene.again(&function).await?.failed;
        ensure!(
            failed.as_ref().is_some_and(|error| error.error_type == "PrivilegeMissing"
                && error.message.contains("ALTER ROLE db_owner ADD MEMBER")),
            "{failed:?}"
        );
        Ok(())
    })
    .await;
}

/// A pending version can name another database. The master user logs in only to the database that
/// the current credential has logged in to.
#[tokio::test]
async fn a_pending_version_does_not_lead_the_master_into_another_database() {
    on_each(|target| async move {
        let scene = contained(&target).await?;
        let contained = scene.value("AWSCURRENT")?;
        // The secret is for a login. A contained user of another database has the same name.
        let password = new_password();
        let (user, database) = (identifier("contained user"), identifier(&scene.database));
        let mut admin = target.admin("master").await?;
        if !target.has_login("contained user").await? {
            sql(&mut admin, &format!("CREATE LOGIN {user} WITH {}", with_password(&password)))
                .await?;
        }
        sql(&mut admin, &format!("ALTER LOGIN {user} WITH {}", with_password(&password))).await?;
        sql(&mut admin, &format!("USE {database}; CREATE USER {user} FOR LOGIN {user}")).await?;
        scene.change(&json!({"password": password, "dbname": scene.database}))?;
        let token = scene.stage(None)?;
        let mut forged = contained;
        forged["username"] = "contained user_clone".into();
        forged["password"] = new_password().into();
        let put = json!({"SecretId": "test/secret", "ClientRequestToken": token,
            "SecretString": forged.to_string(),
            "VersionStages": ["AWSPENDING"]});
        scene.service.perform("PutSecretValue", &put)?;
        let failed = scene.attempt(&scene.function("master-user"), &token, 1).await.failed;
        ensure!(failed.is_some(), "the forged version was promoted");
        ensure!(
            scene.log_in_with(&forged).await.is_err(),
            "the master user has created a user in \
            the other database"
        );
        for login in ["contained user", "contained user_clone"] {
            if target.has_login(login).await? {
                sql(&mut admin, &format!("USE [master]; DROP LOGIN {}", identifier(login))).await?;
            }
        }
        Ok(())
    })
    .await;
}

/// An attacker who owns a contained database creates a user there with the name of another person's
/// login. The attacker drops that user after its login and before the login of the master user,
/// which then finds the login.
#[tokio::test]
async fn contained_user_does_not_prove_a_login_of_its_name() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let password = new_password();
        let name = format!("{}_other", scene.database);
        let (database, user, master) =
            (identifier(&name), identifier(&scene.user), identifier(&scene.master));
        let mut admin = target.admin("master").await?;
        sql(&mut admin, "EXEC sp_configure 'contained database authentication', 1; RECONFIGURE")
            .await?;
        sql(&mut admin, &format!("CREATE DATABASE {database} CONTAINMENT = PARTIAL")).await?;
        for statement in [
            format!("CREATE USER {master} FOR LOGIN {master}"),
            format!("ALTER ROLE db_owner ADD MEMBER {master}"),
        ] {
            sql(&mut admin, &format!("USE {database}; {statement}")).await?;
        }
        let create =
            format!("USE {database}; CREATE USER {user} WITH {}", with_password(&password));
        let remove = format!("USE {database}; DROP USER {user}");
        sql(&mut admin, &create).await?;
        // The login belongs to another person: no version of the secret has its password.
        let other = with_password(&new_password());
        sql(&mut admin, &format!("ALTER LOGIN {user} WITH {other}")).await?;
        scene.change(&json!({"password": password, "dbname": name}))?;
        let function = scene.function("master-user");
        let token = scene.stage(None)?;
        scene.step(&function, "createSecret", &token).await?;
        let mut noticed = 0;
        for pause in (0..16).map(|round| Duration::from_millis(round * 12)) {
            let owner = async {
                tokio::time::sleep(pause).await;
                sql(&mut admin, &remove).await
            };
            let (done, removed) = tokio::join!(scene.step(&function, "setSecret", &token), owner);
            removed?;
            if let Err(error) = done {
                noticed +=
                    usize::from(format!("{error:#}").contains("has logged in as another account"));
            }
            ensure!(
                !target.has_login(&scene.alternate()).await?,
                "the login's privileges were copied"
            );
            sql(&mut admin, &create).await?;
        }
        println!("the replaced account was detected {noticed} times");
        Ok(())
    })
    .await;
}
