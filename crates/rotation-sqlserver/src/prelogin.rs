//! Reads the encryption option in a server's answer to PRELOGIN, the first packet of a login.
//!
//! The format is in [MS-TDS 2.2.6.5].
//!
//! [MS-TDS 2.2.6.5]: https://learn.microsoft.com/openspecs/windows_protocols/ms-tds/60f56408-0188-4cd5-8b90-25c6f2423868

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The header of a TDS packet, in bytes.
const HEADER: usize = 8;
/// The maximum number of bytes that are kept, which is more than any server's answer.
const MOST: usize = 1024;
/// The option that contains the answer, and the end of the list of options.
const ENCRYPTION: u8 = 0x01;
const END: u8 = 0xff;

/// The server's answer about encryption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The server has sent nothing.
    Nothing,
    /// The server does not support encryption (`ENCRYPT_NOT_SUP`), or has turned it off
    /// (`ENCRYPT_OFF`).
    None,
    /// The server encrypts (`ENCRYPT_ON`).
    Encrypts,
    /// The server requires encryption (`ENCRYPT_REQ`).
    RequiredKeys,
    /// The server has sent data that has no valid encryption option.
    Unclear,
}

/// The first bytes that a server has sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<Vec<u8>>>);

impl Heard {
    pub(crate) fn answer(&self) -> Answer {
        let bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes.is_empty() { Answer::Nothing } else { read(&bytes).unwrap_or(Answer::Unclear) }
    }
}

fn read(packet: &[u8]) -> Option<Answer> {
    let payload = packet.get(HEADER..)?;
    let options = payload.chunks_exact(5).take_while(|option| option[0] != END);
    let option = options.into_iter().find(|option| option[0] == ENCRYPTION)?;
    let offset = usize::from(u16::from_be_bytes([option[1], option[2]]));
    Some(match payload.get(offset)? {
        0 | 2 => Answer::None,
        1 => Answer::Encrypts,
        3 => Answer::RequiredKeys,
        _ => Answer::Unclear,
    })
}

/// A connection that keeps the first bytes that it receives.
#[derive(Debug)]
pub(crate) struct RecordingStream<S> {
    stream: S,
    heard: Heard,
}

impl<S> RecordingStream<S> {
    pub(crate) fn to(stream: S) -> (Self, Heard) {
        let heard = Heard::default();
        (Self { stream, heard: heard.clone() }, heard)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RecordingStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let done = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let mut heard = this.heard.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = &buffer.filled()[before..];
        let room = MOST.saturating_sub(heard.len());
        heard.extend_from_slice(&new[..new.len().min(room)]);
        done
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RecordingStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_option_is_found_at_any_offset() {
        let packet = |encryption: u8| {
            // VERSION is at offset 11 and ENCRYPTION at 17.
            let options = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, END, 17, 0, 3, 232, 0, 0, encryption];
            [&[4, 1, 0, 26, 0, 0, 1, 0][..], &options].concat()
        };
        for (byte, answer) in [
            (0, Answer::None),
            (1, Answer::Encrypts),
            (2, Answer::None),
            (3, Answer::RequiredKeys),
            (9, Answer::Unclear),
        ] {
            assert_eq!(read(&packet(byte)), Some(answer));
        }
        assert_eq!(Heard::default().answer(), Answer::Nothing);
        for length in 0..packet(0).len() {
            assert_eq!(read(&packet(0)[..length]), None, "{length}");
        }
    }
}
