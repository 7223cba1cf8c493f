//! Tests of differences between the two roles that a rotation must not remove, or cannot remove.

use anyhow::{Context, Result, ensure};
use rotation_postgres::identifier;
use rotation_tests::postgres::{Fixture, on_each, sql};

/// While applications use the alternate role, no new limit may lock them out.
#[tokio::test]
async fn limits_of_the_base_role_wait_for_the_turn_of_the_alternate_role() {
    on_each(|target| async move {
        for restriction in ["CONNECTION LIMIT 3", "VALID UNTIL '2100-01-01'"] {
            let scene = Fixture::new(&target).await?;
            scene.rotate(&scene.function("master-user")).await?;
            let in_use = scene.value("AWSCURRENT")?;
            let mut admin = scene.admin().await?;
            sql(&mut admin, &format!("ALTER ROLE {} {restriction}", identifier(&scene.user)))
                .await?;
            let notes = scene.notes_of_set_secret().await.context(restriction)?;
            ensure!(
                notes.contains(restriction.trim_end_matches('\''))
                    && notes.contains("Deferred until"),
                "{notes}"
            );
            let limits = "SELECT rolconnlimit || ' ' || coalesce(rolvaliduntil::text, 'none') \
                FROM pg_roles WHERE rolname = $1";
            let of = async |role: &str| -> Result<String> {
                let mut admin = scene.admin().await?;
                Ok(sqlx::query_scalar(limits).bind(role).fetch_one(&mut admin).await?)
            };
            assert_eq!(of(&scene.alternate()).await?, "-1 none");
            scene.log_in_with(&in_use).await.context("logging in as the active user")?;
            // In this rotation, the alternate role is the target user.
            scene.rotate(&scene.function("master-user")).await?;
            assert_eq!(of(&scene.alternate()).await?, of(&scene.user).await?);
        }
        Ok(())
    })
    .await;
}

/// `REASSIGN OWNED` does not change either of them, so they must not cause it in every rotation.
#[tokio::test]
async fn default_privileges_and_user_mappings_of_the_alternate_role_stay() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        let clone = identifier(&scene.alternate());
        let mut admin = scene.admin().await?;
        sql(
            &mut admin,
            &format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {clone} GRANT SELECT ON TABLES TO PUBLIC; \
             CREATE EXTENSION IF NOT EXISTS postgres_fdw; \
             CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw; \
             CREATE USER MAPPING FOR {clone} SERVER elsewhere"
            ),
        )
        .await?;
        for _ in 0..3 {
            scene.rotate(&function).await?;
            scene.log_in().await?;
        }
        let count =
            "SELECT (SELECT count(*) FROM pg_default_acl) + (SELECT count(*) FROM pg_user_mapping)";
        let left: i64 = sqlx::query_scalar(count).fetch_one(&mut admin).await?;
        assert_eq!(left, 2);
        // The role can be dropped only without these privileges and mappings.
        sql(&mut admin, &format!("DROP OWNED BY {clone}")).await
    })
    .await;
}

/// An application can set a setting of an extension for itself. A master user that has not loaded
/// the extension cannot set it for another role.
#[tokio::test]
async fn setting_of_an_extension_is_named_and_stops_no_rotation() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let mut admin = scene.admin().await?;
        sql(&mut admin, "CREATE EXTENSION IF NOT EXISTS pg_trgm").await?;
        let mut application = scene.log_in().await?;
        let user = identifier(&scene.user);
        sql(
            &mut application,
            &format!(
                "SELECT show_limit(); ALTER ROLE {user} SET pg_trgm.similarity_threshold = 0.2"
            ),
        )
        .await?;
        for _ in 0..3 {
            let notes = scene.notes_of_set_secret().await?;
            ensure!(notes.contains("pg_trgm.similarity_threshold"), "{notes}");
            scene.log_in().await?;
        }
        // Runs the statement exactly as the note states it.
        let notes = scene.notes_of_set_secret().await?;
        let (_, rest) =
            notes.split_once("As a superuser: ").context("the note has no statement")?;
        let (statement, _) = rest.split_once(".\"").context("the statement has no end")?;
        sql(&mut admin, &statement.replace("\\\"", "\"")).await?;
        let notes = scene.notes_of_set_secret().await?;
        ensure!(!notes.contains("pg_trgm"), "{notes}");
        Ok(())
    })
    .await;
}
