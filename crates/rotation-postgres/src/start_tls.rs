//! TLS before the driver begins, so that one configuration serves every login.

use rotation_database::{Authorities, Encrypted, LoginError, encrypt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::messages::broken;

/// [SSLRequest](https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-SSLREQUEST):
/// its length, and a number that is no protocol version.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Asks the server for TLS and encrypts the connection.
pub(crate) async fn start_tls(
    mut stream: TcpStream,
    host: &str,
    authorities: &Authorities,
) -> Result<Encrypted, LoginError> {
    stream.write_all(&SSL_REQUEST).await.map_err(broken)?;
    // One byte and no more: what somebody sends after it in clear text becomes an error of the
    // handshake.
    match stream.read_u8().await.map_err(broken)? {
        b'S' => encrypt(stream, host, authorities).await,
        b'N' => Err(LoginError::TlsNotOffered { keeps_password: true }),
        // The words that follow are nobody's yet.
        b'E' => Err(LoginError::Network {
            message: "the server ends the connection before TLS begins".into(),
        }),
        other => Err(LoginError::protocol(format!(
            "it answers the request for TLS with byte {other:#04x}, as no PostgreSQL server does"
        ))),
    }
}
