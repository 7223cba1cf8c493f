//! Tests of `POSTGRES_PASSWORD_FORM=cleartext`, for servers with a module that must see the
//! cleartext password.
//!
//! The module of these tests is PostgreSQL's own `passwordcheck`, which rejects passwords without a
//! digit or punctuation character.

use anyhow::{Context, Result};
use rotation_local::Function;
use rotation_local::throwaway::postgres::Server;
use rotation_tests::postgres::{Fixture, Target, on_each, options, sql};
use serde_json::json;

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

fn cleartext(scene: &Fixture, strategy: &str) -> Function {
    scene.program(strategy).env(SETTING, "cleartext").into()
}

#[tokio::test]
async fn module_sees_the_password_itself_only_if_asked_for() {
    on_each(|target| async move {
        let Some((_server, target)) = server(&target, "scram-sha-256")? else { return Ok(()) };
        for strategy in STRATEGIES {
            let scene = Fixture::new(&target).await?;
            let letters = || {
                let program = scene.program(strategy).env("EXCLUDE_NUMBERS", "true");
                program.env("EXCLUDE_PUNCTUATION", "true")
            };
            scene.rotate(&letters().into()).await.context(strategy)?;
            let function = letters().env(SETTING, "cleartext").into();
            scene.expect(&function, "PasswordRejected", "nonletters").await.context(strategy)?;
            scene.log_in().await.context(strategy)?;
        }
        Ok(())
    })
    .await;
}

/// On the server that stores MD5 hashes, a stored hash would lock the user out: the access rule
/// demands SCRAM.
#[tokio::test]
async fn cleartext_passwords_rotate_and_stand_nowhere() {
    on_each(|target| async move {
        for encryption in ["scram-sha-256", "md5"] {
            let Some((_server, target)) = server(&target, encryption)? else { return Ok(()) };
            for strategy in STRATEGIES {
                let case = format!("{encryption}, {strategy}");
                let scene = Fixture::new(&target).await?;
                let function = cleartext(&scene, strategy);
                scene.preflight(&function).await.context(case.clone())?;
                for _ in 0..3 {
                    scene.rotate(&function).await.context(case.clone())?;
                    scene.log_in().await.context(case.clone())?;
                }
                assert_eq!(scene.failed_logins()?, 0, "{case}");
                scene.search_for_passwords("").context(case)?;
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn cleartext_is_not_sent_where_others_read_it() {
    on_each(|target| async move {
        // These test servers write every statement to their logs.
        for strategy in STRATEGIES {
            let scene = Fixture::new(&target).await?;
            let function = cleartext(&scene, strategy);
            scene.preflight_finds(&function, "NeedsDecision", "SET log_statement = 'none'").await?;
            let error =
                scene.expect(&function, "NeedsDecision", "SET log_statement = 'none'").await?;
            scene.log_in().await?;
            scene.search_for_passwords("")?;
            // Runs the remedy exactly as the message states it.
            let (_, remedy) =
                error.message.split_once("superuser of the database: ").context("no remedy")?;
            let (statements, _) =
                remedy.split_once(". Or remove").context("the remedy has no end")?;
            sql(&mut scene.admin().await?, statements).await?;
            let again = scene.again(&function).await?;
            assert!(again.failed.is_none(), "{strategy}: {:?}", again.failed);
            scene.log_in().await?;
            scene.search_for_passwords("")?;
        }
        let Some((_server, quiet)) = server(&target, "scram-sha-256")? else { return Ok(()) };
        for strategy in STRATEGIES {
            let scene = Fixture::new(&quiet).await?;
            scene.change(&json!({ "ssl": false }))?;
            scene.change_master(&json!({ "ssl": false }))?;
            let function = cleartext(&scene, strategy);
            scene.preflight_finds(&function, "NeedsDecision", "Turn TLS on at the server").await?;
            scene.expect(&function, "NeedsDecision", "Turn TLS on at the server").await?;
            scene.log_in().await?;
        }
        Ok(())
    })
    .await;
}
