//! Certificates that no one else trusts.

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use time::{Duration, OffsetDateTime};

/// An authority, and a server certificate from it. All PEM.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate.
    pub authority: String,
    /// The server's certificate.
    pub certificate: String,
    /// The server's private key.
    pub key: String,
}

impl Certificates {
    /// For a server under these names and addresses.
    ///
    /// # Errors
    /// When a name is none.
    pub fn for_names(names: &[&str]) -> Result<Self> {
        Self::valid(names, -Duration::days(1), Duration::days(30))
    }

    /// The same, valid between two moments relative to now.
    ///
    /// # Errors
    /// When a name is none.
    pub fn valid(names: &[&str], from: Duration, until: Duration) -> Result<Self> {
        let now = OffsetDateTime::now_utc();
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        authority.distinguished_name.push(rcgen::DnType::CommonName, "Throw-away authority");
        authority.not_before = now - Duration::days(365);
        authority.not_after = now + Duration::days(365);
        let authority_key = KeyPair::generate()?;
        let authority_certificate = authority.self_signed(&authority_key)?;

        let mut server = CertificateParams::new(
            names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        )?;
        server.distinguished_name.push(rcgen::DnType::CommonName, "Throw-away server");
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
