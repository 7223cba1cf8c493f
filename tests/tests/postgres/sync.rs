//! Tests of differences between the two roles that a rotation must not remove, or cannot remove.

use anyhow::{Context, Result, ensure};
use rotation_postgres::identifier;
use rotation_tests::postgres::{Fixture, on_each, sql};

/// While applications use the alternate role, no new limit may lock them out.
#[tokio::test]
async fn new_limits_are_deferred_while_alternate_is_active() {
    on_each(|target| async move {
        for restriction in ["CONNECTION LIMIT 3", "VALID UNTIL '2100-01-01'"] {
            let fixture = Fixture::new(&target).await?;
            fixture.rotate(&fixture.function("master-user")).await?;
            let in_use = fixture.value("AWSCURRENT")?;
            let mut admin = fixture.admin().await?;
            sql(&mut admin, &format!("ALTER ROLE {} {restriction}", identifier(&fixture.user)))
                .await?;
            let notes = fixture.notes_of_set_secret().await.context(restriction)?;
            ensure!(
                notes.contains(restriction.trim_end_matches('\''))
                    && notes.contains("Deferred until"),
                "{notes}"
            );
            let limits = "SELECT rolconnlimit || ' ' || coalesce(rolvaliduntil::text, 'none') \
                FROM pg_roles WHERE rolname = $1";
            let of = async |role: &str| -> Result<String> {
                let mut admin = fixture.admin().await?;
                Ok(sqlx::query_scalar(limits).bind(role).fetch_one(&mut admin).await?)
            };
            assert_eq!(of(&fixture.alternate()).await?, "-1 none");
            fixture.log_in_with(&in_use).await.context("logging in as the active user")?;
            // In this rotation, the alternate role is the target user.
            fixture.rotate(&fixture.function("master-user")).await?;
            assert_eq!(of(&fixture.alternate()).await?, of(&fixture.user).await?);
        }
        Ok(())
    })
    .await;
}

/// `REASSIGN OWNED` does not change either of them, so they must not cause it in every rotation.
#[tokio::test]
async fn default_privileges_and_user_mappings_stay() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let clone = identifier(&fixture.alternate());
        let mut admin = fixture.admin().await?;
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
            fixture.rotate(&function).await?;
            fixture.log_in().await?;
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
async fn extension_setting_is_reported_and_does_not_block() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let mut admin = fixture.admin().await?;
        sql(&mut admin, "CREATE EXTENSION IF NOT EXISTS pg_trgm").await?;
        let mut application = fixture.log_in().await?;
        let user = identifier(&fixture.user);
        sql(
            &mut application,
            &format!(
                "SELECT show_limit(); ALTER ROLE {user} SET pg_trgm.similarity_threshold = 0.2"
            ),
        )
        .await?;
        for _ in 0..3 {
            let notes = fixture.notes_of_set_secret().await?;
            ensure!(notes.contains("pg_trgm.similarity_threshold"), "{notes}");
            fixture.log_in().await?;
        }
        // Runs the statement exactly as the note states it.
        let notes = fixture.notes_of_set_secret().await?;
        let (_, rest) =
            notes.split_once("As a superuser: ").context("the note has no statement")?;
        let (statement, _) = rest.split_once(".\"").context("the statement has no end")?;
        sql(&mut admin, &statement.replace("\\\"", "\"")).await?;
        let notes = fixture.notes_of_set_secret().await?;
        ensure!(!notes.contains("pg_trgm"), "{notes}");
        Ok(())
    })
    .await;
}
