//! The connection to a server, dialled here and handed to the driver through a Unix socket of this process.
//!
//! Drivers dial by themselves, and then three things are lost. What failed: the name, the port, the silence after.
//! Time: they leave Nagle's algorithm on, which costs 40 ms twice in each login. And the choice of what is sent:
//! they answer whatever a server without TLS asks for, also for the password in clear text. Where the protocol lets
//! TLS begin before the driver does, [`crate::encrypt`] and the login are part of this side as well, and what the socket
//! carries is a session in clear text; elsewhere TLS is the driver's own, and what passes here is encrypted already.

mod meeting;

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix;
use tokio::net::{TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::login_error::LoginError;
use meeting::Meeting;

/// How long the look-up and the TCP connection may take; a login as a whole has a little more.
const DIAL_TIMEOUT: Duration = Duration::from_millis(4500);

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

/// Connects to a server.
///
/// # Errors
/// Which of the steps failed: the name, the port, the way.
pub async fn dial(host: &str, port: u16) -> Result<TcpStream, LoginError> {
    let seconds = DIAL_TIMEOUT.as_secs();
    let silent =
        |_| LoginError::NameNotFound { said: format!("no answer from the resolver for {seconds} s") };
    let until = Instant::now() + DIAL_TIMEOUT;
    let addresses = timeout_at(until, lookup_host((host, port))).await.map_err(silent)?;
    let mut addresses: Vec<_> =
        addresses.map_err(|error| LoginError::NameNotFound { said: error.to_string() })?.collect();
    addresses.dedup();
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut failure = LoginError::NameNotFound { said: "the name has no address".to_owned() };
    for address in addresses {
        // An address that swallows packets must leave time for the next.
        let share = until.saturating_duration_since(Instant::now()) / left.max(1);
        left = left.saturating_sub(1);
        failure = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(|error| LoginError::from_io(&error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => LoginError::from_io(&error),
            Err(_) => LoginError::ConnectTimeout { seconds },
        };
    }
    Err(failure)
}

/// A connection that waits for its driver, where nobody else is let in.
#[derive(Debug)]
pub struct Wire {
    meeting: Meeting,
    refused: Arc<OnceLock<&'static str>>,
}

impl Wire {
    /// Offers a connection that has been through its login already.
    ///
    /// The driver's own first message, which begins with its length in four bytes, goes nowhere; `answer` is what the
    /// driver gets for it.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn offer_logged_in<S>(stream: S, file_name: &str, answer: Vec<u8>) -> Result<Self, LoginError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (wire, listener) = Self::listen(file_name)?;
        tokio::spawn(async move {
            let mut driver = accept(listener).await?;
            let first = driver.read_u32().await?;
            let rest = u64::from(first).saturating_sub(4);
            tokio::io::copy(&mut (&mut driver).take(rest), &mut tokio::io::sink()).await?;
            driver.write_all(&answer).await?;
            relay(driver, stream, None, &OnceLock::new()).await
        });
        Ok(wire)
    }

    /// Offers a connection under a file name; [`Wire::folder`] tells where.
    ///
    /// With a watcher, a readable password is never sent: the connection is cut when one is asked for.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn offer(
        stream: TcpStream,
        file_name: &str,
        watch: Option<Box<dyn Watch>>,
    ) -> Result<Self, LoginError> {
        let (wire, listener) = Self::listen(file_name)?;
        let refused = Arc::clone(&wire.refused);
        tokio::spawn(async move { relay(accept(listener).await?, stream, watch, &refused).await });
        Ok(wire)
    }

    fn listen(file_name: &str) -> Result<(Self, UnixListener), LoginError> {
        let unusable = |error: io::Error| LoginError::no_file(&error);
        let meeting = Meeting::new().map_err(unusable)?;
        let listener = UnixListener::bind(meeting.folder().join(file_name)).map_err(unusable)?;
        Ok((Self { meeting, refused: Arc::default() }, listener))
    }

    /// Where the socket is, to be followed by its file name.
    pub fn folder(&self) -> &Path {
        self.meeting.folder()
    }

    /// What the server asked for, when the connection was cut for it: by a watcher, that is.
    pub fn refused(&self) -> Option<&'static str> {
        self.refused.get().copied()
    }
}

/// For how long a server may still talk after the driver has left.
const HANG_UP: Duration = Duration::from_secs(2);

/// One driver is all that is let in.
async fn accept(listener: UnixListener) -> io::Result<UnixStream> {
    loop {
        let (stream, _) = listener.accept().await?;
        if meeting::lets_in(&stream) {
            return Ok(stream);
        }
    }
}

async fn relay(
    driver: UnixStream,
    server: impl AsyncRead + AsyncWrite,
    watch: Option<Box<dyn Watch>>,
    refused: &OnceLock<&'static str>,
) -> io::Result<()> {
    let (mut from_driver, to_driver) = driver.into_split();
    let (from_server, mut to_server) = tokio::io::split(server);
    let upward = async {
        tokio::io::copy(&mut from_driver, &mut to_server).await?;
        to_server.shutdown().await
    };
    // Whichever side ends, the other has nothing left to say. A server that does not even hang up is not waited for.
    tokio::select! {
        done = downward(from_server, to_driver, watch, refused) => done,
        done = async { upward.await?; tokio::time::sleep(HANG_UP).await; Ok(()) } => done,
    }
}

async fn downward(
    mut from_server: impl AsyncRead + Unpin,
    mut to_driver: unix::OwnedWriteHalf,
    mut watch: Option<Box<dyn Watch>>,
    refused: &OnceLock<&'static str>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from_server.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        match watch.as_mut().map(|watch| watch.server_sent(&buffer[..count])) {
            None | Some(Verdict::Watching) => {}
            Some(Verdict::Over) => watch = None,
            Some(Verdict::Readable(asked)) => {
                let _ = refused.set(asked);
                return Ok(());
            }
        }
        to_driver.write_all(&buffer[..count]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn nobody_but_this_process_gets_the_connection() {
        let (stream, mut far) = tokio::io::duplex(64);
        let wire = Wire::offer_logged_in(stream, "socket", Vec::new()).unwrap();
        let path = wire.folder().join("socket");
        let script = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(5)\n\
            s.connect(sys.argv[1].replace('@', '\\0'))\ns.sendall(bytes([0, 0, 0, 4, 65]))\nprint(s.recv(1))";
        let name = path.to_str().unwrap().replace('\0', "@");
        let another = move || std::process::Command::new("python3").args(["-c", script, &name]).output();
        let output = tokio::task::spawn_blocking(another).await.unwrap().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        // It is hung up on sooner or later, and hears nothing.
        let ends = ["b''\n", "ConnectionResetError", "BrokenPipeError"];
        let is_hung_up_on = ends.iter().any(|end| said.iter().any(|said| said.contains(end)));
        assert!(is_hung_up_on && ["", "b''\n"].contains(&said[0].as_str()), "{said:?}");
        let mut own = UnixStream::connect(path).await.unwrap();
        own.write_all(&[0, 0, 0, 4, 66]).await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), 66);
    }
}
