//! Tests of differences between the two users that a rotation must not remove, or cannot remove.

use anyhow::{Context, Result, ensure};
use rotation_tests::oracle::{Fixture, on_each, quoted, rows, sql};
use serde_json::Value;

/// The dictionary shows no grants of an owner on its own objects. The privileges that a DBA has
/// granted to the other user on such an object stay.
#[tokio::test]
async fn privileges_on_what_one_of_both_owns_stay_as_they_are() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        let (user, clone) = (quoted(&scene.user), quoted(&scene.alternate()));
        let mut admin = target.admin().await?;
        for statement in [
            format!("CREATE TABLE {user}.own (a NUMBER)"),
            format!("GRANT SELECT ON {user}.own TO {clone}"),
            format!("CREATE TABLE {clone}.theirs (a NUMBER)"),
            format!("GRANT SELECT ON {clone}.theirs TO {user}"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        let grants = async |user: &str| -> Result<Vec<Vec<String>>> {
            let query = "SELECT table_name, privilege FROM dba_tab_privs WHERE grantee = :1 \
                AND table_name IN ('OWN', 'THEIRS')";
            rows(&mut target.admin().await?, query, &user.replace('"', "")).await
        };
        for turn in 0..4 {
            scene.rotate(&function).await.with_context(|| format!("turn {turn}"))?;
            scene.log_in().await?;
            assert_eq!(grants(&clone).await?, [["OWN", "SELECT"]], "turn {turn}");
            assert_eq!(grants(&user).await?, [["THEIRS", "SELECT"]], "turn {turn}");
        }
        Ok(())
    })
    .await;
}

/// While applications use the alternate user, no new limit may lock them out.
#[tokio::test]
async fn alternate_user_in_use_may_go_on_logging_in() {
    on_each(|target| async move {
        let mut admin = target.admin().await?;
        let profile = "CREATE PROFILE \"one day\" LIMIT PASSWORD_LIFE_TIME 1";
        // Another test may have created the profile on this server.
        let _ = sql(&mut admin, profile).await;
        let scene = Fixture::new(&target).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        let in_use = scene.value("AWSCURRENT")?;
        let user = quoted(&scene.user);
        sql(&mut admin, &format!("ALTER USER {user} PROFILE \"one day\"")).await?;
        let token = scene.stage(None)?;
        scene.step(&function, "createSecret", &token).await?;
        let record: Value = scene.step(&function, "setSecret", &token).await?;
        let notes = record["notes"].to_string();
        ensure!(notes.contains("Deferred until"), "{notes}");
        scene.log_in_with(&in_use).await?;
        let query = "SELECT profile FROM dba_users WHERE username = :1";
        let clone = quoted(&scene.alternate()).replace('"', "");
        assert_eq!(rows(&mut admin, query, &clone).await?, [["DEFAULT"]]);
        // In the next rotation, the alternate user is the target.
        assert_eq!(scene.attempt(&function, &token, 1).await.failed, None);
        scene.rotate(&function).await?;
        assert_eq!(rows(&mut admin, query, &clone).await?, [["one day"]]);

        // A base user that cannot log in is not proven to belong to the secret, so nothing is
        // revoked.
        let scene = Fixture::new(&target).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        sql(&mut admin, &format!("REVOKE CREATE SESSION FROM {}", quoted(&scene.user))).await?;
        scene.expect(&function, "NeedsDecision", "cancel-rotate-secret").await?;
        scene.log_in().await?;
        Ok(())
    })
    .await;
}
