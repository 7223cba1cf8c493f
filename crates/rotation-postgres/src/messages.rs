//! The [messages](https://www.postgresql.org/docs/current/protocol-message-formats.html) of a login
//! and of simple statements.
//!
//! The framing is our own, although the crate `postgres-protocol` has one. That one parses a
//! growing buffer, which may hold bytes that belong to the driver; it bounds no length; it returns
//! parsed messages, of which the driver needs the bytes; and it writes passwords into buffers that
//! are not overwritten. [`Message::receive`] and [`framed`], which it would replace, are shorter
//! than the code around it would be.

use std::io::{self, ErrorKind};

use rotation_database::{APPLICATION, LoginError, mask};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use zeroize::Zeroizing;

/// No message that is waited for is longer.
pub(crate) const LONGEST: usize = 64 * 1024;
const PROTOCOL_3_0: u32 = 3 << 16;
/// What is no less may be words.
const FOUR_SPACES: usize = 0x2020_2020;

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
        let Some(rest) = length.checked_sub(4).filter(|rest| *rest <= LONGEST) else {
            return Err(match kind {
                // In the oldest form, words without a length: the server could not even begin.
                b'E' if length >= FOUR_SPACES => {
                    LoginError::Network { message: "the server cannot take the connection".into() }
                }
                _ => does_not_belong(),
            });
        };
        let mut body = vec![0; rest];
        stream.read_exact(&mut body).await.map_err(broken)?;
        Ok(Self { kind, body })
    }

    /// As it was sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        framed(self.kind, &self.body).to_vec()
    }
}

/// The fields of a row, as texts.
pub(crate) fn texts(row: &[u8]) -> Option<Vec<Option<String>>> {
    let (count, mut rest) = row.split_first_chunk()?;
    let mut texts = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, behind) = rest.split_first_chunk()?;
        // Less than nothing is NULL.
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

/// A connection that breaks.
pub(crate) fn broken(error: io::Error) -> LoginError {
    match error.kind() {
        ErrorKind::UnexpectedEof => LoginError::Network { message: "the server hangs up".into() },
        _ => LoginError::from_io(&error),
    }
}

pub(crate) fn does_not_belong() -> LoginError {
    LoginError::protocol("it says something that does not belong there")
}

/// Reads messages as they were sent, each with its kind and its body, up to the first incomplete
/// one.
fn complete(mut messages: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let ([kind, length @ ..], rest) = messages.split_first_chunk::<5>()?;
        let length = (u32::from_be_bytes(*length) as usize).checked_sub(4)?;
        let (body, next) = rest.split_at_checked(length)?;
        messages = next;
        Some((*kind, body))
    })
}

/// The value of a parameter that the server reports (`ParameterStatus`), in messages as they were
/// sent.
pub(crate) fn parameter(messages: &[u8], name: &[u8]) -> Option<String> {
    for (kind, body) in complete(messages) {
        let mut texts = body.split(|byte| *byte == 0);
        if kind == b'S' && texts.next() == Some(name) {
            return texts.next().map(|value| String::from_utf8_lossy(value).into_owned());
        }
    }
    None
}

/// The process of `BackendKeyData`, in messages as they were sent.
pub(crate) fn backend_process(messages: &[u8]) -> Option<u32> {
    let (_, body) = complete(messages).find(|(kind, _)| *kind == b'K')?;
    body.first_chunk().map(|process| u32::from_be_bytes(*process))
}

/// `server_version_num` of a `server_version`: 15.4, 18beta1, 9.6.24.
pub(crate) fn version_number(text: &str) -> u32 {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let mut numbers = text[..end].split('.').map(|number| number.parse().unwrap_or(0u32).min(999));
    let mut next = || numbers.next().unwrap_or(0);
    match (next(), next()) {
        (major, minor) if major >= 10 => major * 10_000 + minor,
        (major, minor) => major * 10_000 + minor * 100 + next(),
    }
}

pub(crate) async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
) -> Result<(), LoginError> {
    stream.write_all(bytes).await.map_err(broken)?;
    stream.flush().await.map_err(broken)
}

/// A message of this side.
pub(crate) fn framed(kind: u8, body: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut bytes = Vec::with_capacity(5 + body.len());
    bytes.push(kind);
    bytes.extend(length(4 + body.len()));
    bytes.extend(body);
    Zeroizing::new(bytes)
}

/// The message that begins a session. Poolers refuse parameters that they do not know: these are
/// the usual ones.
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

/// Why a server refuses.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// [SQLSTATE](https://www.postgresql.org/docs/current/errcodes-appendix.html).
    pub code: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
    /// The schema of what it is about.
    pub schema: Option<String>,
    /// The routine of the server that says so: unlike the words, its name is never translated.
    pub routine: Option<String>,
}

impl Refusal {
    /// The server's message and details, masked.
    pub(crate) fn message(&self) -> String {
        let words = [Some(self.message.as_str()), self.detail.as_deref()];
        mask(&words.into_iter().flatten().collect::<Vec<_>>().join(": ")).into_owned()
    }

    /// Returns `true` if an error that answers a password, or a proof of it, means that it is
    /// wrong.
    ///
    /// PostgreSQL reports that as 28P01. Poolers do not: pgbouncer reports 08P01 (protocol
    /// violation) for all that it does not like, with the server's own refusals among them, so only
    /// its texts for a wrong password count; others report 28000. An error with a routine is
    /// PostgreSQL's, whose codes are exact.
    pub(crate) fn is_of_password(&self) -> bool {
        const OF_PGBOUNCER: [&str; 3] =
            ["password authentication failed", "SASL authentication failed", "auth failed"];
        match self.code.as_str() {
            "28P01" => true,
            "08P01" => OF_PGBOUNCER.iter().any(|text| self.message.starts_with(text)),
            code => self.routine.is_none() && code.starts_with("28"),
        }
    }

    /// Reads an
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
    fn a_refusal_is_told_by_its_fields() {
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
            assert_eq!(refusal.is_of_password(), expected, "{code} {message}");
        }
    }

    #[test]
    fn a_server_s_version_is_read_in_all_its_forms() {
        let message =
            b"R\0\0\0\x08\0\0\0\0S\0\0\0\x08a\0b\0S\0\0\0\x18server_version\x0015.4\0Z\0\0\0\x05I";
        assert_eq!(parameter(message, b"server_version").as_deref(), Some("15.4"));
        assert_eq!(parameter(message, b"server"), None);
        assert_eq!(parameter(&message[..30], b"server_version"), None);
        assert_eq!(parameter(b"S\0\0\0\x03", b""), None);
        for (text, number) in [
            ("15.4 (Debian 15.4-1)", 150_004),
            ("18.1", 180_001),
            ("18beta1", 180_000),
            ("10devel", 100_000),
            ("9.6.24", 90_624),
            ("", 0),
            ("4000000000", 9_990_000),
        ] {
            assert_eq!(version_number(text), number, "{text}");
        }
    }

    #[test]
    fn a_row_is_read_whole_or_not_at_all() {
        let row = b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0";
        assert_eq!(texts(row), Some(vec![Some("ab".into()), None, Some(String::new())]));
        assert_eq!(texts(b"\0\0"), Some(Vec::new()));
        for end in 0..row.len() {
            assert_eq!(texts(&row[..end]), None);
        }
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
