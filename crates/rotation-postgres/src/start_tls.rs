//! Negotiates TLS before the driver gets the connection, so that every login uses the same TLS
//! configuration.

use rotation_database::{CaCertificates, Encrypted, LoginError, encrypt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::messages::broken;

/// An [SSLRequest]: its length, and a number that no protocol version uses.
///
/// [SSLRequest]: https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Asks the server for TLS and encrypts the connection.
pub(crate) async fn start_tls(
    mut stream: TcpStream,
    host: &str,
    authorities: &CaCertificates,
) -> Result<Encrypted, LoginError> {
    stream.write_all(&SSL_REQUEST).await.map_err(broken)?;
    // Read exactly one byte: unencrypted bytes that an attacker injects after it make the handshake
    // fail.
    match stream.read_u8().await.map_err(broken)? {
        b'S' => encrypt(stream, host, authorities).await,
        b'N' => Err(LoginError::TlsNotOffered { keeps_password: true }),
        // The error message that follows is not reported, because it is not authenticated.
        b'E' => Err(LoginError::Network {
            message: "the server closed the connection before the TLS handshake".into(),
        }),
        other => Err(LoginError::protocol(format!(
            "byte {other:#04x} in answer to the TLS request, which no PostgreSQL server sends"
        ))),
    }
}
