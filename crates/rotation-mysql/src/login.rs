//! Connects to a server and logs in.

use rotation_database::{Encrypted, Login, LoginError, Stream, TlsUse, Wire, dial, encrypt};
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};
use sqlx::{ConnectOptions, MySqlConnection};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::authenticate::{Method, authenticate, ssl_request};
use crate::greeting::{Greeting, capability};
use crate::packet::{ERROR, Packets, framed};
use crate::refusal::{Refusal, refusal};

/// An authenticated session that is not handed to the driver yet.
pub(crate) struct LoggedIn {
    stream: Box<dyn Stream>,
    greeting: Greeting,
    /// The capabilities that both sides use in this session.
    capabilities: u32,
    pub(crate) method: Method,
    pub(crate) is_encrypted: bool,
}

impl LoggedIn {
    /// Returns the connection ID from the greeting.
    pub(crate) fn connection(&self) -> u32 {
        u32::from_le_bytes(self.greeting.thread)
    }

    /// Returns the server's version from the greeting, or an empty text if it is not UTF-8.
    pub(crate) fn version(&self) -> &str {
        std::str::from_utf8(&self.greeting.version).unwrap_or_default()
    }

    /// Connects to the server and logs in once.
    pub(crate) async fn over_new_connection(login: &Login<'_>) -> Result<Self, LoginError> {
        let mut packets = Packets::new(dial(login.host, login.port).await?);
        let greeting = greet(&mut packets, login).await?;
        match login.tls {
            TlsUse::Verified => {
                let packets = start_tls(packets, &greeting, login).await?;
                Self::after_greeting(packets, greeting, login).await
            }
            TlsUse::Off => Self::after_greeting(packets, greeting, login).await,
            // Without TLS, these plugins do not prove the server's identity.
            TlsUse::NotOffered => Err(NO_TLS),
        }
    }

    async fn after_greeting<S: Stream + 'static>(
        mut packets: Packets<S>,
        greeting: Greeting,
        login: &Login<'_>,
    ) -> Result<Self, LoginError> {
        let capabilities = greeting.agreed(login.database.is_some());
        let method = authenticate(&mut packets, &greeting, capabilities, login).await?;
        Ok(Self {
            stream: Box::new(packets.stream),
            greeting,
            capabilities,
            method,
            is_encrypted: login.tls == TlsUse::Verified,
        })
    }

    /// Hands the session to the driver. This process sends the driver a greeting in place of the
    /// server.
    pub(crate) async fn driver(self) -> Result<MySqlConnection, LoginError> {
        let Self { stream, greeting, capabilities, .. } = self;
        let database =
            if capabilities & capability::CONNECT_WITH_DB != 0 { Some("x") } else { None };
        let welcome = move |driver| welcome(driver, greeting, capabilities);
        let wire = Wire::offer(stream, SOCKET, welcome)?;
        let mut options = MySqlConnectOptions::new()
            // The driver must not run any statements at the start, because `Session` sets
            // everything that it needs.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .set_names(false)
            .timezone(None)
            .statement_cache_capacity(0)
            .disable_statement_logging()
            // Where TLS is required, the stream behind the socket is already encrypted.
            .ssl_mode(MySqlSslMode::Disabled)
            .socket(wire.folder().join(SOCKET));
        if let Some(database) = database {
            options = options.database(database);
        }
        options.connect().await.map_err(|error| match error {
            sqlx::Error::Io(error) => LoginError::from_io(&error),
            other => LoginError::from_any(&other),
        })
    }

    /// Ends the session with
    /// [`COM_QUIT`](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_quit.html).
    pub(crate) async fn close(mut self) {
        // All work is done, so a connection that fails now does no harm.
        if self.stream.write_all(&framed(&[1], 0)).await.is_ok() {
            let _ = self.stream.shutdown().await;
        }
    }
}

const SOCKET: &str = "mysql";
const NO_TLS: LoginError = LoginError::TlsNotOffered { keeps_password: false };

pub(crate) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    packets: &mut Packets<S>,
    login: &Login<'_>,
) -> Result<Greeting, LoginError> {
    let payload = packets.receive().await?;
    if payload[0] == ERROR {
        return Err(refusal(&Refusal::parse(&payload), login));
    }
    Greeting::parse(&payload)
}

async fn start_tls(
    mut packets: Packets<TcpStream>,
    greeting: &Greeting,
    login: &Login<'_>,
) -> Result<Packets<Encrypted>, LoginError> {
    if greeting.capabilities & capability::SSL == 0 {
        return Err(NO_TLS);
    }
    packets.send(&ssl_request(greeting.agreed(login.database.is_some()))).await?;
    let (stream, packets) = packets.take();
    Ok(packets.over(encrypt(stream, login.host, login.authorities).await?))
}

/// Sends the driver a greeting, reads its answer and accepts the login.
///
/// The driver must use exactly the capabilities that the server has agreed to, because the format
/// of the session's packets depends on them.
async fn welcome(
    mut driver: UnixStream,
    greeting: Greeting,
    capabilities: u32,
) -> std::io::Result<UnixStream> {
    driver.write_all(&framed(&greeting.startup_response(capabilities), 0)).await?;
    let mut header = [0; 4];
    driver.read_exact(&mut header).await?;
    let [a, b, c, _] = header;
    let mut answer = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
    driver.read_exact(&mut answer).await?;
    let wanted = answer.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).unwrap_or_default();
    if wanted & !capability::LONG_PASSWORD != capabilities {
        let error =
            format!("the driver uses capabilities {wanted:#x} instead of {capabilities:#x}");
        return Err(std::io::Error::other(error));
    }
    // An OK packet: no rows, no ID, autocommit, no warnings.
    driver.write_all(&framed(&[0, 0, 0, 2, 0, 0, 0], 2)).await?;
    Ok(driver)
}
