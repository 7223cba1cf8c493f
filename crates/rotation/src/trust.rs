//! The SDK's HTTP client with the machine's CA certificates, which are read from one file.
//!
//! The SDK's default client reads this file and then reads each certificate again from the
//! directories next to it: about 300 files on Debian, which took half of a function's startup time.
//! (On Amazon Linux, the directories contain the same file again.)

use std::path::Path;
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn,
};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::environment::Source;

/// The files with all CA certificates on Amazon Linux and similar systems, and on Debian and
/// similar systems.
const CA_BUNDLES: [&str; 2] =
    ["/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/certs/ca-certificates.crt"];

/// The variables that name another trust store for
/// [`rustls-native-certs`](https://docs.rs/rustls-native-certs).
const TRUST_STORE_VARIABLES: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

/// Creates an HTTP client like the SDK's, which trusts the CA certificates in one file. Returns
/// `None` if the SDK must search for the CA certificates itself.
pub(crate) fn http_client(
    source: Source<'_>,
    connect_timeout: Duration,
) -> Option<SharedHttpClient> {
    if TRUST_STORE_VARIABLES.iter().any(|name| source(name).is_some()) {
        return None;
    }
    let context = CA_BUNDLES.iter().find_map(|path| context(Path::new(path)))?;
    Some(trusting(context, connect_timeout))
}

/// Creates an HTTP client in the same way as the SDK. All AWS clients share it, so the file is read
/// only once, at startup.
fn trusting(context: TlsContext, connect_timeout: Duration) -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(connect_timeout).build();
    let connector = Connector::builder()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .connector_settings(settings)
        .proxy_config(ProxyConfig::from_env())
        .build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// Returns a TLS context that trusts the certificates in a file. Returns `None` if any part of the
/// file is unusable, because the SDK would panic.
fn context(bundle: &Path) -> Option<TlsContext> {
    let pem = std::fs::read(bundle).ok()?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        roots.add(certificate.ok()?).ok()?;
    }
    let store = TrustStore::empty().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(store).build();
    context.ok().filter(|_| !roots.is_empty())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_sdk_secretsmanager::Client;
    use aws_sdk_secretsmanager::config::retry::RetryConfig;
    use aws_sdk_secretsmanager::config::{BehaviorVersion, Credentials, Region};
    use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
    }

    fn file(holding: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, holding).unwrap();
        file
    }

    /// Starts a service that sends a `ResourceNotFoundException` to every client that accepts its
    /// certificate. Returns its port.
    async fn service(issuer: &CertifiedIssuer<'_, KeyPair>) -> u16 {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, issuer).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let configuration = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let configuration =
            configuration.with_no_client_auth().with_single_cert(vec![certificate], key);
        let acceptor = TlsAcceptor::from(Arc::new(configuration.unwrap()));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let message = r#"{"__type": "ResourceNotFoundException"}"#;
                    let answer = format!(
                        "HTTP/1.1 400 Bad Request\r\ncontent-length: {}\r\n\r\n{message}",
                        message.len()
                    );
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
            }
        });
        port
    }

    async fn is_trusted(port: u16, context: TlsContext) -> bool {
        let configuration = aws_sdk_secretsmanager::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(format!("https://localhost:{port}"))
            .http_client(trusting(context, Duration::from_secs(1)));
        let answer =
            Client::from_conf(configuration.build()).describe_secret().secret_id("s").send().await;
        answer
            .unwrap_err()
            .as_service_error()
            .is_some_and(|error| error.is_resource_not_found_exception())
    }

    #[tokio::test]
    async fn only_certificates_of_the_bundle_are_trusted() {
        let (one, other) = (authority(), authority());
        let port = service(&one).await;
        let both = file(&format!("# Two certificates.\n{}\n{}", other.pem(), one.pem()));
        assert!(is_trusted(port, context(both.path()).unwrap()).await);
        assert!(!is_trusted(port, context(file(&other.pem()).path()).unwrap()).await);
    }

    #[test]
    fn unusable_ca_bundle_falls_back_to_the_sdk() {
        let good = authority().pem();
        let broken = good.replace("-----END", "----END");
        let no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        for text in ["", "nothing", &broken, no_certificate, &format!("{good}{no_certificate}")] {
            assert!(context(file(text).path()).is_none(), "{text}");
        }
        assert!(context(Path::new("/no/such/file")).is_none());
    }

    #[test]
    fn ssl_cert_variables_fall_back_to_the_sdk() {
        let client = |source: Source<'_>| http_client(source, Duration::from_secs(1));
        for name in TRUST_STORE_VARIABLES {
            assert!(client(&|asked| (asked == name).then(|| "/somewhere".into())).is_none());
        }
        let has_bundle = CA_BUNDLES.iter().any(|path| Path::new(path).exists());
        assert_eq!(client(&|_| None).is_some(), has_bundle);
    }
}
