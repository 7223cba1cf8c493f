//! Tests of pgcat, whose messages a program of the tests sends in front of the server.

use anyhow::{Context, Result, ensure};
use rotation_database::Password;
use rotation_postgres::{Encryption, identifier, literal, verifier};
use rotation_tests::fake_poolers::pgcat::{Configuration, Pool, start};
use rotation_tests::fixture::new_password;
use rotation_tests::postgres::{Fixture, Target, on_each, options, sql};
use serde_json::json;
use test_servers::Certificates;
use test_servers::postgres::Server;

/// Starts a server that trusts its clients, as pgcat's copies of the passwords are right. It stores
/// passwords in the given form.
fn trusting_server(
    target: &Target,
    encryption: &str,
) -> Result<Option<(Server, Target, Certificates)>> {
    let mut options = options()?;
    options.access_rules = "host all all all trust".into();
    options.configuration = format!("password_encryption = '{encryption}'\n");
    let certificates = options.certificates.clone().context("no certificates")?;
    Ok(target.another(options)?.map(|(server, target)| (server, target, certificates)))
}

/// Starts pgcat with the base user and the master user, and names it in both secrets.
async fn put_pgcat_in_front(
    fixture: &Fixture,
    certificates: &Certificates,
    pool: Pool,
) -> Result<()> {
    let password = fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
    put_pgcat_with_copy_in_front(fixture, certificates, pool, password).await
}

/// Does the same with another copy of the base user's password.
async fn put_pgcat_with_copy_in_front(
    fixture: &Fixture,
    certificates: &Certificates,
    pool: Pool,
    password: String,
) -> Result<()> {
    let configuration = Configuration {
        server: fixture.target.port,
        database: fixture.database.clone(),
        users: vec![
            (fixture.user.clone(), password),
            (fixture.master.clone(), fixture.master_password()?),
        ],
        pool,
    };
    let port = json!({"port": start(configuration, certificates).await?});
    fixture.change(&port)?;
    fixture.change_master(&port)
}

/// pgcat asks for MD5, whatever the server stores. On a server that stores MD5 hashes, only the
/// check of `setSecret` shows that pgcat has its own copy.
#[tokio::test]
async fn pgcat_is_rejected_before_the_password_changes() {
    on_each(|target| async move {
        for encryption in ["scram-sha-256", "md5"] {
            let Some((_server, target, certificates)) = trusting_server(&target, encryption)?
            else {
                return Ok(());
            };
            for strategy in ["single-user", "single-user-by-master"] {
                let case = format!("{encryption}, {strategy}");
                let fixture = Fixture::new(&target).await?;
                if encryption == "md5" {
                    let password = fixture.value("AWSCURRENT")?;
                    let password = password["password"].as_str().unwrap_or_default();
                    let hash = verifier(&fixture.user, &Password::new(password), Encryption::Md5);
                    let hash = literal(&hash.map_err(anyhow::Error::msg)?);
                    let user = identifier(&fixture.user);
                    let statement = format!("ALTER ROLE {user} PASSWORD {hash}");
                    sql(&mut fixture.admin().await?, &statement).await?;
                }
                let before = fixture.stored_password(&fixture.user).await?;
                put_pgcat_in_front(&fixture, &certificates, Pool::Ready).await?;
                let function = fixture.function(strategy);
                if encryption == "scram-sha-256" {
                    fixture.preflight_finds(&function, "NeedsDecision", "own endpoint").await?;
                }
                let error = fixture.expect(&function, "NeedsDecision", "own endpoint").await;
                let error = error.context(case.clone())?;
                ensure!(error.message.contains("own copy of the password"), "{}", error.message);
                assert_eq!(fixture.stored_password(&fixture.user).await?, before, "{case}");
            }
        }
        Ok(())
    })
    .await;
}

/// Without the password that the user has now, the kind of pooler cannot be checked. Its clients
/// may still log in with the pooler's own copy.
#[tokio::test]
async fn lost_password_is_not_replaced_through_pgcat() {
    on_each(|target| async move {
        for encryption in ["scram-sha-256", "md5"] {
            let Some((_server, target, certificates)) = trusting_server(&target, encryption)?
            else {
                return Ok(());
            };
            let fixture = Fixture::new(&target).await?;
            let before = fixture.stored_password(&fixture.user).await?;
            put_pgcat_in_front(&fixture, &certificates, Pool::Ready).await?;
            fixture.change(&json!({"password": new_password()}))?;
            let function = fixture.function("single-user-by-master");
            fixture.expect(&function, "NeedsDecision", "own endpoint").await?;
            assert_eq!(fixture.stored_password(&fixture.user).await?, before, "{encryption}");
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn errors_of_pgcat_are_distinguished() {
    on_each(|target| async move {
        let Some((_server, target, certificates)) = trusting_server(&target, "scram-sha-256")?
        else {
            return Ok(());
        };
        let fixture = Fixture::new(&target).await?;
        let before = fixture.stored_password(&fixture.user).await?;
        put_pgcat_with_copy_in_front(&fixture, &certificates, Pool::Ready, new_password()).await?;
        let function = fixture.function("single-user");
        let part = "password authentication failed";
        fixture.expect(&function, "CredentialsRefused", part).await?;
        assert_eq!(fixture.stored_password(&fixture.user).await?, before);
        for (pool, change, error_type, part) in [
            (
                Pool::Ready,
                json!({"username": "unknown"}),
                "LoginNotPermitted",
                "pgcat accepts only the users in its configuration",
            ),
            (Pool::Down, json!({}), "LoginFailed", "Pool down for database"),
            (Pool::Full, json!({}), "LoginFailed", "could not get connection from the pool"),
        ] {
            let fixture = Fixture::new(&target).await?;
            let before = fixture.stored_password(&fixture.user).await?;
            put_pgcat_in_front(&fixture, &certificates, pool).await?;
            fixture.change(&change)?;
            fixture.expect(&fixture.function("single-user"), error_type, part).await?;
            assert_eq!(fixture.stored_password(&fixture.user).await?, before, "{part}");
        }
        Ok(())
    })
    .await;
}

/// pgcat does not know the alternate user, so its new password cannot be tested. The active user
/// does not change.
#[tokio::test]
async fn alternate_user_that_pgcat_does_not_know_is_reported() {
    on_each(|target| async move {
        let Some((_server, target, certificates)) = trusting_server(&target, "scram-sha-256")?
        else {
            return Ok(());
        };
        let fixture = Fixture::new(&target).await?;
        let before = fixture.stored_password(&fixture.user).await?;
        put_pgcat_in_front(&fixture, &certificates, Pool::Ready).await?;
        let function = fixture.function("master-user");
        let checks = fixture.preflight(&function).await?;
        ensure!(
            checks.iter().any(|check| check["status"] == "skipped"
                && check["message"].to_string().contains("a pooler or proxy was found")),
            "{checks:#?}"
        );
        let part = "pgcat accepts only the users in its configuration";
        fixture.expect_failure_without_preflight(&function, "LoginNotPermitted", part).await?;
        assert_eq!(fixture.stored_password(&fixture.user).await?, before);
        Ok(())
    })
    .await;
}
