//! A way around the driver's TCP: sqlx leaves Nagle's algorithm on, and each login would wait some
//! 90 ms for acknowledgements.

use std::io;
use std::path::Path;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};

/// A socket in a folder of its own that leads to a server, for one connection.
#[derive(Debug)]
pub struct Shortcut {
    folder: TempDir,
}

impl Shortcut {
    /// Connects to a server; the driver is to take the socket of that name.
    ///
    /// # Errors
    /// When the server cannot be reached.
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

    /// Where the socket is, until this is dropped.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
