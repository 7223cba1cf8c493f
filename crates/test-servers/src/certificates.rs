//! Certificates of a private CA.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

/// A CA certificate, and a server certificate that this CA has issued. All fields are PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The CA certificate, which clients must trust.
    pub authority: String,
    /// The server certificate, which the CA has issued.
    pub certificate: String,
    /// The server's private key.
    pub key: String,
}

impl Certificates {
    /// Creates certificates for a server with these DNS names and IP addresses.
    ///
    /// # Errors
    /// Returns an error if a name is not valid in a certificate.
    pub fn for_names(names: &[&str]) -> Result<Self> {
        Self::valid(names, -Duration::days(1), Duration::days(30))
    }

    /// Creates certificates for a server with these DNS names and IP addresses. The server
    /// certificate is valid between two times, which are relative to now.
    ///
    /// # Errors
    /// Returns an error if a name is not valid in a certificate.
    pub fn valid(names: &[&str], from: Duration, until: Duration) -> Result<Self> {
        let now = OffsetDateTime::now_utc();
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(rcgen::DnType::CommonName, "Temporary CA");
        authority.not_before = now - Duration::days(365);
        authority.not_after = now + Duration::days(365);
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;

        let mut server = CertificateParams::new(
            names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        )?;
        server.distinguished_name.push(rcgen::DnType::CommonName, "Temporary server");
        server.not_before = now + from;
        server.not_after = now + until;
        let key = KeyPair::generate()?;
        let certificate = server.signed_by(&key, &Issuer::new(authority, authority_key))?;
        Ok(Self {
            authority: authority_certificate.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
