//! Tests of settings of the server that a rotation cannot work with.

use anyhow::ensure;
use rotation_tests::oracle::{FakeServer, Fixture, on_each};
use rotation_tests::server::{NAMES, Server};
use serde_json::json;
use test_servers::Certificates;

/// The SSL option of RDS has these settings if its settings were not changed.
#[tokio::test]
async fn legacy_tls_settings_are_reported() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the test cannot change the settings of that server");
            return Ok(());
        }
        let certificates = Certificates::for_names(&NAMES)?;
        for version in ["1.0", "1.2"] {
            let fixture = Fixture::new(&target).await?;
            let legacy =
                FakeServer::start(Some(certificates.clone()), &["--legacy-tls", version]).await?;
            fixture.change(&json!({"port": legacy.target.port}))?;
            let function = fixture.function("single-user");
            let error = fixture.expect(&function, "TlsFailed", "SQLNET.SSL_VERSION").await?;
            let suite = "SQLNET.CIPHER_SUITE to TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384";
            ensure!(error.message.contains(suite), "{}", error.message);
        }
        Ok(())
    })
    .await;
}
