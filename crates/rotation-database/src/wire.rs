//! The connection to a server. This module opens it and passes it to the driver through a Unix
//! socket inside this process.
//!
//! If the driver opened the connection, there would be three disadvantages:
//!
//! - Its errors do not distinguish a failed name lookup, a closed port and a server that does not
//!   respond.
//! - It leaves Nagle's algorithm on, which costs 40 ms twice in each login.
//! - It sends anything that the server asks for, including the password in cleartext.
//!
//! Therefore TLS ([`crate::encrypt`]) and the login are also on this side, and the socket carries
//! an authenticated session without TLS.

mod meeting;

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener, UnixStream, lookup_host};
use tokio::time::{Instant, timeout, timeout_at};

use crate::login_error::LoginError;
use meeting::SocketAddress;

/// The timeout for the name lookup and the TCP connection. The timeout of the whole login is a
/// little longer.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(4500);

/// A connection to a server, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Connects to a server.
///
/// # Errors
/// Returns an error that distinguishes a failed name lookup, a closed port and a timeout.
pub async fn dial(host: &str, port: u16) -> Result<TcpStream, LoginError> {
    let seconds = CONNECT_TIMEOUT.as_secs();
    let silent = |_| LoginError::DnsFailed {
        message: format!("the resolver did not respond within {seconds} s"),
    };
    let until = Instant::now() + CONNECT_TIMEOUT;
    let addresses = timeout_at(until, lookup_host((host, port))).await.map_err(silent)?;
    let mut addresses: Vec<_> =
        addresses.map_err(|error| LoginError::DnsFailed { message: error.to_string() })?.collect();
    addresses.dedup();
    let mut left = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    let mut failure = LoginError::DnsFailed { message: "the name has no address".to_owned() };
    for address in addresses {
        // If an address drops packets, some time must remain for the next address.
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

/// A socket with a connection to a server. It accepts only the driver of this process.
#[derive(Debug)]
pub struct Wire {
    meeting: SocketAddress,
}

impl Wire {
    /// Creates a socket with this file name in the directory [`Wire::folder`], and relays the
    /// driver's data to an authenticated session.
    ///
    /// The driver does not know that the login is already complete. `welcome` responds to it in
    /// place of the server until it is ready to send its first statement.
    ///
    /// # Errors
    /// Returns an error if the socket cannot be created.
    pub fn offer<S, W, F>(stream: S, file_name: &str, welcome: W) -> Result<Self, LoginError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        W: FnOnce(UnixStream) -> F + Send + 'static,
        F: Future<Output = io::Result<UnixStream>> + Send,
    {
        let (wire, listener) = Self::listen(file_name)?;
        tokio::spawn(async move {
            let driver = welcome(accept(listener).await?).await?;
            relay(driver, stream).await
        });
        Ok(wire)
    }

    /// Does the same as [`Wire::offer`], for a driver whose first message starts with its length in
    /// four bytes. The response to that message is `answer`.
    ///
    /// # Errors
    /// Returns an error if the socket cannot be created.
    pub fn offer_with_response<S>(
        stream: S,
        file_name: &str,
        answer: Vec<u8>,
    ) -> Result<Self, LoginError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        Self::offer(stream, file_name, |mut driver| async move {
            let first = driver.read_u32().await?;
            let rest = u64::from(first).saturating_sub(4);
            tokio::io::copy(&mut (&mut driver).take(rest), &mut tokio::io::sink()).await?;
            driver.write_all(&answer).await?;
            Ok(driver)
        })
    }

    fn listen(file_name: &str) -> Result<(Self, UnixListener), LoginError> {
        let unusable = |error: io::Error| LoginError::no_file(&error);
        let meeting = SocketAddress::new().map_err(unusable)?;
        let listener = UnixListener::bind(meeting.prefix().join(file_name)).map_err(unusable)?;
        Ok((Self { meeting }, listener))
    }

    /// Returns the directory of the socket, to which the driver appends the file name.
    pub fn folder(&self) -> &Path {
        self.meeting.prefix()
    }
}

/// The time that the server has to close the connection after the driver has closed it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Accepts one connection, of the driver of this process.
async fn accept(listener: UnixListener) -> io::Result<UnixStream> {
    loop {
        let (stream, _) = listener.accept().await?;
        if meeting::is_same_process(&stream) {
            return Ok(stream);
        }
    }
}

async fn relay(driver: UnixStream, server: impl AsyncRead + AsyncWrite) -> io::Result<()> {
    let (mut from_driver, mut to_driver) = driver.into_split();
    let (mut from_server, mut to_server) = tokio::io::split(server);
    let upward = async {
        tokio::io::copy(&mut from_driver, &mut to_server).await?;
        to_server.shutdown().await
    };
    // When one side closes its connection, the relay ends. After the driver has closed, the relay
    // waits at most CLOSE_TIMEOUT for the server.
    tokio::select! {
        done = tokio::io::copy(&mut from_server, &mut to_driver) => done.map(drop),
        done = async { upward.await?; tokio::time::sleep(CLOSE_TIMEOUT).await; Ok(()) } => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpSocket;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn server_that_ignores_connections_times_out() {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        // The kernel opens connections until the backlog is full. Then it ignores clients.
        let mut open = Vec::new();
        let connect = || timeout(Duration::from_millis(300), TcpStream::connect(address));
        while let Ok(Ok(stream)) = connect().await {
            open.push(stream);
        }
        let error = dial("127.0.0.1", address.port()).await.unwrap_err();
        assert_eq!(error, LoginError::ConnectTimeout { seconds: 4 });
        drop((listener, open));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn other_processes_cannot_use_the_socket() {
        let (stream, mut far) = tokio::io::duplex(64);
        let wire = Wire::offer_with_response(stream, "socket", Vec::new()).unwrap();
        let path = wire.folder().join("socket");
        let script = "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(5)\n\
            s.connect(sys.argv[1].replace('@', '\\0'))\ns.sendall(bytes([0, 0, 0, 4, 65]))\n\
            print(s.recv(1))";
        let name = path.to_str().unwrap().replace('\0', "@");
        let another =
            move || std::process::Command::new("python3").args(["-c", script, &name]).output();
        let output = tokio::task::spawn_blocking(another).await.unwrap().unwrap();
        let message = [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        // The connection of the other process is closed at some point, without a response.
        let ends = ["b''\n", "ConnectionResetError", "BrokenPipeError"];
        let is_hung_up_on =
            ends.iter().any(|end| message.iter().any(|message| message.contains(end)));
        assert!(is_hung_up_on && ["", "b''\n"].contains(&message[0].as_str()), "{message:?}");
        let mut own = UnixStream::connect(path).await.unwrap();
        own.write_all(&[0, 0, 0, 4, 66]).await.unwrap();
        assert_eq!(far.read_u8().await.unwrap(), 66);
    }
}
