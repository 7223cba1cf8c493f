//! Tests of rotations with several databases on one server.

use anyhow::Result;
use rotation_sqlserver::identifier;
use rotation_tests::server::{NAMES, Server};
use rotation_tests::sqlserver::{Fixture, on_each, sql, with_password};
use serde_json::json;
use test_servers::Certificates;

/// Creates a second database in which the master user is a member of db_owner, and returns its
/// quoted name.
pub(crate) async fn create_other_database(fixture: &Fixture) -> Result<String> {
    let (other, master) =
        (identifier(&format!("{}_other", fixture.database)), identifier(&fixture.master));
    let mut admin = fixture.target.admin("master").await?;
    sql(&mut admin, &format!("CREATE DATABASE {other}")).await?;
    for statement in [
        format!("CREATE USER {master} FOR LOGIN {master}"),
        format!("ALTER ROLE db_owner ADD MEMBER {master}"),
        "CREATE TABLE things (a int)".to_owned(),
    ] {
        sql(&mut admin, &format!("USE {other}; {statement}")).await?;
    }
    Ok(other)
}

/// Rotates with alternating users and returns the records of all steps.
async fn notes(fixture: &Fixture) -> Result<String> {
    let rotation = fixture.rotate(&fixture.function("master-user")).await?;
    Ok(format!("{:?}", rotation.steps))
}

#[tokio::test]
async fn users_are_synced_in_every_database() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let other = create_other_database(&fixture).await?;
        let (user, name) = (identifier(&fixture.user), format!("{}_other", fixture.database));
        let mut admin = target.admin("master").await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let clone = fixture.value("AWSCURRENT")?;
        let password = clone["password"].as_str().unwrap_or_default();
        let alternate = fixture.alternate();
        assert!(
            target.connect(&alternate, password, &name).await.is_err(),
            "the alternate user has access too early"
        );
        // The target is the base user, and the user in the database has another name than the
        // login.
        sql(&mut admin, &format!("USE {other}; CREATE USER [somebody else] FOR LOGIN {user}"))
            .await?;
        sql(&mut admin, &format!("USE {other}; GRANT SELECT ON things TO [somebody else]")).await?;
        fixture.rotate(&function).await?;
        let mut session = target.connect(&alternate, password, &name).await?;
        sql(&mut session, "SELECT * FROM things").await?;
        sql(&mut admin, &format!("USE {other}; DROP USER [somebody else]")).await?;
        fixture.rotate(&function).await?;
        let clone = fixture.value("AWSCURRENT")?;
        let password = clone["password"].as_str().unwrap_or_default();
        assert!(
            target.connect(&alternate, password, &name).await.is_err(),
            "the alternate user still has access"
        );
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn objects_of_base_user_are_reported_and_stay() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let other = create_other_database(&fixture).await?;
        let (user, database) = (identifier(&fixture.user), identifier(&fixture.database));
        let mut admin = target.admin("master").await?;
        sql(&mut admin, &format!("USE {database}; CREATE ROLE [its role] AUTHORIZATION {user}"))
            .await?;
        let mut in_database = fixture.admin().await?;
        sql(&mut in_database, &format!("CREATE SCHEMA [its schema] AUTHORIZATION {user}")).await?;
        sql(&mut admin, &format!("ALTER AUTHORIZATION ON DATABASE::{other} TO {user}")).await?;
        let notes = notes(&fixture).await?;
        assert!(notes.contains("owns schema its schema, role its role"), "{notes}");
        assert!(notes.contains(&format!("owns database {}_other", fixture.database)), "{notes}");
        // The owner of a database has every permission in it. The alternate user gets them as a
        // member of db_owner.
        let clone = fixture.value("AWSCURRENT")?;
        let password = clone["password"].as_str().unwrap_or_default();
        let name = format!("{}_other", fixture.database);
        let mut session = target.connect(&fixture.alternate(), password, &name).await?;
        sql(&mut session, "SELECT * FROM things").await
    })
    .await;
}

/// A restored database from another server has a user without a login.
#[tokio::test]
async fn orphaned_user_is_adopted_and_namesake_is_not() {
    on_each(|target| async move {
        let mut admin = target.admin("master").await?;
        let fixture = Fixture::new(&target).await?;
        let (clone, database) = (identifier(&fixture.alternate()), identifier(&fixture.database));
        let stranger = identifier(&format!("stranger_{}", fixture.user));
        let password = with_password(&rotation_tests::fixture::new_password());
        sql(&mut admin, &format!("USE [master]; CREATE LOGIN {stranger} WITH {password}")).await?;
        sql(&mut admin, &format!("USE {database}; CREATE USER {clone} FOR LOGIN {stranger}"))
            .await?;
        fixture.expect(&fixture.function("master-user"), "NeedsDecision", "WITH NAME").await?;
        sql(&mut admin, &format!("USE [master]; DROP LOGIN {stranger}")).await?;
        // A role with that name is not the alternate user, either.
        let role = Fixture::new(&target).await?;
        let (name, in_database) = (identifier(&role.alternate()), identifier(&role.database));
        sql(&mut admin, &format!("USE {in_database}; CREATE ROLE {name}")).await?;
        role.expect(&role.function("master-user"), "NeedsDecision", "ALTER ROLE").await?;
        // The user is an orphan now, because its login is gone.
        assert_eq!(fixture.again(&fixture.function("master-user")).await?.failed, None);
        let mut session = fixture.log_in().await?;
        target.is_whole(&mut session, &fixture.user).await
    })
    .await;
}

/// A new login of a user needs `CONTROL`. In `msdb`, a master user should not have it.
#[tokio::test]
async fn orphaned_user_of_msdb_has_possible_remedy() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test would change msdb of that server");
            return Ok(());
        }
        let fake = target.start_another(Some(Certificates::for_names(&NAMES)?), &[]).await?;
        let fixture = Fixture::new(&fake.target).await?;
        let [user, clone, master] =
            [&fixture.user, &fixture.alternate(), &fixture.master].map(|name| identifier(name));
        let password = with_password(&rotation_tests::fixture::new_password());
        let mut admin = fake.target.admin("msdb").await?;
        for statement in [
            format!("CREATE USER {user} FOR LOGIN {user}"),
            format!("CREATE USER {master} FOR LOGIN {master}"),
            format!("GRANT ALTER ANY USER TO {master}"),
            format!("GRANT ALTER ANY ROLE TO {master}"),
            format!("CREATE LOGIN stranger WITH {password}"),
            format!("CREATE USER {clone} FOR LOGIN stranger"),
            "DROP LOGIN stranger".to_owned(),
        ] {
            sql(&mut admin, &statement).await?;
        }
        let function = fixture.function("master-user");
        let remedy = format!("USE [msdb]; ALTER USER {clone} WITH LOGIN = {clone}");
        fixture.expect_failure_without_preflight(&function, "PrivilegeMissing", &remedy).await?;
        sql(&mut admin, &remedy).await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        Ok(())
    })
    .await;
}

/// Objects that the application has created as the alternate user belong to it.
#[tokio::test]
async fn objects_of_alternate_user_are_reported_and_stay() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (user, clone) = (identifier(&fixture.user), identifier(&fixture.alternate()));
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let mut admin = fixture.admin().await?;
        sql(&mut admin, &format!("CREATE SCHEMA [its schema] AUTHORIZATION {clone}")).await?;
        sql(&mut admin, &format!("GRANT SELECT ON SCHEMA::[its schema] TO {user}")).await?;
        // A permission cannot be granted to the owner, so the permission of the base user is not
        // copied.
        let rotation = fixture.rotate(&function).await?;
        let notes = format!("{:?}", rotation.steps);
        assert!(
            notes.contains("owns schema its schema") && notes.contains("ALTER AUTHORIZATION"),
            "{notes}"
        );
        // The base user leaves the database. The alternate user cannot leave while it owns
        // something.
        sql(&mut admin, &format!("DROP USER {user}")).await?;
        fixture.change(&json!({"dbname": "master"}))?;
        fixture.expect(&function, "NeedsDecision", "ALTER AUTHORIZATION").await?;
        sql(&mut admin, "ALTER AUTHORIZATION ON SCHEMA::[its schema] TO dbo").await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        Ok(())
    })
    .await;
}

/// The master user has no CONNECT ANY DATABASE, as on RDS. It cannot access `model`, and does not
/// need to.
#[tokio::test]
async fn master_user_in_every_database_needs_no_more() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: that server has databases of other tests");
            return Ok(());
        }
        let fake = target.start_another(Some(Certificates::for_names(&NAMES)?), &[]).await?;
        let fixture = Fixture::new(&fake.target).await?;
        let master = identifier(&fixture.master);
        let mut admin = fake.target.admin("master").await?;
        sql(&mut admin, &format!("USE [master]; REVOKE CONNECT ANY DATABASE FROM {master}"))
            .await?;
        create_other_database(&fixture).await?;
        fixture.rotate(&fixture.function("master-user")).await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// A secret without `dbname` is for the database `master`.
#[tokio::test]
async fn without_a_database_both_strategies_work() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"dbname": null}))?;
        fixture.change_master(&json!({"dbname": null}))?;
        for strategy in ["single-user", "master-user", "master-user"] {
            fixture.rotate(&fixture.function(strategy)).await?;
            let value = fixture.value("AWSCURRENT")?;
            assert_eq!(value["dbname"], json!(null));
            let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            let mut session =
                target.connect(&text("username"), &text("password"), &fixture.database).await?;
            target.is_whole(&mut session, &fixture.user).await?;
        }
        assert_eq!(fixture.failed_logins()?, 0);
        Ok(())
    })
    .await;
}
