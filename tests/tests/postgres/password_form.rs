//! Tests of the form in which a new password is stored.
//!
//! Every later login must accept it.

use anyhow::{Context, Result, ensure};
use rotation_database::Password;
use rotation_postgres::{Encryption, identifier, literal, verifier};
use rotation_tests::postgres::{Fixture, Target, on_each, options, sql};
use rotation_tests::suite::recovery;
use serde_json::json;
use test_servers::postgres::Server;

const STRATEGIES: [&str; 3] = ["single-user", "single-user-by-master", "master-user"];

/// Starts a server whose password settings and access rules differ from the default.
fn server(target: &Target, encryption: &str, rules: &str) -> Result<Option<(Server, Target)>> {
    let mut options = options()?;
    options.configuration = format!("password_encryption = '{encryption}'\n");
    options.access_rules = rules.into();
    target.another(options)
}

/// Returns the form in which the server stores the current password.
async fn stored_form(fixture: &Fixture) -> Result<&'static str> {
    let user = fixture.value("AWSCURRENT")?["username"].as_str().unwrap_or_default().to_owned();
    let stored = fixture.stored_password(&user).await?;
    Ok(if stored.starts_with("md5") { "md5" } else { "scram-sha-256" })
}

/// Stores the user's current password as an MD5 hash.
async fn store_as_md5(fixture: &Fixture) -> Result<()> {
    let password = fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
    let hash = verifier(&fixture.user, &Password::new(&password), Encryption::Md5);
    let hash = literal(&hash.map_err(anyhow::Error::msg)?);
    let statement = format!("ALTER ROLE {} PASSWORD {hash}", identifier(&fixture.user));
    sql(&mut fixture.target.admin("postgres").await?, &statement).await
}

/// Checks that no login has failed for any reason. The server logs nothing about a connection that
/// only asks for the authentication method.
fn no_failed_login(fixture: &Fixture) -> Result<()> {
    ensure!(fixture.failed_logins()? == 0, "{} failed logins", fixture.failed_logins()?);
    let log = fixture.server_log()?;
    // Other tests use the same server and make logins fail on purpose.
    let (user, alternate) = (&fixture.user, fixture.alternate());
    let is_own = |line: &&str| {
        [user, &alternate, &fixture.master].iter().any(|name| line.contains(name.as_str()))
    };
    let failed = log.lines().filter(is_own).find(|line| line.contains("FATAL:"));
    ensure!(failed.is_none(), "the server logged: {failed:?}");
    Ok(())
}

#[tokio::test]
async fn rule_md5_accepts_the_stored_form() {
    rule_accepts_the_stored_form("md5").await;
}

#[tokio::test]
async fn rule_scram_accepts_the_stored_form() {
    rule_accepts_the_stored_form("scram-sha-256").await;
}

async fn rule_accepts_the_stored_form(rule: &'static str) {
    on_each(|target| async move {
        for encryption in ["md5", "scram-sha-256"] {
            let rules = format!("host all all all {rule}");
            let Some((_server, target)) = server(&target, encryption, &rules)? else {
                return Ok(());
            };
            for strategy in STRATEGIES {
                let case = format!("{rule}, {encryption}, {strategy}");
                let fixture = Fixture::new(&target).await?;
                let function = fixture.function(strategy);
                for _ in 0..3 {
                    fixture.rotate(&function).await.context(case.clone())?;
                    fixture.log_in().await.context(case.clone())?;
                    let form = stored_form(&fixture).await?;
                    ensure!(rule == "md5" || form == "scram-sha-256", "{case}: stored as {form}");
                    ensure!(
                        encryption == "md5" || form == "scram-sha-256",
                        "{case}: stored as {form}"
                    );
                }
                no_failed_login(&fixture).context(case)?;
            }
        }
        Ok(())
    })
    .await;
}

/// Some clients do not support SCRAM, so a server that is configured for them must keep MD5 hashes.
#[tokio::test]
async fn md5_password_stays_md5_if_server_accepts_it() {
    on_each(|target| async move {
        let Some((_server, target)) = server(&target, "md5", "host all all all md5")? else {
            return Ok(());
        };
        for strategy in STRATEGIES {
            let fixture = Fixture::new(&target).await?;
            store_as_md5(&fixture).await?;
            for _ in 0..3 {
                fixture.rotate(&fixture.function(strategy)).await?;
                fixture.log_in().await?;
                assert_eq!(stored_form(&fixture).await?, "md5", "{strategy}");
            }
            no_failed_login(&fixture)?;
            fixture.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

/// `password_encryption` can be set on a role, even by the role itself.
#[tokio::test]
async fn md5_role_setting_with_scram_rule_keeps_logins_working() {
    on_each(|target| async move {
        for strategy in STRATEGIES {
            let fixture = Fixture::new(&target).await?;
            let (user, master) = (identifier(&fixture.user), identifier(&fixture.master));
            let mut admin = target.admin("postgres").await?;
            for role in [&user, &master] {
                sql(&mut admin, &format!("ALTER ROLE {role} SET password_encryption = 'md5'"))
                    .await?;
            }
            let function = fixture.function(strategy);
            for _ in 0..2 {
                fixture.rotate(&function).await.context(strategy)?;
                fixture.log_in().await.context(strategy)?;
                assert_eq!(stored_form(&fixture).await?, "scram-sha-256", "{strategy}");
            }
            no_failed_login(&fixture).context(strategy)?;
        }
        Ok(())
    })
    .await;
}

/// After any packet of `setSecret` is lost, the same version is retried, and its password works.
#[tokio::test]
async fn lost_packet_in_set_secret_with_md5_setting_converges() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let statement =
            format!("ALTER ROLE {} SET password_encryption = 'md5'", identifier(&fixture.user));
        sql(&mut target.admin("postgres").await?, &statement).await?;
        let cutter = fixture.start_fault_proxy().await?;
        let function = fixture.function("single-user");
        for after in [false, true] {
            for at in 0.. {
                let token = fixture.stage(None)?;
                fixture.step(&function, "createSecret", &token).await?;
                cutter.cut(at, after);
                let set = fixture.step(&function, "setSecret", &token).await;
                let has_cut = cutter.heal();
                let rotation = fixture.attempt(&function, &token, 1).await;
                let case = format!("packet {at}, after {after}, setSecret {set:?}");
                ensure!(rotation.failed.is_none(), "{case}: {:?}", rotation.failed);
                fixture.log_in().await.context(case.clone())?;
                ensure!(stored_form(&fixture).await? == "scram-sha-256", "{case}");
                if !has_cut {
                    ensure!(at >= 4, "only {at} packets");
                    break;
                }
            }
        }
        Ok(())
    })
    .await;
}

/// Without TLS, the next login would reject a request for an MD5 response.
#[tokio::test]
async fn md5_is_not_stored_where_tls_is_not_offered() {
    on_each(|target| async move {
        let mut options = options()?;
        options.certificates = None;
        options.configuration = "password_encryption = 'md5'\n".into();
        options.access_rules = "host all all all md5".into();
        let Some((_server, plain)) = target.another(options)? else { return Ok(()) };
        for strategy in STRATEGIES {
            let fixture = Fixture::new(&plain).await?;
            let scram =
                format!("ALTER ROLE {} SET scram_iterations = 1000", identifier(&fixture.user));
            if target.version().await? >= 160_000 {
                sql(&mut plain.admin("postgres").await?, &scram).await?;
            }
            fixture.change(&json!({"ssl": null}))?;
            fixture.change_master(&json!({"ssl": null}))?;
            let function = fixture.program(strategy).env("TLS_MODE", "prefer").into();
            for _ in 0..2 {
                fixture.rotate(&function).await.context(strategy)?;
                fixture.log_in().await.context(strategy)?;
                assert_eq!(stored_form(&fixture).await?, "scram-sha-256", "{strategy}");
            }
            no_failed_login(&fixture).context(strategy)?;
        }
        Ok(())
    })
    .await;
}

/// The master user's session can be encrypted and the user's session not, and access rules may
/// differ between the two.
#[tokio::test]
async fn form_fits_the_rule_for_the_users_own_connection() {
    on_each(|target| async move {
        for (encrypted, unencrypted) in [("md5", "scram-sha-256"), ("scram-sha-256", "md5")] {
            let rules =
                format!("hostssl all all all {encrypted}\nhostnossl all all all {unencrypted}");
            let Some((_server, target)) = server(&target, "md5", &rules)? else { return Ok(()) };
            for strategy in ["single-user-by-master", "master-user", "single-user"] {
                let case = format!("{unencrypted} without TLS, {strategy}");
                let fixture = Fixture::new(&target).await?;
                fixture.change(&json!({"ssl": false}))?;
                fixture.change_master(&json!({"ssl": true}))?;
                if unencrypted == "md5" {
                    store_as_md5(&fixture).await?;
                }
                for _ in 0..2 {
                    fixture.rotate(&fixture.function(strategy)).await.context(case.clone())?;
                    ensure!(stored_form(&fixture).await? == unencrypted, "{case}");
                }
                no_failed_login(&fixture).context(case)?;
            }
        }
        Ok(())
    })
    .await;
}

/// Starts a server for the fault injection of the suite on which an MD5 hash would lock the user
/// out.
async fn md5_setting_with_scram_rule(target: &Target) -> Result<Option<(Server, Target)>> {
    server(target, "md5", "host all all all scram-sha-256")
}

#[tokio::test]
async fn md5_setting_with_scram_rule_survives_every_lost_packet() {
    on_each(|target| async move {
        let Some((_server, target)) = md5_setting_with_scram_rule(&target).await? else {
            return Ok(());
        };
        recovery::lost_packet_converges_single_user(target).await
    })
    .await;
}

#[tokio::test]
async fn md5_setting_with_scram_rule_survives_lost_answers() {
    on_each(|target| async move {
        // One server is enough, because this test takes minutes and the form does not depend on the
        // version.
        if target.version().await? >= 160_000 {
            return Ok(());
        }
        let Some((_server, target)) = md5_setting_with_scram_rule(&target).await? else {
            return Ok(());
        };
        recovery::lost_answer_converges_alternating_users(target).await
    })
    .await;
}
