//! Two users that alternate, and two that only look like it.

use anyhow::{Context, Result};
use rotation_sqlserver::identifier;
use rotation_tests::scene::{SECRET_ARN, new_password, unique};
use rotation_tests::server::Server;
use rotation_tests::sqlserver::{Fixture, Target, on_each, sql, with_password};
use serde_json::json;

async fn make_login(target: &Target, name: &str) -> Result<String> {
    let password = new_password();
    let statement = format!("CREATE LOGIN {} WITH {}", identifier(name), with_password(&password));
    sql(&mut target.admin("master").await?, &statement).await?;
    Ok(password)
}

#[tokio::test]
async fn a_login_that_only_looks_like_the_second_user_is_not_touched() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let clone = scene.alternate();
        let password = make_login(&target, &clone).await?;
        let function = scene.function("master-user");
        let quoted = identifier(&clone);
        scene.expect(&function, "NeedsDecision", &format!("ALTER LOGIN {quoted} DISABLE")).await?;
        target.connect(&clone, &password, "master").await?;
        // As the message says: that is consent.
        sql(&mut target.admin("master").await?, &format!("ALTER LOGIN {quoted} DISABLE")).await?;
        assert_eq!(scene.again(&function).await?.failed, None);
        let mut session = scene.log_in().await?;
        target.is_whole(&mut session, &scene.user).await?;
        assert!(target.connect(&clone, &password, "master").await.is_err());
        Ok(())
    })
    .await;
}

/// The functions of AWS have made the second user; the secret's versions show whose it is.
#[tokio::test]
async fn a_second_user_that_another_function_has_made_is_known_by_the_secret() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let clone = scene.alternate();
        let first = scene.value("AWSCURRENT")?;
        let mut second = first.clone();
        second["username"] = clone.clone().into();
        second["password"] = make_login(&target, &clone).await?.into();
        let (login, database) = (identifier(&clone), identifier(&scene.database));
        sql(
            &mut target.admin("master").await?,
            &format!("USE {database}; CREATE USER {login} FOR LOGIN {login}"),
        )
        .await?;
        scene.store(&second)?;
        let function = scene.function("master-user");
        for user in [&scene.user, &clone] {
            scene.rotate(&function).await?;
            assert_eq!(scene.value("AWSCURRENT")?["username"], **user);
            let mut session = scene.log_in().await?;
            target.is_whole(&mut session, &scene.user).await?;
        }
        Ok(())
    })
    .await;
}

/// Nothing but its name says that the secret's user is somebody's second.
#[tokio::test]
async fn a_secret_named_like_a_second_user_does_not_take_its_base_over() {
    on_each(|target| async move {
        let base = format!("foo_{}", unique());
        let scene = Fixture::with_user(&target, &format!("{base}_clone"), &unique()).await?;
        let password = make_login(&target, &base).await?;
        scene.expect(&scene.function("master-user"), "NeedsDecision", "put-secret-value").await?;
        target.connect(&base, &password, "master").await?;
        scene.log_in().await?;
        Ok(())
    })
    .await;
}

/// The mark of a second user is on the server: no version of the secret is needed to see it.
#[tokio::test]
async fn a_second_user_that_this_has_made_is_known_by_the_server() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let function = scene.function("master-user");
        for _ in 0..2 {
            scene.rotate(&function).await?;
            let previous = scene.version("AWSPREVIOUS")?.context("no previous version")?;
            let forget = json!({"SecretId": SECRET_ARN, "VersionStage": "AWSPREVIOUS", "RemoveFromVersionId": previous});
            scene.service.perform("UpdateSecretVersionStage", &forget)?;
            scene.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// Whoever may write the secret can name any user in a previous version; its password it does not
/// have.
#[tokio::test]
async fn a_previous_version_proves_nothing_without_its_password() {
    on_each(|target| async move {
        let base = format!("foo_{}", unique());
        let scene = Fixture::with_user(&target, &format!("{base}_clone"), &unique()).await?;
        let password = make_login(&target, &base).await?;
        let current = scene.value("AWSCURRENT")?;
        let mut forged = current.clone();
        forged["username"] = base.clone().into();
        forged["password"] = new_password().into();
        scene.store(&forged)?;
        scene.store(&current)?;
        scene.expect(&scene.function("master-user"), "NeedsDecision", "put-secret-value").await?;
        target.connect(&base, &password, "master").await?;
        Ok(())
    })
    .await;
}

/// A renamed base login keeps its SID, and its second user the mark that is made of it.
#[tokio::test]
async fn a_second_user_under_another_name_is_named() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        scene.rotate(&function).await?;
        let (clone, other) =
            (identifier(&scene.alternate()), identifier(&format!("{}_old", scene.alternate())));
        let mut admin = target.admin("master").await?;
        sql(&mut admin, &format!("ALTER LOGIN {clone} WITH NAME = {other}")).await?;
        scene.expect(&function, "NeedsDecision", "WITH NAME").await?;
        sql(&mut admin, &format!("ALTER LOGIN {other} WITH NAME = {clone}")).await?;
        assert_eq!(scene.again(&function).await?.failed, None);
        Ok(())
    })
    .await;
}
