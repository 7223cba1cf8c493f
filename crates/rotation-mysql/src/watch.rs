//! What a MySQL server asks for during a login, read from its side of an unencrypted connection.
//!
//! [Connection phase](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html).

use rotation_database::{Verdict, Watch};

/// Follows the packets of a server until the login is over.
#[derive(Debug, Default)]
pub(crate) struct LoginWatch {
    pending: Vec<u8>,
}

const CLEAR_TEXT: &[u8] = b"mysql_clear_password";
const ASKED: &str = "the password in clear text";

impl Watch for LoginWatch {
    fn server_sent(&mut self, bytes: &[u8]) -> Verdict {
        self.pending.extend_from_slice(bytes);
        loop {
            let length = match self.pending.get(..4) {
                Some(&[a, b, c, _]) => u32::from_le_bytes([a, b, c, 0]) as usize,
                _ => return Verdict::Watching,
            };
            let Some(payload) = self.pending.get(4..4 + length) else { return Verdict::Watching };
            match payload.first() {
                // The greeting names the first plugin at its end, a switch right at its start.
                Some(0x0a | 0xfe) if payload.windows(CLEAR_TEXT.len()).any(|name| name == CLEAR_TEXT) => {
                    return Verdict::Readable(ASKED);
                }
                // More of the greeting or of a plugin's exchange.
                Some(0x0a | 0xfe | 0x01) => {}
                // OK, an error, or nothing that belongs to a login.
                _ => return Verdict::Over,
            }
            self.pending.drain(..4 + length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        [&length[..3], &[0], payload].concat()
    }

    #[test]
    fn clear_text_is_seen_in_the_greeting_and_in_a_switch_however_it_is_cut() {
        let greeting = |plugin: &[u8]| packet(&[b"\x0a9.7.4\0....", plugin, b"\0"].concat());
        let switch = |plugin: &[u8]| packet(&[b"\xfe", plugin, b"\0nonce"].concat());
        let native = b"mysql_native_password";
        for (bytes, readable) in [
            (greeting(CLEAR_TEXT), true),
            ([greeting(native), switch(CLEAR_TEXT)].concat(), true),
            ([greeting(native), packet(b"\0\0\0\x02\0\0\0")].concat(), false),
        ] {
            for size in 1..=bytes.len() {
                let mut watch = LoginWatch::default();
                let verdict = bytes.chunks(size).map(|chunk| watch.server_sent(chunk)).last().unwrap();
                assert_eq!(matches!(verdict, Verdict::Readable(_)), readable, "in pieces of {size}");
            }
        }
    }
}
