//! Checks whether a port speaks TNS without TLS.
//!
//! A listener without TLS does not report that when it gets a TLS ClientHello. It closes the
//! connection, or waits for the rest of a packet that it takes for a long one. But it answers a
//! TNS packet without TLS, which shows that it does not use TLS.

use std::time::Duration;

use rotation_database::dial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// The timeout for the answer.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(800);

/// The types of packets with which a listener answers CONNECT: ACCEPT, REFUSE, REDIRECT, RESEND.
const ANSWER_TYPES: [u8; 4] = [2, 4, 5, 11];

/// The offset of the data in a CONNECT packet, after its fields.
const OFFSET: u16 = 58;

/// Returns a CONNECT packet without credentials, for a service that does not exist.
fn connect_packet() -> Vec<u8> {
    const DATA: &[u8] =
        b"(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=secrets-rotation-probes-for-tls)))";
    let data_length = u16::try_from(DATA.len()).unwrap_or(0);
    let mut packet = Vec::new();
    packet.extend((OFFSET + data_length).to_be_bytes());
    // The checksum, the type CONNECT, the flags and the checksum of the header.
    packet.extend([0, 0, 1, 0, 0, 0]);
    // The version 3.14, which is compatible with 3.0, the options, and the sizes of the session
    // data unit and the transport data unit.
    for number in [0x013a_u16, 0x012c, 0, 8192, 0x7fff] {
        packet.extend(number.to_be_bytes());
    }
    // The protocol characteristics, the line turnaround, and the number 1 in the client's byte
    // order.
    packet.extend([0x4f, 0x98, 0, 0, 0, 1]);
    packet.extend(data_length.to_be_bytes());
    packet.extend(OFFSET.to_be_bytes());
    packet.resize(usize::from(OFFSET), 0);
    packet.extend(DATA);
    packet
}

/// Returns `true` if the port answers a CONNECT packet without TLS as an Oracle listener does.
pub(crate) async fn speaks_tns_without_tls(host: &str, port: u16) -> bool {
    let ask = async {
        let mut stream = dial(host, port).await.ok()?;
        stream.write_all(&connect_packet()).await.ok()?;
        let mut header = [0; 8];
        stream.read_exact(&mut header).await.ok()?;
        Some(ANSWER_TYPES.contains(&header[4]))
    };
    timeout(ANSWER_TIMEOUT, ask).await.ok().flatten().unwrap_or(false)
}
