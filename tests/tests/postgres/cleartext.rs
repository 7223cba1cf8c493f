//! Tests of `POSTGRES_PASSWORD_FORM=cleartext`, for servers with a module that must see the
//! cleartext password.
//!
//! The module of these tests is PostgreSQL's own `passwordcheck`, which rejects passwords without a
//! digit or punctuation character.

use anyhow::{Context, Result};
use rotation_driver::Function;
use rotation_tests::postgres::{Fixture, Target, on_each, options, sql};
use serde_json::json;
use test_servers::postgres::Server;

const STRATEGIES: [&str; 3] = ["single-user", "single-user-by-master", "master-user"];
const SETTING: &str = "POSTGRES_PASSWORD_FORM";

/// Starts a server with the module. It stores passwords in the given form, and logs statements as
/// many servers do.
fn server(target: &Target, encryption: &str) -> Result<Option<(Server, Target)>> {
    let mut options = options()?;
    options.configuration = format!(
        "log_statement = ddl\nlog_min_duration_statement = 1s\npassword_encryption = \
         '{encryption}'\n\
         shared_preload_libraries = 'passwordcheck'\n"
    );
    options.access_rules = "host all all all scram-sha-256".into();
    target.another(options)
}

fn cleartext(fixture: &Fixture, strategy: &str) -> Function {
    fixture.program(strategy).env(SETTING, "cleartext").into()
}

#[tokio::test]
async fn password_module_gets_cleartext_only_with_setting() {
    on_each(|target| async move {
        let Some((_server, target)) = server(&target, "scram-sha-256")? else { return Ok(()) };
        for strategy in STRATEGIES {
            let fixture = Fixture::new(&target).await?;
            let letters = || {
                let program = fixture.program(strategy).env("EXCLUDE_NUMBERS", "true");
                program.env("EXCLUDE_PUNCTUATION", "true")
            };
            fixture.rotate(&letters().into()).await.context(strategy)?;
            let function = letters().env(SETTING, "cleartext").into();
            fixture.expect(&function, "PasswordRejected", "nonletters").await.context(strategy)?;
            fixture.log_in().await.context(strategy)?;
        }
        Ok(())
    })
    .await;
}

/// On the server that stores MD5 hashes, a stored hash would lock the user out: the access rule
/// demands SCRAM.
#[tokio::test]
async fn cleartext_passwords_rotate_and_are_not_logged() {
    on_each(|target| async move {
        for encryption in ["scram-sha-256", "md5"] {
            let Some((_server, target)) = server(&target, encryption)? else { return Ok(()) };
            for strategy in STRATEGIES {
                let case = format!("{encryption}, {strategy}");
                let fixture = Fixture::new(&target).await?;
                let function = cleartext(&fixture, strategy);
                fixture.preflight(&function).await.context(case.clone())?;
                for _ in 0..3 {
                    fixture.rotate(&function).await.context(case.clone())?;
                    fixture.log_in().await.context(case.clone())?;
                }
                assert_eq!(fixture.failed_logins()?, 0, "{case}");
                fixture.search_for_passwords("").context(case)?;
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn cleartext_is_not_sent_to_logs_or_without_tls() {
    on_each(|target| async move {
        // These test servers write every statement to their logs.
        for strategy in STRATEGIES {
            let fixture = Fixture::new(&target).await?;
            let function = cleartext(&fixture, strategy);
            fixture
                .preflight_finds(&function, "NeedsDecision", "SET log_statement = 'none'")
                .await?;
            let error =
                fixture.expect(&function, "NeedsDecision", "SET log_statement = 'none'").await?;
            fixture.log_in().await?;
            fixture.search_for_passwords("")?;
            // Runs the remedy exactly as the message states it.
            let (_, remedy) =
                error.message.split_once("superuser of the database: ").context("no remedy")?;
            let (statements, _) =
                remedy.split_once(". Or remove").context("the remedy has no end")?;
            sql(&mut fixture.admin().await?, statements).await?;
            let again = fixture.again(&function).await?;
            assert!(again.failed.is_none(), "{strategy}: {:?}", again.failed);
            fixture.log_in().await?;
            fixture.search_for_passwords("")?;
        }
        let Some((_server, quiet)) = server(&target, "scram-sha-256")? else { return Ok(()) };
        for strategy in STRATEGIES {
            let fixture = Fixture::new(&quiet).await?;
            fixture.change(&json!({ "ssl": false }))?;
            fixture.change_master(&json!({ "ssl": false }))?;
            let function = cleartext(&fixture, strategy);
            fixture
                .preflight_finds(&function, "NeedsDecision", "Turn TLS on at the server")
                .await?;
            fixture.expect(&function, "NeedsDecision", "Turn TLS on at the server").await?;
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}
