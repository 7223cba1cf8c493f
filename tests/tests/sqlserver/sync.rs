//! Tests of differences between the two users that a rotation must not remove, or cannot remove.

use anyhow::{Context, Result, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::sqlserver::{Fixture, on_each, sql};

/// The catalog shows no permissions of an owner on its own objects. The permissions that an
/// administrator has granted to the other user on such a schema, or on the objects in it, stay.
#[tokio::test]
async fn permissions_on_owned_objects_stay() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let (user, clone) = (identifier(&fixture.user), identifier(&fixture.alternate()));
        let mut admin = fixture.admin().await?;
        for statement in [
            format!("CREATE SCHEMA [own] AUTHORIZATION {user}"),
            "CREATE TABLE [own].[things] (a int)".to_owned(),
            format!("GRANT SELECT ON SCHEMA::[own] TO {clone}"),
            format!("CREATE SCHEMA [other] AUTHORIZATION {user}"),
            "CREATE TABLE [other].[things] (a int)".to_owned(),
            format!("GRANT SELECT ON OBJECT::[other].[things] TO {clone}"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        for turn in 0..4 {
            fixture.rotate(&function).await.with_context(|| format!("turn {turn}"))?;
            let mut session = fixture.log_in().await?;
            let done: Result<()> = async {
                sql(&mut session, "SELECT * FROM [own].[things]").await?;
                sql(&mut session, "SELECT * FROM [other].[things]").await
            }
            .await;
            done.with_context(|| format!("turn {turn}"))?;
        }
        Ok(())
    })
    .await;
}

/// While applications use the alternate login, its password must not start to expire.
#[tokio::test]
async fn expiration_is_deferred_while_alternate_is_active() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let (user, clone) = (identifier(&fixture.user), fixture.alternate());
        let mut admin = target.admin("master").await?;
        sql(
            &mut admin,
            &format!("ALTER LOGIN {user} WITH CHECK_POLICY = ON, CHECK_EXPIRATION = ON"),
        )
        .await?;
        let expires = async || -> Result<bool> {
            let query =
                "SELECT CAST(is_expiration_checked AS int) FROM sys.sql_logins WHERE name = @P1";
            let mut admin = target.admin("master").await?;
            let rows = admin.query(query, &[&clone.as_str()]).await?.into_first_result().await?;
            Ok(rows.first().and_then(|row| row.get::<i32, _>(0)) == Some(1))
        };
        let token = fixture.stage(None)?;
        fixture.step(&function, "createSecret", &token).await?;
        let record = fixture.step(&function, "setSecret", &token).await?;
        let notes = record["notes"].to_string();
        ensure!(
            notes.contains("Deferred until") && notes.contains("CHECK_EXPIRATION = ON"),
            "{notes}"
        );
        ensure!(!expires().await?, "the password of the active login may expire");
        assert_eq!(fixture.attempt(&function, &token, 1).await.failed, None);
        // In this rotation, the alternate login is the target.
        fixture.rotate(&function).await?;
        ensure!(expires().await?, "the option was not copied");
        Ok(())
    })
    .await;
}
