//! Tests of pair ownership: users that alternate, and unrelated users whose names look like a pair.

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
        // The operator disables the login as the message says, which permits the function to use
        // it.
        sql(&mut target.admin("master").await?, &format!("ALTER LOGIN {quoted} DISABLE")).await?;
        assert_eq!(scene.again(&function).await?.failed, None);
        let mut session = scene.log_in().await?;
        target.is_whole(&mut session, &scene.user).await?;
        assert!(target.connect(&clone, &password, "master").await.is_err());
        Ok(())
    })
    .await;
}

/// AWS's function has created the alternate user. The versions of the secret show which base user
/// it belongs to.
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

/// Only the name suggests that the secret's user is the alternate user of another one.
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

/// The server has the mark of an alternate user, so no version of the secret is needed.
#[tokio::test]
async fn a_second_user_that_this_has_made_is_known_by_the_server() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let function = scene.function("master-user");
        for _ in 0..2 {
            scene.rotate(&function).await?;
            let previous = scene.version("AWSPREVIOUS")?.context("no previous version")?;
            let forget = json!({
                "SecretId": SECRET_ARN,
                "VersionStage": "AWSPREVIOUS",
                "RemoveFromVersionId": previous,
            });
            scene.service.perform("UpdateSecretVersionStage", &forget)?;
            scene.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// An attacker who can write the secret can name any user in a previous version, but does not have
/// that user's password.
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

/// A renamed base login keeps its SID, and its alternate user keeps the mark that is derived from
/// it.
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
