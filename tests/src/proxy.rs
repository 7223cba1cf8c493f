//! Servers that misbehave on the network: silent servers, rogue servers, and a proxy that cuts
//! connections.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use test_servers::Certificates;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::machine_speed::scaled;

/// The bytes that clients have sent to a rogue server or through a recording proxy.
pub type Heard = Arc<Mutex<Vec<u8>>>;

/// Starts a rogue server. It sends one of its answers after each packet that the client sends, and
/// is silent after the last answer.
///
/// # Errors
/// Returns an error if no port is available.
pub async fn impostor(answers: Vec<Vec<u8>>) -> Result<(SocketAddr, Heard)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let heard = Heard::default();
    let ears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let answers = answers.clone();
            let ears = Arc::clone(&ears);
            tokio::spawn(async move {
                let mut answers = answers.into_iter();
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = client.read(&mut buffer).await {
                    ears.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend_from_slice(&buffer[..count]);
                    if let Some(answer) = answers.next() {
                        let _ = client.write_all(&answer).await;
                    }
                }
            });
        }
    });
    Ok((address, heard))
}

/// Returns the server's end of TLS connections.
///
/// # Errors
/// Returns an error if the certificate cannot be used.
pub fn tls_acceptor(certificates: &Certificates) -> Result<TlsAcceptor> {
    let certificate = CertificateDer::from_pem_slice(certificates.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let configuration = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(configuration)))
}

/// Starts a proxy that offers TLS to clients and connects to a server without TLS.
///
/// # Errors
/// Returns an error if no port is available, or the certificate cannot be used.
pub async fn tls_proxy(to: SocketAddr, certificates: &Certificates) -> Result<SocketAddr> {
    let acceptor = tls_acceptor(certificates)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut client = acceptor.accept(client).await?;
                tokio::io::copy_bidirectional(&mut client, &mut TcpStream::connect(to).await?).await
            });
        }
    });
    Ok(address)
}

/// A proxy in front of a server. It cuts the connection before or after the n-th packet from the
/// client.
#[derive(Debug, Clone)]
pub struct FaultProxy {
    /// The address of the proxy.
    pub address: SocketAddr,
    packets: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    cut_at: Arc<AtomicUsize>,
    after: Arc<AtomicBool>,
    has_cut: Arc<AtomicBool>,
    listening: Arc<Mutex<Option<AbortHandle>>>,
}

impl FaultProxy {
    /// Starts a proxy that does not cut anything yet.
    ///
    /// # Errors
    /// Returns an error if no port is available.
    pub async fn start(host: String, port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let cutter = Self {
            address: listener.local_addr()?,
            packets: Arc::default(),
            connections: Arc::default(),
            cut_at: Arc::new(AtomicUsize::new(usize::MAX)),
            after: Arc::default(),
            has_cut: Arc::default(),
            listening: Arc::default(),
        };
        let this = cutter.clone();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                this.connections.fetch_add(1, Ordering::SeqCst);
                if let Ok(server) = TcpStream::connect((host.as_str(), port)).await {
                    tokio::spawn(this.clone().relay(client, server));
                }
            }
        });
        *cutter.listening.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(listening.abort_handle());
        Ok(cutter)
    }

    /// Stops listening, so that new connections are refused.
    pub fn close(&self) {
        if let Some(listening) =
            self.listening.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            listening.abort();
        }
    }

    /// Cuts the connection at the n-th packet from now on, counted from 0: before the packet
    /// reaches the server, or after it, so that the server's answer is lost.
    pub fn cut(&self, at: usize, after: bool) {
        self.packets.store(0, Ordering::SeqCst);
        self.connections.store(0, Ordering::SeqCst);
        self.after.store(after, Ordering::SeqCst);
        self.has_cut.store(false, Ordering::SeqCst);
        self.cut_at.store(at, Ordering::SeqCst);
    }

    /// Stops cutting connections. Returns `true` if a connection has been cut.
    pub fn heal(&self) -> bool {
        self.cut_at.store(usize::MAX, Ordering::SeqCst);
        self.has_cut.load(Ordering::SeqCst)
    }

    /// Returns the number of packets that clients have sent since [`FaultProxy::cut`].
    pub fn packets(&self) -> usize {
        self.packets.load(Ordering::SeqCst)
    }

    /// Returns the number of connections that clients have opened since [`FaultProxy::cut`].
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    async fn relay(self, client: TcpStream, server: TcpStream) {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let downward = tokio::spawn(async move {
            let _ = tokio::io::copy(&mut from_server, &mut to_client).await;
            let _ = to_client.shutdown().await;
        });
        let mut buffer = vec![0; 65536];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            let cut =
                self.packets.fetch_add(1, Ordering::SeqCst) == self.cut_at.load(Ordering::SeqCst);
            if cut {
                self.has_cut.store(true, Ordering::SeqCst);
                downward.abort();
                if !self.after.load(Ordering::SeqCst) {
                    break;
                }
            }
            if to_server.write_all(&buffer[..count]).await.is_err() {
                break;
            }
            if cut {
                // The server must read the packet before the connection breaks.
                tokio::time::sleep(scaled(Duration::from_millis(150))).await;
                break;
            }
        }
        let _ = to_server.shutdown().await;
        // If the client has closed the connection by itself, the server's answer may still arrive.
        if !self.has_cut.load(Ordering::SeqCst) {
            let _ = downward.await;
        }
    }
}

/// Starts a proxy that records everything that clients send.
///
/// # Errors
/// Returns an error if no port is available.
pub async fn recorder(host: String, port: u16) -> Result<(SocketAddr, Heard)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let heard = Heard::default();
    let ears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let Ok(server) = TcpStream::connect((host.as_str(), port)).await else { continue };
            let ears = Arc::clone(&ears);
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 65536];
                while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
                    ears.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .extend_from_slice(&buffer[..count]);
                    if to_server.write_all(&buffer[..count]).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    Ok((address, heard))
}

/// Starts an Oracle listener over TLS that redirects every client to another address, as the
/// listener of a cluster does.
///
/// # Errors
/// Returns an error if no port is available, or the certificate cannot be used.
pub async fn redirector(
    to: SocketAddr,
    protocol: &str,
    certificates: &Certificates,
) -> Result<SocketAddr> {
    let address = format!("(ADDRESS=(PROTOCOL={protocol})(HOST={})(PORT={}))", to.ip(), to.port());
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let plain = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(redirect(client, address.clone()));
        }
    });
    tls_proxy(plain, certificates).await
}

/// Answers CONNECT with REDIRECT: an address, and the connect data that the client repeats at that
/// address.
async fn redirect(mut client: TcpStream, address: String) -> Result<()> {
    const REDIRECT: u8 = 5;
    const DATA: u8 = 6;
    let mut buffer = vec![0; 65536];
    let count = client.read(&mut buffer).await?;
    let text = String::from_utf8_lossy(&buffer[..count]);
    let start = text.find("(DESCRIPTION").unwrap_or(text.len());
    let connect_data = text[start..].trim_end_matches('\0');
    let text = format!("{address}\0{connect_data}");
    let packet = |kind: u8, payload: &[u8]| {
        let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX).to_be_bytes();
        [&[length[0], length[1], 0, 0, kind, 0, 0, 0], payload].concat()
    };
    client.write_all(&packet(REDIRECT, &u16::try_from(text.len())?.to_be_bytes())).await?;
    // Two bytes of flags precede the data.
    client.write_all(&packet(DATA, &[&[0, 0], text.as_bytes()].concat())).await?;
    // The client closes the connection when it has read the address.
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}
