//! The [messages](https://www.postgresql.org/docs/current/protocol-message-formats.html) of a login
//! and of simple statements.
//!
//! This module has its own framing, although the crate `postgres-protocol` has one. That crate
//! parses a growing buffer, which may hold bytes that belong to the driver. It does not limit the
//! length of a message. It returns parsed messages, but the driver needs their bytes. It writes
//! passwords into buffers that are not zeroized. [`Message::receive`] and [`framed`], which it
//! would replace, are shorter than the code that would be needed around it.

use std::io::{self, ErrorKind};

use rotation_database::{APPLICATION, LoginError, mask};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// The maximum length of a message's body. All messages that a login waits for are shorter.
pub(crate) const LONGEST: usize = 64 * 1024;
const PROTOCOL_3_0: u32 = 3 << 16;
/// The smallest length that can be four printable characters.
const SMALLEST_TEXT_LENGTH: usize = 0x2020_2020;

/// A message from the server.
#[derive(Debug)]
pub(crate) struct Message {
    /// The first byte, which is the type of the message.
    pub kind: u8,
    pub body: Vec<u8>,
}

impl Message {
    /// Waits for the next message. Reads no byte beyond its end, because the driver needs the rest.
    pub(crate) async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Result<Self, LoginError> {
        let mut head = [0; 5];
        stream.read_exact(&mut head).await.map_err(broken)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        let Some(rest) = length.checked_sub(4).filter(|rest| *rest <= LONGEST) else {
            return Err(match kind {
                // The error format of protocol 2, a text without a length. The server uses it if it
                // cannot start a process for the connection.
                b'E' if length >= SMALLEST_TEXT_LENGTH => LoginError::Network {
                    message: "the server cannot accept the connection".into(),
                },
                _ => unexpected_message(),
            });
        };
        let mut body = vec![0; rest];
        stream.read_exact(&mut body).await.map_err(broken)?;
        Ok(Self { kind, body })
    }

    /// Returns the message as it was sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        framed(self.kind, &self.body).to_vec()
    }
}

/// Returns the fields of a row as texts, or `None` if the row is incomplete.
pub(crate) fn texts(row: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = row.split_first_chunk()?;
    let mut texts = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, behind) = rest.split_first_chunk()?;
        // A negative length means NULL.
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            rest = behind;
            texts.push(None);
            continue;
        };
        let (text, behind) = behind.split_at_checked(length)?;
        rest = behind;
        texts.push(Some(String::from_utf8_lossy(text).into_owned()));
    }
    Some(texts)
}

/// Maps an I/O error of the connection.
pub(crate) fn broken(error: io::Error) -> LoginError {
    match error.kind() {
        ErrorKind::UnexpectedEof => {
            LoginError::Network { message: "the server closed the connection".into() }
        }
        _ => LoginError::from_io(&error),
    }
}

pub(crate) fn unexpected_message() -> LoginError {
    LoginError::protocol("unexpected message from the server")
}

/// Iterates over messages as they were sent, up to the first incomplete one. Each item is the kind
/// and the body of a message.
fn complete(mut messages: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([kind, length @ ..], rest) = messages.split_first_chunk::<5>()?;
        let length = (u32::from_be_bytes(*length) as usize).checked_sub(4)?;
        let (body, next) = rest.split_at_checked(length)?;
        messages = next;
        Some((*kind, body))
    })
}

/// Returns the value of a parameter that the server reports (`ParameterStatus`) in messages as they
/// were sent.
pub(crate) fn parameter(messages: &[u8], name: &[u8]) -> Option<String> {
    for (kind, body) in complete(messages) {
        let mut texts = body.split(|byte| *byte == 0);
        if kind == b'S' && texts.next() == Some(name) {
            return texts.next().map(|value| String::from_utf8_lossy(value).into_owned());
        }
    }
    None
}

/// Returns the process ID of `BackendKeyData` in messages as they were sent.
pub(crate) fn backend_process(messages: &[u8]) -> Option<u32> {
    let (_, body) = complete(messages).find(|(kind, _)| *kind == b'K')?;
    body.first_chunk().map(|process| u32::from_be_bytes(*process))
}

/// Returns the `server_version_num` of a `server_version` such as 15.4, 18beta1 or 9.6.24, or
/// `None` if the text does not begin with a number.
pub(crate) fn version_number(text: &str) -> Option<u32> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut numbers = text[..end].split('.').map(|number| number.parse().ok());
    let mut next = || numbers.next().flatten().map(|number: u32| number.min(999));
    let (major, minor) = (next()?, next().unwrap_or_default());
    Some(match major {
        10.. => major * 10_000 + minor,
        _ => major * 10_000 + minor * 100 + next().unwrap_or_default(),
    })
}

pub(crate) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), LoginError> {
    stream.write_all(bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

/// Returns a message in the format of the protocol: the kind, the length and the body.
pub(crate) fn framed(kind: u8, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Vec::with_capacity(5 + body.len());
    bytes.push(kind);
    bytes.extend(length(4 + body.len()));
    bytes.extend(body);
    Zeroizing::new(bytes)
}

/// Returns the startup message, which begins a session. It has only common parameters, because
/// poolers reject parameters that they do not know.
pub(crate) fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = PROTOCOL_3_0.to_be_bytes().to_vec();
    for text in [
        "user",
        user,
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

/// An error from the server (`ErrorResponse`).
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The [SQLSTATE](https://www.postgresql.org/docs/current/errcodes-appendix.html) of the error:
    /// five characters that no locale changes.
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// The schema of the object that the error is about.
    pub schema: Option<String>,
    /// The server routine that reports the error. Unlike the message, it is never translated.
    pub routine: Option<String>,
}

impl Refusal {
    /// Returns the server's message and detail, redacted.
    pub(crate) fn message(&self) -> String {
        let words = [Some(self.message.as_str()), self.detail.as_deref()];
        mask(&words.into_iter().flatten().collect::<Vec<_>>().join(": ")).into_owned()
    }

    /// Returns `true` if this error, as the answer to a password or a proof of it, means that the
    /// password is wrong.
    ///
    /// PostgreSQL reports 28P01. Poolers do not: pgbouncer reports 08P01 (protocol violation) for
    /// all its errors, including errors of the server, so only its messages for a wrong password
    /// count. Other poolers report 28000. An error with a routine comes from PostgreSQL itself,
    /// whose codes are exact.
    pub(crate) fn is_wrong_password(&self) -> bool {
        const OF_PGBOUNCER: [&str; 3] =
            ["password authentication failed", "SASL authentication failed", "auth failed"];
        match self.code.as_str() {
            "28P01" => true,
            "08P01" => OF_PGBOUNCER.iter().any(|text| self.message.starts_with(text)),
            code => self.routine.is_none() && code.starts_with("28"),
        }
    }

    /// Parses the body of an
    /// [ErrorResponse](https://www.postgresql.org/docs/current/protocol-error-fields.html).
    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut refusal = Self::default();
        for field in body.split(|byte| *byte == 0) {
            let Some((kind, text)) = field.split_first() else { continue };
            let text = String::from_utf8_lossy(text).into_owned();
            match kind {
                b'C' => refusal.code = text,
                b'M' => refusal.message = text,
                b'D' => refusal.detail = Some(text),
                b'H' => refusal.hint = Some(text),
                b's' => refusal.schema = Some(text),
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
    fn error_response_is_parsed() {
        let refusal = Refusal::parse(b"SFATAL\0C28P01\0Mno \xff\0Rauth_failed\0\0");
        let expected = Refusal {
            code: "28P01".into(),
            message: "no \u{fffd}".into(),
            routine: Some("auth_failed".into()),
            ..Refusal::default()
        };
        assert_eq!(refusal, expected);
        assert_eq!(Refusal::parse(b""), Refusal::default());
    }

    #[test]
    fn only_errors_about_the_password_count_as_rejected() {
        for (code, message, routine, expected) in [
            ("28P01", "password authentication failed for user", Some("auth_failed"), true),
            ("28000", "no pg_hba.conf entry", Some("ClientAuthentication"), false),
            ("28000", "RADIUS authentication failed", Some("auth_failed"), false),
            ("28000", "wrong password", None, true),
            ("08P01", "SASL authentication failed", None, true),
            ("08P01", "password authentication failed", None, true),
            ("08P01", "too many connections for role \"app\"", None, false),
            ("08P01", "server login failed: FATAL too many connections", None, false),
            ("53300", "password authentication failed", None, false),
        ] {
            let refusal = Refusal {
                code: code.into(),
                message: message.into(),
                routine: routine.map(str::to_owned),
                ..Refusal::default()
            };
            assert_eq!(refusal.is_wrong_password(), expected, "{code} {message}");
        }
    }

    #[test]
    fn server_version_is_parsed_in_all_formats() {
        let message =
            b"R\0\0\0\x08\0\0\0\0S\0\0\0\x08a\0b\0S\0\0\0\x18server_version\x0015.4\0Z\0\0\0\x05I";
        assert_eq!(parameter(message, b"server_version").as_deref(), Some("15.4"));
        assert_eq!(parameter(message, b"server"), None);
        assert_eq!(parameter(&message[..30], b"server_version"), None);
        assert_eq!(parameter(b"S\0\0\0\x03", b""), None);
        for (text, number) in [
            ("15.4 (Debian 15.4-1)", Some(150_004)),
            ("18.1", Some(180_001)),
            ("18beta1", Some(180_000)),
            ("10devel", Some(100_000)),
            ("9.6.24", Some(90_624)),
            ("", None),
            ("development", None),
            ("4000000000", Some(9_990_000)),
        ] {
            assert_eq!(version_number(text), number, "{text}");
        }
    }

    #[test]
    fn incomplete_row_is_rejected() {
        let row = b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(texts(row), Some(vec![Some("ab".into()), None, Some(String::new())]));
        assert_eq!(texts(b"\0\0"), Some(Vec::new()));
        for end in 0..row.len() {
            assert_eq!(texts(&row[..end]), None);
        }
    }

    #[tokio::test]
    async fn message_is_read_to_its_end_only() {
        let mut bytes = &b"R\0\0\0\x08\0\0\0\0rest"[..];
        let message = Message::receive(&mut bytes).await.unwrap();
        assert_eq!((message.kind, &message.body[..], bytes), (b'R', &[0; 4][..], &b"rest"[..]));
        assert_eq!(message.bytes(), b"R\0\0\0\x08\0\0\0\0");
        for garbage in [&b"S\xff\0\0\0"[..], b"R\0\0\0\x03", b"R\0\0\0\x08\0", b""] {
            assert!(Message::receive(&mut &*garbage).await.is_err(), "{garbage:?}");
        }
    }
}
