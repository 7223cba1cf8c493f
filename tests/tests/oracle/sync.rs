//! Tests of differences between the two users that a rotation must not remove, or cannot remove.

use anyhow::{Context, Result, ensure};
use rotation_tests::oracle::{Fixture, on_each, quoted, rows, sql};
use serde_json::Value;

/// The dictionary shows no grants of an owner on its own objects. The privileges that a DBA has
/// granted to the other user on such an object stay.
#[tokio::test]
async fn privileges_on_owned_objects_stay() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let (user, clone) = (quoted(&fixture.user), quoted(&fixture.alternate()));
        let mut admin = target.admin().await?;
        for statement in [
            format!("CREATE TABLE {user}.own (a NUMBER)"),
            format!("GRANT SELECT ON {user}.own TO {clone}"),
            format!("CREATE TABLE {clone}.theirs (a NUMBER)"),
            format!("GRANT SELECT ON {clone}.theirs TO {user}"),
            format!("GRANT INHERIT PRIVILEGES ON USER {user} TO {clone}"),
            format!("GRANT INHERIT PRIVILEGES ON USER {clone} TO {user}"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        let grants = async |user: &str| -> Result<Vec<Vec<String>>> {
            let query = "SELECT privilege FROM dba_tab_privs WHERE grantee = :1 AND (table_name \
                IN ('OWN', 'THEIRS') OR type = 'USER') ORDER BY 1";
            rows(&mut target.admin().await?, query, &user.replace('"', "")).await
        };
        for turn in 0..4 {
            fixture.rotate(&function).await.with_context(|| format!("turn {turn}"))?;
            fixture.log_in().await?;
            for user in [&user, &clone] {
                let expected = [["INHERIT PRIVILEGES"], ["SELECT"]];
                assert_eq!(grants(user).await?, expected, "{user}, turn {turn}");
            }
        }
        Ok(())
    })
    .await;
}

/// While applications use the alternate user, no new limit may lock them out.
#[tokio::test]
async fn active_alternate_user_can_still_log_in() {
    on_each(|target| async move {
        let mut admin = target.admin().await?;
        let profile = "CREATE PROFILE \"one day\" LIMIT PASSWORD_LIFE_TIME 1";
        // Another test may have created the profile on this server.
        let _ = sql(&mut admin, profile).await;
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let in_use = fixture.value("AWSCURRENT")?;
        let user = quoted(&fixture.user);
        sql(&mut admin, &format!("ALTER USER {user} PROFILE \"one day\"")).await?;
        let token = fixture.stage(None)?;
        fixture.step(&function, "createSecret", &token).await?;
        let record: Value = fixture.step(&function, "setSecret", &token).await?;
        let notes = record["notes"].to_string();
        ensure!(notes.contains("Deferred until"), "{notes}");
        fixture.log_in_with(&in_use).await?;
        let query = "SELECT profile FROM dba_users WHERE username = :1";
        let clone = quoted(&fixture.alternate()).replace('"', "");
        assert_eq!(rows(&mut admin, query, &clone).await?, [["DEFAULT"]]);
        // In the next rotation, the alternate user is the target.
        assert_eq!(fixture.attempt(&function, &token, 1).await.failed, None);
        fixture.rotate(&function).await?;
        assert_eq!(rows(&mut admin, query, &clone).await?, [["one day"]]);

        // A base user that cannot log in is not proven to belong to the secret, so nothing is
        // revoked.
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        sql(&mut admin, &format!("REVOKE CREATE SESSION FROM {}", quoted(&fixture.user))).await?;
        fixture.expect(&function, "NeedsDecision", "cancel-rotate-secret").await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}
