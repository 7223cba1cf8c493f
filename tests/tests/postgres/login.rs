//! Logins that are particular to PostgreSQL.

use rotation_tests::postgres::{Scene, on_each};
use rotation_tests::scene::{new_password, unique};
use rotation_tests::server::Server as _;
use serde_json::json;

/// A comma or an equals sign ends a field in SCRAM; a control character is nothing that SASLprep takes. The server takes
/// all of it, and so does the rotation: the second one logs in with what the first has made.
#[tokio::test]
async fn names_and_passwords_that_scram_has_no_words_for() {
    on_each(|target| async move {
        for (user, password) in
            [("comma,equals=", new_password()), ("plain", format!("{}\tbell\u{7}", new_password()))]
        {
            let user = format!("{user}{}", unique());
            let scene = Scene::with_user(&target, &user, &unique()).await?;
            target.give_password(&user, &password).await?;
            scene.change(&json!({"password": password}))?;
            for strategy in ["single-user", "single-user", "master-user", "master-user"] {
                scene.rotate(&scene.function(strategy)).await?;
            }
            assert_eq!(scene.failed_logins()?, 0);
            scene.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}
