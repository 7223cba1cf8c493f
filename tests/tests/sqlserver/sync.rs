//! Differences of the two users that a rotation must not remove, or cannot remove.

use anyhow::{Context, Result};
use rotation_sqlserver::identifier;
use rotation_tests::sqlserver::{Scene, on_each, sql};

/// An owner has no permission on what is its own. What an administrator grants on it to the other user
/// stays, on the schema and on what is in it.
#[tokio::test]
async fn permissions_on_what_the_base_user_owns_stay_as_they_are() {
    on_each(|target| async move {
        let scene = Scene::new(&target).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        let (user, clone) = (identifier(&scene.user), identifier(&scene.alternate()));
        let mut admin = scene.admin().await?;
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
            scene.rotate(&function).await.with_context(|| format!("turn {turn}"))?;
            let mut session = scene.log_in().await?;
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
