//! A proxy that connects to a server with `TCP_NODELAY`. The driver sqlx leaves Nagle's algorithm
//! on, so each login over its own TCP connection would wait about 90 ms for acknowledgements.

use std::io;
use std::path::Path;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};

/// A Unix socket that forwards one connection to a server. It has its own folder.
#[derive(Debug)]
pub struct NodelayProxy {
    folder: TempDir,
}

impl NodelayProxy {
    /// Connects to a server, and creates a socket with this name for the driver.
    ///
    /// # Errors
    /// Returns an error if the connection fails.
    pub async fn to(host: &str, port: u16, name: &str) -> io::Result<Self> {
        let mut server = TcpStream::connect((host.trim_matches(['[', ']']), port)).await?;
        server.set_nodelay(true)?;
        let folder = tempfile::tempdir()?;
        let listener = UnixListener::bind(folder.path().join(name))?;
        tokio::spawn(async move {
            if let Ok((mut client, _)) = listener.accept().await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
        Ok(Self { folder })
    }

    /// Returns the folder of the socket. It exists until this value is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
