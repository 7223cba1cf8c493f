//! Tests of a server that redirects its clients, as the gateway of Azure SQL Database does.

use anyhow::{Result, ensure};
use rotation_driver::Function;
use rotation_tests::server::Server;
use rotation_tests::sqlserver::{AZURE, FakeServer, Fixture, tests_real_server};
use serde_json::json;
use tempfile::NamedTempFile;
use test_servers::{Certificates, free_port};

/// The names in the certificates of the gateway and of the worker.
const GATEWAY: &str = "localhost";
const WORKER: &str = "127.0.0.1";

/// Starts a server whose certificate is for one name only.
async fn server(name: &'static str, arguments: &[&str]) -> Result<FakeServer> {
    let certificates = Certificates::for_names(&[name])?;
    let mut fake = FakeServer::start_release(Some(AZURE), Some(certificates), arguments).await?;
    name.clone_into(&mut fake.target.address.host);
    Ok(fake)
}

/// Starts a gateway that redirects its clients to a port of the worker's address.
async fn gateway_to(port: u16) -> Result<FakeServer> {
    server(GATEWAY, &["--redirect", &format!("{WORKER}:{port}")]).await
}

/// Changes both secrets so that they name the gateway.
fn enter_by(fixture: &Fixture, gateway: &FakeServer) -> Result<()> {
    let address = json!({"host": GATEWAY, "port": gateway.target.port});
    fixture.change(&address)?;
    fixture.change_master(&address)
}

/// Returns a function that trusts the CAs of several servers.
fn function(
    fixture: &Fixture,
    strategy: &str,
    servers: &[&FakeServer],
) -> Result<(Function, NamedTempFile)> {
    let authorities = NamedTempFile::new()?;
    let pem: Vec<_> = servers.iter().filter_map(|fake| fake.target.authority()).collect();
    std::fs::write(authorities.path(), pem.join("\n"))?;
    let program = fixture.program(strategy);
    Ok((program.env("TLS_CA_FILE", authorities.path().to_string_lossy()).into(), authorities))
}

#[tokio::test]
async fn redirect_is_followed_at_each_login() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    let worker = server(WORKER, &[]).await?;
    let gateway = gateway_to(worker.target.port).await?;
    for strategy in ["single-user", "single-user-by-master", "master-user"] {
        let fixture = Fixture::new(&worker.target).await?;
        enter_by(&fixture, &gateway)?;
        let (function, _authorities) = function(&fixture, strategy, &[&worker, &gateway])?;
        for _ in 0..2 {
            fixture.rotate(&function).await?;
            fixture.log_in().await?;
        }
        // The address of the worker is not stored.
        let value = fixture.value("AWSCURRENT")?;
        assert_eq!(
            (&value["host"], &value["port"]),
            (&json!(GATEWAY), &json!(gateway.target.port))
        );
        assert_eq!(fixture.failed_logins()?, 0);
        let log = gateway.target.log_since(0)?;
        ensure!(log.contains(&format!("Login of user '{}' is redirected", fixture.user)), "{log}");
        ensure!(!log.contains("Login succeeded"), "{log}");
    }
    Ok(())
}

/// The certificate of the worker must be for the name to which the gateway redirects. The function
/// sends no password to another server.
#[tokio::test]
async fn worker_with_certificate_of_gateway_gets_no_password() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    let worker = server(GATEWAY, &[]).await?;
    let gateway = gateway_to(worker.target.port).await?;
    let fixture = Fixture::new(&worker.target).await?;
    enter_by(&fixture, &gateway)?;
    let (function, _authorities) = function(&fixture, "single-user", &[&worker, &gateway])?;
    let error = fixture.expect(&function, "TlsWrongName", "Leave \"host\"").await?;
    let address = format!("{WORKER}:{}", worker.target.port);
    ensure!(error.message.contains(&address), "{}", error.message);
    ensure!(!error.message.contains("Set \"host\""), "{}", error.message);
    assert_eq!((fixture.failed_logins()?, fixture.logins()?), (0, 0));
    Ok(())
}

#[tokio::test]
async fn second_redirect_is_not_followed() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    let worker = server(WORKER, &[]).await?;
    let second =
        server(WORKER, &["--redirect", &format!("{WORKER}:{}", worker.target.port)]).await?;
    let gateway = gateway_to(second.target.port).await?;
    let fixture = Fixture::new(&worker.target).await?;
    enter_by(&fixture, &gateway)?;
    let servers = [&worker, &second, &gateway];
    let (function, _authorities) = function(&fixture, "single-user", &servers)?;
    let error = fixture.expect(&function, "RedirectedAgain", "Proxy").await?;
    ensure!(error.message.contains("Leave \"host\""), "{}", error.message);
    assert_eq!((fixture.failed_logins()?, fixture.logins()?), (0, 0));
    Ok(())
}

#[tokio::test]
async fn unreachable_worker_is_reported_by_address() -> Result<()> {
    if tests_real_server() {
        return Ok(());
    }
    let gateway = gateway_to(free_port()?).await?;
    let worker = server(WORKER, &[]).await?;
    let fixture = Fixture::new(&worker.target).await?;
    enter_by(&fixture, &gateway)?;
    let (function, _authorities) = function(&fixture, "single-user", &[&worker, &gateway])?;
    let error = fixture.expect(&function, "ConnectionRefused", "11000 to 11999").await?;
    ensure!(error.message.contains("Leave \"host\""), "{}", error.message);
    Ok(())
}
