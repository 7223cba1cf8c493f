//! Tests of pair ownership: what the alternate user owns, pairs that AWS's function has created,
//! and users that are not a pair.

use anyhow::Context;
use rotation_postgres::{identifier, literal};
use rotation_tests::fixture::new_password;
use rotation_tests::postgres::{Fixture, on_each, sql};

/// The application can still use after the next rotation what it has created after this one.
#[tokio::test]
async fn objects_of_alternate_user_belong_to_base_user() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let mut admin = fixture.admin().await?;
        sql(&mut admin, &format!("CREATE SCHEMA own AUTHORIZATION {}", identifier(&fixture.user)))
            .await?;
        let function = fixture.function("master-user");
        for round in 0..4 {
            fixture.rotate(&function).await?;
            let mut session = fixture.log_in().await?;
            sql(&mut session, &format!("CREATE TABLE own.t{round} (a int)")).await?;
            for earlier in 0..=round {
                let change = format!(
                    "INSERT INTO own.t{earlier} VALUES (1); ALTER TABLE \
                    own.t{earlier} ADD COLUMN c{round} int"
                );
                sql(&mut session, &change).await?;
            }
        }
        let owners: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname \
                = 'own'",
        )
        .fetch_all(&mut admin)
        .await?;
        assert_eq!(owners, std::slice::from_ref(&fixture.user));
        Ok(())
    })
    .await;
}

/// In a pair of users from AWS's own function, the alternate user is only a member of the base
/// user, and owns what it has created.
#[tokio::test]
async fn pair_from_aws_function_is_adopted() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (user, master) = (identifier(&fixture.user), identifier(&fixture.master));
        let clone = identifier(&format!("{}_clone", fixture.user));
        let mut admin = fixture.admin().await?;
        sql(&mut admin, &format!(
            "CREATE ROLE {clone} LOGIN; GRANT {user} TO {clone}; CREATE SCHEMA own AUTHORIZATION \
             {user}; \
             CREATE TABLE own.by_clone (a int); ALTER TABLE own.by_clone OWNER TO {clone}; \
             CREATE ROLE stray_{0}; GRANT stray_{0} TO {clone}", fixture.database
        )).await?;
        let function = fixture.function("master-user");
        if target.version().await? >= 160_000 {
            sql(&mut admin, &format!("GRANT {clone} TO {master} WITH ADMIN OPTION")).await?;
            sql(
                &mut admin,
                &format!("GRANT stray_{} TO {master} WITH ADMIN OPTION", fixture.database),
            )
            .await?;
        }
        // The master user cannot reassign what belongs to a role that it is not a member of. The
        // error names statements that help, and after them the rotation succeeds.
        let error = fixture.failure(&function).await?;
        assert!(["PrivilegeMissing"].contains(&error.error_type.as_str()), "{}", error.message);
        sql(&mut admin, &format!("GRANT {clone}, {user} TO {master}")).await?;
        sql(&mut admin, &format!("REVOKE stray_{} FROM {clone}", fixture.database)).await?;
        let token = fixture.version("AWSPENDING")?.context("no pending version")?;
        let rotation = fixture.attempt(&function, &token, 1).await;
        assert_eq!(rotation.failed, None);
        for _ in 0..2 {
            let mut session = fixture.log_in().await?;
            sql(
                &mut session,
                "INSERT INTO own.by_clone VALUES (1); ALTER TABLE own.by_clone ADD \
                COLUMN x int; ALTER TABLE own.by_clone DROP COLUMN x",
            )
            .await?;
            fixture.rotate(&function).await?;
        }
        Ok(())
    })
    .await;
}

/// The names of the two roles look like a pair, but the roles are unrelated.
#[tokio::test]
async fn unrelated_roles_are_not_touched() {
    on_each(|target| async move {
        for is_clones_secret in [false, true] {
            let fixture = Fixture::new(&target).await?;
            let mut admin = fixture.admin().await?;
            let other = format!("{}_clone", fixture.user);
            let password = new_password();
            let made =
                fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
            sql(&mut admin, &format!("CREATE ROLE {} LOGIN", identifier(&other))).await?;
            let version = target.version().await?;
            if version >= 160_000 {
                let master = identifier(&fixture.master);
                sql(
                    &mut admin,
                    &format!("GRANT {} TO {master} WITH ADMIN OPTION", identifier(&other)),
                )
                .await?;
            }
            let verifier = |user: &str, password: &str| {
                let encryption =
                    rotation_postgres::Encryption::ScramSha256(std::num::NonZeroU32::MIN);
                let password = rotation_database::Password::new(password);
                rotation_postgres::verifier(user, &password, encryption).map_err(anyhow::Error::msg)
            };
            let set = format!(
                "ALTER ROLE {} PASSWORD {}",
                identifier(&other),
                literal(&verifier(&other, &password)?)
            );
            sql(&mut admin, &set).await?;
            let mut mine = (fixture.user.clone(), made);
            let mut theirs = (other, password);
            if is_clones_secret {
                std::mem::swap(&mut mine, &mut theirs);
                fixture.change(&serde_json::json!({"username": mine.0, "password": mine.1}))?;
            }
            let error = fixture.failure(&fixture.function("master-user")).await?;
            assert_eq!(error.error_type, "NeedsDecision", "{}", error.message);
            assert!(error.message.contains("GRANT "), "{}", error.message);
            for (user, password) in [mine, theirs] {
                target
                    .log_in(&user, &password, &fixture.database)
                    .await
                    .with_context(|| format!("{user} is locked out"))?;
            }
        }
        Ok(())
    })
    .await;
}
