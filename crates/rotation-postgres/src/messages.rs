//! The [messages](https://www.postgresql.org/docs/current/protocol-message-formats.html) of a login.

use std::io::{self, ErrorKind};

use rotation_database::{APPLICATION, Login, LoginError};
use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::Zeroizing;

/// No message of a login is longer.
pub(crate) const LONGEST: usize = 64 * 1024;
const PROTOCOL_3_0: u32 = 3 << 16;

/// What a server has sent.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its first byte.
    pub kind: u8,
    pub body: Vec<u8>,
}

impl Message {
    /// Waits for the next one and takes no byte more.
    pub(crate) async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, LoginError> {
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.map_err(broken)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        let Some(length) = length.checked_sub(4).filter(|length| *length <= LONGEST) else {
            return Err(match kind {
                // In the oldest form, words without a length: the server could not even begin.
                b'E' => LoginError::Network { said: "the server cannot take the connection".into() },
                _ => belongs_to_no_login(),
            });
        };
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.map_err(broken)?;
        Ok(Self { kind, body })
    }

    /// As it was sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        framed(self.kind, &self.body).to_vec()
    }
}

/// A connection that breaks during the login.
pub(crate) fn broken(error: io::Error) -> LoginError {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            LoginError::Network { said: "the server hangs up during the login".into() }
        }
        _ => LoginError::from_io(&error),
    }
}

pub(crate) fn belongs_to_no_login() -> LoginError {
    LoginError::protocol("it says something that belongs to no login of PostgreSQL")
}

/// A message of this side.
pub(crate) fn framed(kind: u8, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Vec::with_capacity(5 + body.len());
    bytes.push(kind);
    bytes.extend(length(4 + body.len()));
    bytes.extend(body);
    Zeroizing::new(bytes)
}

/// The message that begins a session. Poolers refuse parameters that they do not know: these are the usual ones.
pub(crate) fn startup(login: &Login<'_>, database: &str) -> Vec<u8> {
    let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
    for text in [
        "user",
        login.user,
        "database",
        database,
        "DateStyle",
        "ISO, MDY",
        "client_encoding",
        "UTF8",
        "TimeZone",
        "UTC",
        "application_name",
        APPLICATION,
    ] {
        body.extend(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    [&length(4 + body.len())[..], &body].concat()
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_be_bytes()
}

/// Why a server refuses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// [SQLSTATE](https://www.postgresql.org/docs/current/errcodes-appendix.html).
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    /// The routine of the server that says so: unlike the words, its name is never translated.
    pub routine: Option<String>,
}

impl Refusal {
    /// Reads an [ErrorResponse](https://www.postgresql.org/docs/current/protocol-error-fields.html).
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut refusal = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'C' => refusal.code = text,
                b'M' => refusal.message = text,
                b'D' => refusal.detail = Some(text),
                b'R' => refusal.routine = Some(text),
                _ => {}
            }
        }
        refusal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_its_fields() {
        let refusal = Refusal::parse(b"SFATAL\0C28P01\0Mno \xff\0Rauth_failed\0\0");
        let expected = Refusal {
            code: "28P01".into(),
            message: "no \u{fffd}".into(),
            detail: None,
            routine: Some("auth_failed".into()),
        };
        assert_eq!(refusal, expected);
        assert_eq!(Refusal::parse(b""), Refusal::default());
    }

    #[tokio::test]
    async fn a_message_is_read_to_its_end_and_no_further() {
        let mut bytes = &b"R\0\0\0\x08\0\0\0\0rest"[..];
        let message = Message::receive(&mut bytes).await.unwrap();
        assert_eq!((message.kind, &message.body[..], bytes), (b'R', &[0; 4][..], &b"rest"[..]));
        assert_eq!(message.bytes(), b"R\0\0\0\x08\0\0\0\0");
        for garbage in [&b"S\xff\0\0\0"[..], b"R\0\0\0\x03", b"R\0\0\0\x08\0", b""] {
            assert!(Message::receive(&mut &*garbage).await.is_err(), "{garbage:?}");
        }
    }
}
