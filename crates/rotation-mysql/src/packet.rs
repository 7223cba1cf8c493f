//! Sends and receives the packets of a login, one at a time.
//!
//! A [MySQL packet][packet] has a length of three bytes, a sequence number and a payload.
//!
//! This crate does not use the codec of the crate `mysql_common` (0.38), because a login must
//! reject everything that it does not understand. That codec parses leniently, and its greeting
//! parser overflows on a hostile length.
//!
//! [packet]: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_packets.html

use std::io::ErrorKind;

use rotation_database::LoginError;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// The maximum length of a packet's payload during a login. The longest one contains a public key.
pub(crate) const LONGEST: usize = 16 * 1024;
const HEADER: usize = 4;

/// The packets of one login, in both directions.
pub(crate) struct Packets<S> {
    pub(crate) stream: S,
    sequence: u8,
}

impl<S> Packets<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, sequence: 0 }
    }

    /// Takes the stream out, so that another one can wrap it.
    pub(crate) fn take(self) -> (S, Packets<()>) {
        (self.stream, Packets { stream: (), sequence: self.sequence })
    }

    /// Continues the sequence numbers over another stream.
    pub(crate) fn over<T>(self, stream: T) -> Packets<T> {
        Packets { stream, sequence: self.sequence }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Packets<S> {
    /// Receives the payload of the next packet. Reads no byte beyond its end.
    pub(crate) async fn receive(&mut self) -> Result<Vec<u8>, LoginError> {
        let mut header = [0; HEADER];
        self.stream.read_exact(&mut header).await.map_err(|error| broken(&error))?;
        let [a, b, c, sequence] = header;
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        if length == 0 || length > LONGEST {
            return Err(LoginError::protocol(format!("packet of {length} bytes during the login")));
        }
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await.map_err(|error| broken(&error))?;
        // Proxies number error packets in other ways. An error ends the login in any case.
        if sequence != self.sequence && payload[0] != ERROR {
            return Err(LoginError::protocol(format!(
                "packet with sequence number {sequence} instead of {}",
                self.sequence
            )));
        }
        self.sequence = sequence.wrapping_add(1);
        Ok(payload)
    }

    /// Sends a packet with this payload.
    pub(crate) async fn send(&mut self, payload: &[u8]) -> Result<(), LoginError> {
        let packet = framed(payload, self.sequence);
        self.sequence = self.sequence.wrapping_add(1);
        self.stream.write_all(&packet).await.map_err(|error| broken(&error))?;
        self.stream.flush().await.map_err(|error| broken(&error))
    }
}

/// The first byte of an error packet.
pub(crate) const ERROR: u8 = 0xff;

/// Returns a packet: the payload after its header.
pub(crate) fn framed(payload: &[u8], sequence: u8) -> Zeroizing<Vec<u8>> {
    // This crate creates all payloads, and they are shorter than LONGEST.
    let [a, b, c, _] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut packet = Zeroizing::new(Vec::with_capacity(HEADER + payload.len()));
    packet.extend([a, b, c, sequence]);
    packet.extend(payload);
    packet
}

fn broken(error: &std::io::Error) -> LoginError {
    match error.kind() {
        ErrorKind::UnexpectedEof => LoginError::Network {
            message: "the server closed the connection during the login".into(),
        },
        _ => LoginError::from_io(error),
    }
}

/// A parser of a payload's fields, which reads from the start.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    /// Returns the field up to the next zero byte, without that byte.
    pub(crate) fn until_zero(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let bytes = self.bytes(end)?;
        self.bytes(1)?;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn received(bytes: &[u8]) -> Result<Vec<u8>, LoginError> {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(bytes).await.unwrap();
        far.shutdown().await.unwrap();
        Packets::new(near).receive().await
    }

    #[tokio::test]
    async fn only_complete_packets_in_order_are_received() {
        assert_eq!(received(b"\x02\0\0\0ab").await, Ok(b"ab".to_vec()));
        for (bytes, reason) in [
            (&b"\x02\0\0\x01ab"[..], "packet with sequence number 1 instead of 0"),
            (b"\0\0\0\0", "packet of 0 bytes"),
            (b"\x01\x40\0\0", "packet of 16385 bytes"),
            (b"\xff\xff\xff\0", "packet of 16777215 bytes"),
            (b"\x02\0\0\0a", "closed the connection"),
            (b"\x02\0", "closed the connection"),
        ] {
            let error = received(bytes).await.unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        // An error packet may have any sequence number.
        assert!(received(b"\x01\0\0\x07\xff").await.is_ok());
    }
}
