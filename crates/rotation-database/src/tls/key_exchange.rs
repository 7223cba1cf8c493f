//! A cache of the key exchange group of each server, for the next login. It stores nothing else.
//!
//! If a client offers a key share for another group, the server requests a second ClientHello,
//! which costs a round trip. PostgreSQL before 18 accepts only P-256, which is not the first choice
//! of any TLS library. TLS sessions are never resumed: every login verifies the server's
//! certificate.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// The maximum number of servers in the cache. One function uses fewer.
const MAX_SERVERS: usize = 100;

/// The key exchange groups by server name. An entry is added only after the server's name has been
/// verified.
#[derive(Debug, Default)]
pub(super) struct KxHintCache(Mutex<HashMap<ServerName<'static>, NamedGroup>>);

impl KxHintCache {
    fn known(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, NamedGroup>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for KxHintCache {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        let mut known = self.known();
        if known.len() >= MAX_SERVERS && !known.contains_key(&server_name) {
            known.clear();
        }
        known.insert(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.known().get(&server_name.to_owned()).copied()
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {}

    fn take_tls13_ticket(&self, _: &ServerName<'_>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{HandshakeKind, ServerConfig};
    use tokio::io::AsyncReadExt;
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::TlsAcceptor;

    use crate::tls::{CaCertificates, encrypt};

    /// Starts a server that supports one key exchange group, sends session tickets and closes the
    /// connection. Returns its port and its certificate.
    async fn server() -> (u16, String) {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let mut provider = default_provider();
        provider.kx_groups = vec![kx_group::SECP256R1];
        let configuration = ServerConfig::builder_with_provider(Arc::new(provider));
        let configuration =
            configuration.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let configuration =
            configuration.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(configuration));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let _ = acceptor.accept(stream).await;
            }
        });
        (port, certificate.pem())
    }

    #[tokio::test]
    async fn second_handshake_uses_cached_group_without_resumption() {
        let (port, certificate) = server().await;
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, certificate).unwrap();
        let path = file.path().to_string_lossy().into_owned();
        let authorities =
            CaCertificates::read(&|name| (name == "TLS_CA_FILE").then(|| path.clone())).unwrap();
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let mut stream = encrypt(stream, "localhost", &authorities).await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind().unwrap());
            // This reads the session tickets.
            let _ = stream.read(&mut [0]).await;
        }
        assert_eq!(kinds, [HandshakeKind::FullWithHelloRetryRequest, HandshakeKind::Full]);
    }
}
