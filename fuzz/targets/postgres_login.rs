//! Fuzzes the server's side of a PostgreSQL login. The client must not send the password, or
//! anything that replaces it, without TLS.
//!
//! The first byte chooses the TLS policy. The other bytes are what the server sends. The first
//! `{nonce}` in them is replaced by the nonce that the client has sent, as in the answer of a real
//! server.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rotation_database::{CaCertificates, Engine as _, Login, Password, TlsUse};
use rotation_postgres::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

const PASSWORD: &str = "the-password";
const PLACEHOLDER: &[u8] = b"{nonce}";

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());
static CA_CERTIFICATES: LazyLock<CaCertificates> =
    LazyLock::new(|| CaCertificates::read(&|_| None).unwrap());

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// Sends the bytes of the fuzzer, and returns what the client has sent.
async fn serve(mut stream: TcpStream, data: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    let (before, after) = match find(data, PLACEHOLDER) {
        Some(at) => (&data[..at], Some(&data[at + PLACEHOLDER.len()..])),
        None => (data, None),
    };
    let _ = stream.write_all(before).await;
    if let Some(after) = after {
        // The client sends no nonce if it waits for more bytes.
        while find(&heard, b"n,,n=,r=").is_none() {
            match timeout(Duration::from_millis(5), stream.read_buf(&mut heard)).await {
                Ok(Ok(1..)) => {}
                _ => break,
            }
        }
        let nonce =
            find(&heard, b"n,,n=,r=").map(|at| heard[at + 8..].to_vec()).unwrap_or_default();
        let _ = stream.write_all(&[&nonce, after].concat()).await;
    }
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut heard).await;
    heard
}

/// Returns `true` if a first SCRAM message of the server requests enough iterations.
fn requests_enough_iterations(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data);
    let counts = text.split("i=").skip(1).map(|rest| {
        let digits = rest.trim_start_matches('+');
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse::<u32>().unwrap_or(0)
    });
    counts.into_iter().any(|count| count >= 4096)
}

fuzz_target!(|data: &[u8]| {
    let Some((policy, data)) = data.split_first() else { return };
    let tls = if policy % 2 == 0 { TlsUse::NotOffered } else { TlsUse::Off };
    RUNTIME.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let login = Login {
            host: "127.0.0.1",
            port: listener.local_addr().unwrap().port(),
            user: "u",
            password: &Password::new(PASSWORD),
            database: None,
            tls,
            authorities: &CA_CERTIFICATES,
        };
        let postgres = Postgres::default();
        let client = async { postgres.log_in(&login).await.is_ok() };
        let server = async { serve(listener.accept().await.unwrap().0, data).await };
        let (is_in, heard) = tokio::join!(client, server);
        if tls == TlsUse::NotOffered {
            // Without the password, no server can produce the last message of a SCRAM login.
            assert!(!is_in);
            assert!(find(&heard, PASSWORD.as_bytes()).is_none(), "the password");
            let is_hash = |part: &[u8]| {
                part.starts_with(b"md5") && part[3..].iter().all(u8::is_ascii_hexdigit)
            };
            assert!(!heard.windows(35).any(is_hash), "an MD5 answer");
            let sends_proof = find(&heard, b",p=").is_some();
            assert!(!sends_proof || requests_enough_iterations(data), "few iterations");
        }
    });
});
