//! Tests of users of a contained database, which have their own passwords and no login.

use std::time::Duration;

use anyhow::{Result, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::fixture::new_password;
use rotation_tests::sqlserver::{Fixture, Target, on_each, sql, with_password};
use serde_json::json;

/// Creates a fixture whose user is a contained user in a contained database.
async fn contained(target: &Target) -> Result<Fixture> {
    let fixture = Fixture::new(target).await?;
    let password = new_password();
    let name = format!("{}_other", fixture.database);
    let (database, user, master) =
        (identifier(&name), identifier("contained user"), identifier(&fixture.master));
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
    fixture.change(&json!({"username": "contained user", "password": password, "dbname": name}))?;
    Ok(fixture)
}

#[tokio::test]
async fn contained_user_changes_its_own_password() {
    on_each(|target| async move {
        let fixture = contained(&target).await?;
        for _ in 0..2 {
            let before = fixture.value("AWSCURRENT")?;
            fixture.rotate(&fixture.function("single-user")).await?;
            fixture.log_in().await?;
            ensure!(
                fixture.log_in_with(&before).await.is_err(),
                "an old password is still accepted"
            );
        }
        fixture.search_for_passwords("")
    })
    .await;
}

#[tokio::test]
async fn contained_users_alternate() {
    on_each(|target| async move {
        let fixture = contained(&target).await?;
        let function = fixture.function("master-user");
        for user in ["contained user_clone", "contained user", "contained user_clone"] {
            let before = fixture.value("AWSCURRENT")?;
            fixture.rotate(&function).await?;
            assert_eq!(fixture.value("AWSCURRENT")?["username"], user);
            sql(&mut fixture.log_in().await?, "SELECT * FROM present").await?;
            fixture.log_in_with(&before).await?;
        }
        // The sync also covers what is granted and revoked later.
        let mut admin = target.admin(&format!("{}_other", fixture.database)).await?;
        sql(&mut admin, "CREATE TABLE later (a int); GRANT SELECT ON later TO [contained user]")
            .await?;
        sql(&mut admin, "REVOKE SELECT ON present FROM [contained user]").await?;
        fixture.rotate(&function).await?;
        fixture.rotate(&function).await?;
        let mut session = fixture.log_in().await?;
        sql(&mut session, "SELECT * FROM later").await?;
        ensure!(
            sql(&mut session, "SELECT * FROM present").await.is_err(),
            "the alternate user still has the revoked permission"
        );
        ensure!(!target.has_login("contained user_clone").await?, "a login was created");
        fixture.search_for_passwords("")
    })
    .await;
}

#[tokio::test]
async fn unrelated_contained_user_is_not_changed() {
    on_each(|target| async move {
        let fixture = contained(&target).await?;
        let password = new_password();
        let mut admin = target.admin(&format!("{}_other", fixture.database)).await?;
        sql(
            &mut admin,
            &format!("CREATE USER [contained user_clone] WITH {}", with_password(&password)),
        )
        .await?;
        let function = fixture.function("master-user");
        fixture.expect(&function, "NeedsDecision", "DROP USER [contained user_clone]").await?;
        target
            .log_in("contained user_clone", &password, &format!("{}_other", fixture.database))
            .await?;
        sql(&mut admin, "DROP USER [contained user_clone]").await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        Ok(())
    })
    .await;
}

/// The master user is only an ordinary user of the contained database, so it can neither see nor
/// change the contained user.
#[tokio::test]
async fn missing_privilege_in_contained_database_is_reported() {
    on_each(|target| async move {
        let fixture = contained(&target).await?;
        let master = identifier(&fixture.master);
        let mut admin = target.admin(&format!("{}_other", fixture.database)).await?;
        sql(&mut admin, &format!("ALTER ROLE db_owner DROP MEMBER {master}")).await?;
        sql(&mut admin, &format!("USE [master]; REVOKE VIEW ANY DEFINITION FROM {master}")).await?;
        let function = fixture.function("master-user");
        fixture
            .expect(&function, "PrivilegeMissing", &format!("GRANT VIEW DEFINITION TO {master}"))
            .await?;
        let database = identifier(&format!("{}_other", fixture.database));
        sql(&mut admin, &format!("USE {database}; GRANT VIEW DEFINITION TO {master}")).await?;
        let failed = fixture.again(&function).await?.failed;
        ensure!(
            failed.as_ref().is_some_and(|error| error.error_type == "PrivilegeMissing"
                && error.message.contains("ALTER ROLE db_owner ADD MEMBER")),
            "{failed:?}"
        );
        Ok(())
    })
    .await;
}

/// The master user has no privileges on the server, or is a contained user that cannot have any.
#[tokio::test]
async fn preflight_needs_no_server_privilege_for_contained_users() {
    on_each(|target| async move {
        for is_contained in [false, true] {
            let fixture = contained(&target).await?;
            let master = identifier(&fixture.master);
            let database = identifier(&format!("{}_other", fixture.database));
            let mut admin = target.admin("master").await?;
            for permission in ["ALTER ANY LOGIN", "VIEW ANY DEFINITION", "CONNECT ANY DATABASE"] {
                sql(&mut admin, &format!("REVOKE {permission} FROM {master}")).await?;
            }
            let mut name = master;
            if is_contained {
                let password = new_password();
                name = identifier("contained master");
                let with = with_password(&password);
                sql(&mut admin, &format!("USE {database}; CREATE USER {name} WITH {with}")).await?;
                fixture.change_master(&json!({
                    "username": "contained master",
                    "password": password,
                    "dbname": format!("{}_other", fixture.database),
                }))?;
                sql(&mut admin, &format!("USE {database}; ALTER ROLE db_owner ADD MEMBER {name}"))
                    .await?;
            }
            let function = fixture.function("master-user");
            let checks = fixture.preflight(&function).await?;
            ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
            fixture.rotate(&function).await?;
            fixture.log_in().await?;
            for permission in ["ALTER ANY USER", "VIEW DEFINITION"] {
                sql(&mut admin, &format!("USE {database}; DENY {permission} TO {name}")).await?;
                fixture.preflight_finds(&function, "PrivilegeMissing", permission).await?;
                sql(&mut admin, &format!("USE {database}; REVOKE {permission} FROM {name}"))
                    .await?;
            }
        }
        Ok(())
    })
    .await;
}

/// A pending version can name another database. The master user logs in only to the database that
/// the current credential has logged in to.
#[tokio::test]
async fn pending_version_cannot_redirect_master_user() {
    on_each(|target| async move {
        let fixture = contained(&target).await?;
        let contained = fixture.value("AWSCURRENT")?;
        // The secret is for a login. A contained user of another database has the same name.
        let password = new_password();
        let (user, database) = (identifier("contained user"), identifier(&fixture.database));
        let mut admin = target.admin("master").await?;
        if !target.has_login("contained user").await? {
            sql(&mut admin, &format!("CREATE LOGIN {user} WITH {}", with_password(&password)))
                .await?;
        }
        sql(&mut admin, &format!("ALTER LOGIN {user} WITH {}", with_password(&password))).await?;
        sql(&mut admin, &format!("USE {database}; CREATE USER {user} FOR LOGIN {user}")).await?;
        fixture.change(&json!({"password": password, "dbname": fixture.database}))?;
        let token = fixture.stage(None)?;
        let mut forged = contained;
        forged["username"] = "contained user_clone".into();
        forged["password"] = new_password().into();
        let put = json!({"SecretId": "test/secret", "ClientRequestToken": token,
            "SecretString": forged.to_string(),
            "VersionStages": ["AWSPENDING"]});
        fixture.service.perform("PutSecretValue", &put)?;
        let failed = fixture.attempt(&fixture.function("master-user"), &token, 1).await.failed;
        ensure!(failed.is_some(), "the forged version was promoted");
        ensure!(
            fixture.log_in_with(&forged).await.is_err(),
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
async fn contained_user_does_not_prove_login_of_same_name() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let password = new_password();
        let name = format!("{}_other", fixture.database);
        let (database, user, master) =
            (identifier(&name), identifier(&fixture.user), identifier(&fixture.master));
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
        fixture.change(&json!({"password": password, "dbname": name}))?;
        let function = fixture.function("master-user");
        let token = fixture.stage(None)?;
        fixture.step(&function, "createSecret", &token).await?;
        let mut noticed = 0;
        for pause in (0..16).map(|round| Duration::from_millis(round * 12)) {
            let owner = async {
                tokio::time::sleep(pause).await;
                sql(&mut admin, &remove).await
            };
            let (done, removed) = tokio::join!(fixture.step(&function, "setSecret", &token), owner);
            removed?;
            if let Err(error) = done {
                noticed +=
                    usize::from(format!("{error:#}").contains("has logged in as another account"));
            }
            ensure!(
                !target.has_login(&fixture.alternate()).await?,
                "the login's privileges were copied"
            );
            sql(&mut admin, &create).await?;
        }
        println!("the replaced account was detected {noticed} times");
        Ok(())
    })
    .await;
}
