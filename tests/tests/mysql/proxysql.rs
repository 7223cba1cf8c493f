//! Tests of ProxySQL, whose messages a program of the tests sends in front of the server.

use anyhow::{Context, Result, ensure};
use rotation_tests::fake_poolers::proxysql::{Configuration, Numbering, Servers, start};
use rotation_tests::fixture::new_password;
use rotation_tests::mysql::{Fixture, Started, Target, Which, options};
use rotation_tests::server::Server as _;
use serde_json::json;
use test_servers::Certificates;

crate::on_both! {
    proxysql_is_rejected_before_the_password_changes
    lost_password_is_not_replaced_through_proxysql
    errors_of_proxysql_are_distinguished
}

async fn server<W: Which>(
    target: &Target<W>,
) -> Result<Option<(Started, Target<W>, Certificates)>> {
    let options = options()?;
    let certificates = options.certificates.clone().context("no certificates")?;
    let another = target.another(options).await?;
    Ok(another.map(|(server, target)| (server, target, certificates)))
}

/// Starts ProxySQL in front of the fixture's server, and names it in both secrets.
async fn put_proxysql_in_front<W: Which>(
    fixture: &Fixture<W>,
    certificates: &Certificates,
    numbering: Numbering,
    servers: Servers,
) -> Result<()> {
    let configuration = Configuration { server: fixture.target.port, numbering, servers };
    let port = start(configuration, &certificates.authority, certificates).await?;
    let port = json!({"port": port, "host": "127.0.0.1"});
    fixture.change(&port)?;
    fixture.change_master(&port)
}

/// ProxySQL and the server count their connections independently, so the numbers can be equal.
async fn proxysql_is_rejected_before_the_password_changes<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let Some((_server, target, certificates)) = server(&target).await? else { return Ok(()) };
    for numbering in [Numbering::Own, Numbering::AsServer] {
        for strategy in ["single-user", "single-user-by-master"] {
            let fixture = Fixture::new(&target).await?;
            put_proxysql_in_front(&fixture, &certificates, numbering, Servers::Ready).await?;
            let function = fixture.function(strategy);
            fixture.preflight_finds(&function, "NeedsDecision", "mysql_users").await?;
            let error = fixture.expect(&function, "NeedsDecision", "mysql_users").await;
            let error = error.with_context(|| format!("{numbering:?}, {strategy}"))?;
            ensure!(error.message.contains("goes through ProxySQL"), "{}", error.message);
            fixture.log_in().await?;
        }
    }
    Ok(())
}

async fn lost_password_is_not_replaced_through_proxysql<W: Which>(target: Target<W>) -> Result<()> {
    let Some((_server, target, certificates)) = server(&target).await? else { return Ok(()) };
    let fixture = Fixture::new(&target).await?;
    let before = fixture.value("AWSCURRENT")?;
    put_proxysql_in_front(&fixture, &certificates, Numbering::Own, Servers::Ready).await?;
    fixture.change(&json!({"password": new_password()}))?;
    let function = fixture.function("single-user-by-master");
    fixture.expect(&function, "NeedsDecision", "mysql_users").await?;
    fixture.log_in_with(&before).await?;
    Ok(())
}

async fn errors_of_proxysql_are_distinguished<W: Which>(target: Target<W>) -> Result<()> {
    let Some((_server, target, certificates)) = server(&target).await? else { return Ok(()) };
    for (servers, error_type, part) in [
        (Servers::RejectPassword, "LoginNotPermitted", "mysql_users"),
        (Servers::Down, "LoginFailed", "Max connect timeout reached"),
    ] {
        let fixture = Fixture::new(&target).await?;
        let before = fixture.value("AWSCURRENT")?;
        put_proxysql_in_front(&fixture, &certificates, Numbering::Own, servers).await?;
        fixture.expect(&fixture.function("single-user"), error_type, part).await?;
        fixture.log_in_with(&before).await?;
    }
    let fixture = Fixture::new(&target).await?;
    put_proxysql_in_front(&fixture, &certificates, Numbering::Own, Servers::Ready).await?;
    fixture.target.give_password(&fixture.user, &new_password()).await?;
    let function = fixture.function("single-user");
    fixture.expect(&function, "CredentialsRefused", "ProxySQL Error: Access denied").await?;
    Ok(())
}
