//! A connection without TLS on which no readable password can be sent.
//!
//! Under `TLS_MODE=prefer` a server may say that it has no TLS, and so may somebody in its place. Drivers answer
//! whatever a server asks for, also for the password in clear text. So the driver is given a relay on loopback,
//! which reads what the server asks for and cuts the connection when the answer would be readable.

use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};

/// What the watcher of a protocol makes of what the server has sent so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The login is still going on.
    Watching,
    /// The user is logged in, or refused: no password will be asked for any more.
    Over,
    /// The server asks for this, which the driver would answer with a readable password.
    Readable(&'static str),
}

/// Reads a protocol's login from the server's side.
pub trait Watch: Send + 'static {
    /// Takes the next bytes that the server has sent.
    fn server_sent(&mut self, bytes: &[u8]) -> Verdict;
}

/// A relay that is up. The driver connects to [`Guarded::port`] on 127.0.0.1, once.
#[derive(Debug)]
pub struct Guarded {
    port: u16,
    refused: Arc<OnceLock<&'static str>>,
}

impl Guarded {
    /// Connects to the server and waits for the driver.
    ///
    /// # Errors
    /// The connection's.
    pub async fn connect(host: &str, port: u16, watch: impl Watch) -> io::Result<Self> {
        let server = TcpStream::connect((host, port)).await?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let refused = Arc::new(OnceLock::new());
        tokio::spawn(relay(listener, server, watch, Arc::clone(&refused)));
        Ok(Self { port, refused })
    }

    /// Where the driver connects to, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server asked for, when the connection was cut for it.
    pub fn refused(&self) -> Option<&'static str> {
        self.refused.get().copied()
    }
}

async fn relay(
    listener: TcpListener,
    server: TcpStream,
    mut watch: impl Watch,
    refused: Arc<OnceLock<&'static str>>,
) -> io::Result<()> {
    let (driver, _) = listener.accept().await?;
    // One connection is all that is let through.
    drop(listener);
    let (mut from_driver, mut to_driver) = driver.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let upward = tokio::spawn(async move {
        let copied = copy(&mut from_driver, &mut to_server).await;
        let _ = to_server.shutdown().await;
        copied
    });
    let mut watching = true;
    let mut buffer = [0; 4096];
    loop {
        let count = from_server.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        if watching {
            match watch.server_sent(&buffer[..count]) {
                Verdict::Watching => {}
                Verdict::Over => watching = false,
                Verdict::Readable(asked) => {
                    let _ = refused.set(asked);
                    upward.abort();
                    return Ok(());
                }
            }
        }
        to_driver.write_all(&buffer[..count]).await?;
    }
    Ok(())
}
