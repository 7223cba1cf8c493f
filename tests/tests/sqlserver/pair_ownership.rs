//! Tests of pair ownership: users that alternate, and unrelated users whose names look like a pair.

use anyhow::{Context, Result};
use rotation_sqlserver::identifier;
use rotation_tests::fixture::{SECRET_ARN, new_password, unique};
use rotation_tests::server::Server;
use rotation_tests::sqlserver::{Fixture, Target, on_each, sql, with_password};
use serde_json::json;

async fn create_login(target: &Target, name: &str) -> Result<String> {
    let password = new_password();
    let statement = format!("CREATE LOGIN {} WITH {}", identifier(name), with_password(&password));
    sql(&mut target.admin("master").await?, &statement).await?;
    Ok(password)
}

#[tokio::test]
async fn unrelated_login_is_not_changed() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let clone = fixture.alternate();
        let password = create_login(&target, &clone).await?;
        let function = fixture.function("master-user");
        let quoted = identifier(&clone);
        fixture
            .expect(&function, "NeedsDecision", &format!("ALTER LOGIN {quoted} DISABLE"))
            .await?;
        target.connect(&clone, &password, "master").await?;
        // The operator disables the login as the message says, which permits the function to use
        // it.
        sql(&mut target.admin("master").await?, &format!("ALTER LOGIN {quoted} DISABLE")).await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        let mut session = fixture.log_in().await?;
        target.is_whole(&mut session, &fixture.user).await?;
        assert!(target.connect(&clone, &password, "master").await.is_err());
        Ok(())
    })
    .await;
}

/// AWS's function has created the alternate user. The versions of the secret show which base user
/// it belongs to.
#[tokio::test]
async fn alternate_login_is_recognized_by_secret_versions() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let clone = fixture.alternate();
        let first = fixture.value("AWSCURRENT")?;
        let mut second = first.clone();
        second["username"] = clone.clone().into();
        second["password"] = create_login(&target, &clone).await?.into();
        let (login, database) = (identifier(&clone), identifier(&fixture.database));
        sql(
            &mut target.admin("master").await?,
            &format!("USE {database}; CREATE USER {login} FOR LOGIN {login}"),
        )
        .await?;
        fixture.store(&second)?;
        let function = fixture.function("master-user");
        for user in [&fixture.user, &clone] {
            fixture.rotate(&function).await?;
            assert_eq!(fixture.value("AWSCURRENT")?["username"], **user);
            let mut session = fixture.log_in().await?;
            target.is_whole(&mut session, &fixture.user).await?;
        }
        Ok(())
    })
    .await;
}

/// Only the name suggests that the secret's user is the alternate user of another one.
#[tokio::test]
async fn secret_named_like_alternate_leaves_base_login_alone() {
    on_each(|target| async move {
        let base = format!("foo_{}", unique());
        let fixture = Fixture::with_user(&target, &format!("{base}_clone"), &unique()).await?;
        let password = create_login(&target, &base).await?;
        fixture
            .expect(&fixture.function("master-user"), "NeedsDecision", "put-secret-value")
            .await?;
        target.connect(&base, &password, "master").await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// The server has the mark of an alternate user, so no version of the secret is needed.
#[tokio::test]
async fn alternate_login_is_recognized_by_its_mark() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        for _ in 0..2 {
            fixture.rotate(&function).await?;
            let previous = fixture.version("AWSPREVIOUS")?.context("no previous version")?;
            let forget = json!({
                "SecretId": SECRET_ARN,
                "VersionStage": "AWSPREVIOUS",
                "RemoveFromVersionId": previous,
            });
            fixture.service.perform("UpdateSecretVersionStage", &forget)?;
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// An attacker who can write the secret can name any user in a previous version, but does not have
/// that user's password.
#[tokio::test]
async fn previous_version_without_password_proves_nothing() {
    on_each(|target| async move {
        let base = format!("foo_{}", unique());
        let fixture = Fixture::with_user(&target, &format!("{base}_clone"), &unique()).await?;
        let password = create_login(&target, &base).await?;
        let current = fixture.value("AWSCURRENT")?;
        let mut forged = current.clone();
        forged["username"] = base.clone().into();
        forged["password"] = new_password().into();
        fixture.store(&forged)?;
        fixture.store(&current)?;
        fixture
            .expect(&fixture.function("master-user"), "NeedsDecision", "put-secret-value")
            .await?;
        target.connect(&base, &password, "master").await?;
        Ok(())
    })
    .await;
}

/// A renamed base login keeps its SID, and its alternate user keeps the mark that is derived from
/// it.
#[tokio::test]
async fn renamed_alternate_login_is_reported() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        fixture.rotate(&function).await?;
        let (clone, other) =
            (identifier(&fixture.alternate()), identifier(&format!("{}_old", fixture.alternate())));
        let mut admin = target.admin("master").await?;
        sql(&mut admin, &format!("ALTER LOGIN {clone} WITH NAME = {other}")).await?;
        fixture.expect(&function, "NeedsDecision", "WITH NAME").await?;
        sql(&mut admin, &format!("ALTER LOGIN {other} WITH NAME = {clone}")).await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        Ok(())
    })
    .await;
}
