//! What a PostgreSQL server asks for during a login, read from its side of an unencrypted connection.

use rotation_database::{Verdict, Watch};

/// Follows the [messages](https://www.postgresql.org/docs/current/protocol-message-formats.html) of a server until
/// the login is over.
#[derive(Debug, Default)]
pub(crate) struct LoginWatch {
    pending: Vec<u8>,
}

impl Watch for LoginWatch {
    fn server_sent(&mut self, bytes: &[u8]) -> Verdict {
        self.pending.extend_from_slice(bytes);
        loop {
            let (kind, length) = match self.pending.get(..5) {
                Some(&[kind, a, b, c, d]) => (kind, u32::from_be_bytes([a, b, c, d]) as usize),
                _ => return Verdict::Watching,
            };
            // An error ends the login; so does anything that is no authentication request.
            if kind != b'R' || length < 8 {
                return Verdict::Over;
            }
            let Some(message) = self.pending.get(5..=length) else {
                return Verdict::Watching;
            };
            let code = message.first_chunk().map_or(0, |code| u32::from_be_bytes(*code));
            match code {
                0 => return Verdict::Over,
                3 => return Verdict::Readable("the password in clear text"),
                // A recorded MD5 answer is tried out against word lists, and replayed to a server of the same salt.
                5 => return Verdict::Readable("an MD5 password"),
                _ => self.pending.drain(..=length),
            };
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
        for (code, rest, readable) in [(3, &[][..], true), (5, &[1, 2, 3, 4], true), (0, &[], false)] {
            let scram = request(10, b"SCRAM-SHA-256\0\0");
            let bytes = [scram, request(code, rest)].concat();
            for size in 1..=bytes.len() {
                let mut watch = LoginWatch::default();
                let verdict = bytes.chunks(size).map(|chunk| watch.server_sent(chunk)).last().unwrap();
                assert_eq!(matches!(verdict, Verdict::Readable(_)), readable, "{code} in pieces of {size}");
            }
        }
    }

    #[test]
    fn an_error_ends_the_watch() {
        assert_eq!(LoginWatch::default().server_sent(b"E\0\0\0\x10whatever"), Verdict::Over);
    }
}
