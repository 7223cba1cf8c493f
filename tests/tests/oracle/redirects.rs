//! Tests of listeners that redirect a TLS connection, as the listeners of a cluster do.

use std::sync::PoisonError;

use anyhow::{Context, ensure};
use rotation_tests::oracle::{Fixture, on_each};
use rotation_tests::proxy::{recorder, redirector};
use rotation_tests::server::{NAMES, Server};
use serde_json::json;
use test_servers::Certificates;

/// The driver stops using TLS if the address of a redirect has the protocol TCP, and does not
/// report that.
#[tokio::test]
async fn redirect_to_tcp_is_rejected_before_any_password() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test needs a database without TLS");
            return Ok(());
        }
        let fake = target.start_another(None, &[]).await?;
        let certificates = Certificates::for_names(&NAMES)?;
        let (recorder, heard) = recorder("localhost".into(), fake.target.port).await?;
        let listener = redirector(recorder, "TCP", &certificates).await?;
        // The secrets name the listener. The test itself connects to the database directly.
        let fixture = Fixture::new(&fake.target).await?;
        let change = json!({"port": listener.port(), "ssl": null});
        fixture.change(&change)?;
        fixture.change_master(&change)?;
        let authority = tempfile::NamedTempFile::new()?;
        std::fs::write(authority.path(), &certificates.authority)?;
        let authority = authority.path().to_string_lossy();
        for (strategy, mode) in [
            ("single-user", "require"),
            ("master-user", "require"),
            ("master-user", "prefer"),
            ("single-user-by-master", "require"),
        ] {
            let program = fixture.program(strategy).env("TLS_CA_FILE", &*authority);
            let function = program.env("TLS_MODE", mode).into();
            let error = fixture.expect(&function, "TlsNotOffered", "the session uses tcp").await?;
            for part in ["TCPS", "\"ssl\": false"] {
                ensure!(error.message.contains(part), "{part}: {}", error.message);
            }
            let pending =
                fixture.value("AWSPENDING")?["password"].as_str().unwrap_or_default().to_owned();
            let master = fixture.master_password()?;
            let sent = heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
            ensure!(!sent.is_empty(), "nothing was sent over the unencrypted connection");
            for secret in [pending.as_bytes(), master.as_bytes(), b"IDENTIFIED"] {
                let is_there = memchr::memmem::find(&sent, secret).is_some();
                ensure!(!is_there, "{strategy}: a statement with a password was sent");
            }
            fixture
                .give_up(&fixture.version("AWSPENDING")?.context("there is no pending version")?)?;
        }
        Ok(())
    })
    .await;
}

/// A redirect that keeps TLS is normal in a cluster.
#[tokio::test]
async fn redirect_to_tcps_is_followed() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the server's certificate is not for the address of the redirect");
            return Ok(());
        }
        let certificates = Certificates::for_names(&NAMES)?;
        let fake = target.start_another(Some(certificates.clone()), &[]).await?;
        let listener =
            redirector(([127, 0, 0, 1], fake.target.port).into(), "TCPS", &certificates).await?;
        let fixture = Fixture::new(&fake.target).await?;
        let change = json!({"port": listener.port()});
        fixture.change(&change)?;
        fixture.change_master(&change)?;
        for strategy in ["single-user", "master-user", "single-user-by-master"] {
            fixture.rotate(&fixture.function(strategy)).await?;
        }
        Ok(())
    })
    .await;
}
