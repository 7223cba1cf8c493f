//! Whether a port speaks TNS in clear.
//!
//! A listener without TLS does not say so when it gets a TLS hello: it hangs up, or waits for more
//! of what it takes for a long packet. Asked in its own protocol, it answers: that is its own word
//! that it has no TLS.

use std::time::Duration;

use rotation_database::dial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// How long the answer may take.
const ANSWER: Duration = Duration::from_millis(800);

/// Types of packets by which a listener answers CONNECT: ACCEPT, REFUSE, REDIRECT, RESEND.
const ANSWERS: [u8; 4] = [2, 4, 5, 11];

/// Behind the fields of a CONNECT packet, its data.
const OFFSET: u16 = 58;

/// A CONNECT packet without credentials, for a service that nobody has.
fn connect_packet() -> Vec<u8> {
    const DATA: &[u8] =
        b"(DESCRIPTION=(CONNECT_DATA=(SERVICE_NAME=secrets-rotation-asks-for-tls)))";
    let data_length = u16::try_from(DATA.len()).unwrap_or(0);
    let mut packet = Vec::new();
    packet.extend((OFFSET + data_length).to_be_bytes());
    // Checksum; type CONNECT; flags; checksum of the header.
    packet.extend([0, 0, 1, 0, 0, 0]);
    // Version 3.14, compatible with 3.0; options; sizes of the session and the transport data
    // units.
    for number in [0x013a_u16, 0x012c, 0, 8192, 0x7fff] {
        packet.extend(number.to_be_bytes());
    }
    // Characteristics; line turnaround; the number 1 in this machine's order.
    packet.extend([0x4f, 0x98, 0, 0, 0, 1]);
    packet.extend(data_length.to_be_bytes());
    packet.extend(OFFSET.to_be_bytes());
    packet.resize(usize::from(OFFSET), 0);
    packet.extend(DATA);
    packet
}

/// Returns `true` if what listens there answers a CONNECT in clear as a listener does.
pub(crate) async fn speaks_tns_in_clear(host: &str, port: u16) -> bool {
    let ask = async {
        let mut stream = dial(host, port).await.ok()?;
        stream.write_all(&connect_packet()).await.ok()?;
        let mut header = [0; 8];
        stream.read_exact(&mut header).await.ok()?;
        Some(ANSWERS.contains(&header[4]))
    };
    timeout(ANSWER, ask).await.ok().flatten().unwrap_or(false)
}
