//! What a PostgreSQL server asks for during a login, read from its side of an unencrypted connection.

use rotation_database::{Verdict, Watch};

/// Follows the [messages](https://www.postgresql.org/docs/current/protocol-message-formats.html) of a server until
/// the login is over.
#[derive(Debug, Default)]
pub(crate) struct LoginWatch {
    pending: Vec<u8>,
}

/// No message of a login is longer.
const LONGEST: usize = 64 * 1024;
const UNKNOWN: &str = "something that belongs to no login";

impl Watch for LoginWatch {
    fn server_sent(&mut self, bytes: &[u8]) -> Verdict {
        self.pending.extend_from_slice(bytes);
        loop {
            let (kind, length) = match self.pending.get(..5) {
                Some(&[kind, a, b, c, d]) => (kind, u32::from_be_bytes([a, b, c, d]) as usize),
                _ => return Verdict::Watching,
            };
            if !(4..=LONGEST).contains(&length) {
                return Verdict::Readable(UNKNOWN);
            }
            let Some(message) = self.pending.get(5..=length) else {
                return Verdict::Watching;
            };
            let code = message.first_chunk().map(|code| u32::from_be_bytes(*code));
            match (kind, code) {
                (b'E', _) | (b'R', Some(0)) => return Verdict::Over,
                (b'R', Some(3)) => return Verdict::Readable("the password in clear text"),
                // A recorded MD5 answer is tried out against word lists, and replayed to a server of the same salt.
                (b'R', Some(5)) => return Verdict::Readable("an MD5 password"),
                // SASL; and what a server may say at any time: notices, parameters, its protocol version. The driver
                // skips those and goes on waiting for a request.
                (b'R', Some(10..=12)) | (b'N' | b'S' | b'v' | b'A', _) => {}
                // Nothing else belongs here, and an answer to it could be anything.
                _ => return Verdict::Readable(UNKNOWN),
            }
            self.pending.drain(..=length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(code: u32, rest: &[u8]) -> Vec<u8> {
        let length = 8 + u32::try_from(rest.len()).unwrap();
        [&[b'R'][..], &length.to_be_bytes(), &code.to_be_bytes(), rest].concat()
    }

    #[test]
    fn a_request_for_a_readable_password_is_seen_however_it_is_cut() {
        let scram = request(10, b"SCRAM-SHA-256\0\0");
        let parameter = b"S\0\0\0\x08a\0b\0".to_vec();
        let notice = b"N\0\0\0\x05\0".to_vec();
        let first = [&scram, &parameter, &notice, &Vec::new()];
        let then = [(3, &[][..], true), (5, &[1, 2, 3, 4], true), (0, &[], false)];
        for (first, (code, rest, readable)) in first.iter().flat_map(|first| then.map(|then| (first, then))) {
            let bytes = [first.as_slice(), &request(code, rest)].concat();
            for size in 1..=bytes.len() {
                let mut watch = LoginWatch::default();
                let verdict = bytes.chunks(size).map(|chunk| watch.server_sent(chunk)).last().unwrap();
                assert_eq!(matches!(verdict, Verdict::Readable(_)), readable, "{code} in pieces of {size}");
            }
        }
    }

    #[test]
    fn an_error_ends_the_watch() {
        assert_eq!(LoginWatch::default().server_sent(b"E\0\0\0\x0cwhatever"), Verdict::Over);
    }

    #[test]
    fn what_belongs_to_no_login_ends_the_connection() {
        for bytes in [&b"T\0\0\0\x04"[..], b"R\0\0\0\x08\0\0\0\x07", b"S\xff\0\0\0", b"R\0\0\0\0"] {
            assert!(matches!(LoginWatch::default().server_sent(bytes), Verdict::Readable(_)), "{bytes:?}");
        }
    }
}
