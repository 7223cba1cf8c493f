//! Servers that misbehave on the network: silent ones, impostors, and a relay that cuts the wire.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use rotation_local::throwaway::Certificates;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

use crate::machine::scaled;

/// What a client has sent to a server that is none.
pub type Heard = Arc<Mutex<Vec<u8>>>;

/// A listener that sends each of its answers in turn after the client has said something, and then
/// says no more.
///
/// # Errors
/// When no port can be had.
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

/// A relay to a server that has no TLS, which speaks it to clients.
///
/// # Errors
/// When no port can be had, or a certificate cannot be used.
pub async fn over_tls(to: SocketAddr, certificates: &Certificates) -> Result<SocketAddr> {
    let certificate = CertificateDer::from_pem_slice(certificates.certificate.as_bytes())?;
    let key = PrivateKeyDer::from_pem_slice(certificates.key.as_bytes())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let configuration = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)?;
    let acceptor = TlsAcceptor::from(Arc::new(configuration));
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

/// A relay to a server that cuts the connection, on either side of the n-th packet from the client.
#[derive(Debug, Clone)]
pub struct Cutter {
    /// Where it listens.
    pub address: SocketAddr,
    packets: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    cut_at: Arc<AtomicUsize>,
    after: Arc<AtomicBool>,
    has_cut: Arc<AtomicBool>,
    listening: Arc<Mutex<Option<AbortHandle>>>,
}

impl Cutter {
    /// A relay that cuts nothing yet.
    ///
    /// # Errors
    /// When no port can be had.
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

    /// Lets in nobody any more: whoever connects is refused.
    pub fn close(&self) {
        if let Some(listening) =
            self.listening.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            listening.abort();
        }
    }

    /// Cuts at the n-th packet from now (from 0): before it reaches the server, or after, so that
    /// the answer is lost.
    pub fn cut(&self, at: usize, after: bool) {
        self.packets.store(0, Ordering::SeqCst);
        self.connections.store(0, Ordering::SeqCst);
        self.after.store(after, Ordering::SeqCst);
        self.has_cut.store(false, Ordering::SeqCst);
        self.cut_at.store(at, Ordering::SeqCst);
    }

    /// Cuts no more, and says whether it has.
    pub fn heal(&self) -> bool {
        self.cut_at.store(usize::MAX, Ordering::SeqCst);
        self.has_cut.load(Ordering::SeqCst)
    }

    /// How many packets clients have sent since [`Cutter::cut`].
    pub fn packets(&self) -> usize {
        self.packets.load(Ordering::SeqCst)
    }

    /// How many connections clients have made since [`Cutter::cut`].
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
                // The server must have read it before the connection breaks.
                tokio::time::sleep(scaled(Duration::from_millis(150))).await;
                break;
            }
        }
        let _ = to_server.shutdown().await;
        // A client that has gone says so to the server; the answer may still come.
        if !self.has_cut.load(Ordering::SeqCst) {
            let _ = downward.await;
        }
    }
}

/// A relay that keeps everything that clients send.
///
/// # Errors
/// When no port can be had.
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

/// An Oracle listener over TLS that redirects every client to another address, as one of a cluster
/// does.
///
/// # Errors
/// When no port can be had, or a certificate cannot be used.
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
    over_tls(plain, certificates).await
}

/// Answers CONNECT with REDIRECT: an address, and the connect data that the client repeats there.
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
    // Two bytes of flags stand before the data.
    client.write_all(&packet(DATA, &[&[0, 0], text.as_bytes()].concat())).await?;
    // The client closes the connection when it has read the address.
    while client.read(&mut buffer).await? > 0 {}
    Ok(())
}
