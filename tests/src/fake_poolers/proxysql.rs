//! ProxySQL in front of MySQL or MariaDB.
//!
//! The messages are those of ProxySQL 2.7.1 (commit 2726c277), as its source code writes them
//! (`lib/MySQL_Protocol.cpp` and `lib/MySQL_Session.cpp`). The program itself was not run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use test_servers::Certificates;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::proxy::tls_acceptor;

/// The connection ID in the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbering {
    /// ProxySQL counts its clients from 1.
    Own,
    /// ProxySQL has by chance the same number as the server.
    AsServer,
}

/// The state of the servers behind ProxySQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Servers {
    /// The server accepts the password in `mysql_users`.
    Ready,
    /// The server rejects the password in `mysql_users`.
    RejectPassword,
    /// No server can be reached, or other clients use all connections to it.
    Down,
}

/// The configuration of ProxySQL.
#[derive(Debug, Clone, Copy)]
pub struct Configuration {
    /// The port of the server on localhost.
    pub server: u16,
    /// The connection ID in the greeting.
    pub numbering: Numbering,
    /// The state of the server.
    pub servers: Servers,
}

/// The default of `mysql-server_version`.
const VERSION: &str = "8.0.11";
/// The two halves of the capabilities, the character set and the status.
const CAPABILITIES_LOW: [u8; 2] = 0xfa2f_u16.to_le_bytes();
const CAPABILITIES_HIGH: [u8; 2] = 0x818f_u16.to_le_bytes();
const CHARACTER_SET_AND_STATUS: [u8; 3] = [33, 2, 0];
const PLUGIN: &str = "mysql_native_password";

const VERSION_COMMENT: &[u8] = b"\x03select @@version_comment limit 1";
/// The answer to [`VERSION_COMMENT`] for a client without and with `CLIENT_DEPRECATE_EOF`.
const VERSION_COMMENT_ANSWER: &[u8] = b"\x01\0\0\x01\x01\x27\0\0\x02\x03def\0\0\0\x11\
    @@version_comment\0\x0c\x21\0\x18\0\0\0\xfd\0\0\x1f\0\0\x05\0\0\x03\xfe\0\0\x02\0\x0b\0\0\x04\
    \x0a(ProxySQL)\x05\0\0\x05\xfe\0\0\x02\0";
const VERSION_COMMENT_ANSWER_WITHOUT_EOF: &[u8] = b"\x01\0\0\x01\x01\x27\0\0\x02\x03def\0\0\0\x11\
    @@version_comment\0\x0c\x21\0\x18\0\0\0\xfd\0\0\x1f\0\0\x0b\0\0\x03\x0a(ProxySQL)\
    \x07\0\0\x04\xfe\0\0\x02\0\0\0";
const DEPRECATE_EOF: u32 = 1 << 24;
const COM_QUERY: u8 = 3;
const ERROR: u8 = 0xff;
const ACCESS_DENIED: [u8; 2] = 1045_u16.to_le_bytes();

/// Starts ProxySQL and returns its port on localhost. `authority` is the CA of the server.
///
/// # Errors
/// Returns an error if no port is available, or a certificate cannot be used.
pub async fn start(
    configuration: Configuration,
    authority: &str,
    certificates: &Certificates,
) -> Result<u16> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let ends = (tls_acceptor(certificates)?, TlsConnector::from(Arc::new(client)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let clients = Arc::new(AtomicU32::new(1));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let number = clients.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(client, number, configuration, ends.clone()));
        }
    });
    Ok(port)
}

/// Relays one client. The client's answers are for the server's nonce, so the server itself checks
/// the password in place of `mysql_users`.
async fn serve(
    mut client: TcpStream,
    number: u32,
    configuration: Configuration,
    (acceptor, connector): (TlsAcceptor, TlsConnector),
) -> Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", configuration.server)).await?;
    let (_, greeting) = read_packet(&mut server).await?;
    client.write_all(&packet(0, &own_greeting(&greeting, number, configuration)?)).await?;
    let (sequence, request) = read_packet(&mut client).await?;
    server.write_all(&packet(sequence, &request)).await?;
    let mut client = acceptor.accept(client).await?;
    let mut server = connector.connect(ServerName::try_from("localhost")?, server).await?;

    let (sequence, response) = read_packet(&mut client).await?;
    let flags = response.first_chunk().map(|bytes| u32::from_le_bytes(*bytes)).context("flags")?;
    let name = response.get(32..).context("no user")?.split(|byte| *byte == 0).next();
    let user = String::from_utf8_lossy(name.unwrap_or_default()).into_owned();
    server.write_all(&packet(sequence, &response)).await?;
    loop {
        let (sequence, answer) = read_packet(&mut server).await?;
        if answer.first() == Some(&ERROR) && answer.get(1..3) == Some(&ACCESS_DENIED) {
            let text = format!(
                "ProxySQL Error: Access denied for user '{user}'@'127.0.0.1' (using password: YES)"
            );
            client.write_all(&packet(sequence, &error(1045, "28000", &text))).await?;
            return Ok(client.shutdown().await?);
        }
        client.write_all(&packet(sequence, &answer)).await?;
        match answer.first() {
            Some(0) => break,
            Some(&ERROR) => return Ok(client.shutdown().await?),
            // The result of the fast authentication of caching_sha2_password: an OK packet follows.
            Some(1) if answer.get(1) == Some(&3) => {}
            _ => {
                let (sequence, next) = read_packet(&mut client).await?;
                server.write_all(&packet(sequence, &next)).await?;
            }
        }
    }
    relay(client, server, configuration.servers, &user, flags & DEPRECATE_EOF != 0).await
}

/// Relays the statements of a client that has logged in.
async fn relay(
    client: impl AsyncRead + AsyncWrite + Send + 'static,
    server: impl AsyncRead + AsyncWrite + Send + 'static,
    servers: Servers,
    user: &str,
    deprecates_eof: bool,
) -> Result<()> {
    let (mut from_client, to_client) = tokio::io::split(client);
    let (mut from_server, mut to_server) = tokio::io::split(server);
    // The client waits for each answer, so only one of the two writes at a time.
    let to_client = Arc::new(Mutex::new(to_client));
    let answers = Arc::clone(&to_client);
    tokio::spawn(async move {
        let mut buffer = vec![0; 65536];
        while let Ok(count @ 1..) = from_server.read(&mut buffer).await {
            if answers.lock().await.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        let _ = answers.lock().await.shutdown().await;
    });
    loop {
        let (sequence, statement) = read_packet(&mut from_client).await?;
        let is_query = statement.first() == Some(&COM_QUERY);
        let answer = match servers {
            Servers::Down if is_query => {
                let text = "Max connect timeout reached while reaching hostgroup 0 after 10001ms";
                packet(1, &error(9001, "HY000", text))
            }
            Servers::RejectPassword if is_query => {
                let text =
                    format!("Access denied for user '{user}'@'localhost' (using password: YES)");
                packet(1, &error(1045, "28000", &text))
            }
            _ if statement == VERSION_COMMENT && deprecates_eof => {
                VERSION_COMMENT_ANSWER_WITHOUT_EOF.to_vec()
            }
            _ if statement == VERSION_COMMENT => VERSION_COMMENT_ANSWER.to_vec(),
            _ => {
                to_server.write_all(&packet(sequence, &statement)).await?;
                continue;
            }
        };
        to_client.lock().await.write_all(&answer).await?;
    }
}

/// Returns ProxySQL's greeting with the nonce of the server.
fn own_greeting(server: &[u8], number: u32, configuration: Configuration) -> Result<Vec<u8>> {
    let version = server.iter().position(|byte| *byte == 0).context("no version")?;
    let rest = server.get(version + 1..).context("no greeting")?;
    let field = |from: usize, to: usize| rest.get(from..to).context("the greeting is too short");
    let own = number.to_le_bytes();
    let number = match configuration.numbering {
        Numbering::Own => &own[..],
        Numbering::AsServer => field(0, 4)?,
    };
    Ok([
        &[10],
        VERSION.as_bytes(),
        &[0],
        number,
        field(4, 12)?,
        &[0],
        &CAPABILITIES_LOW,
        &CHARACTER_SET_AND_STATUS,
        &CAPABILITIES_HIGH,
        &[21],
        &[0; 10],
        field(31, 43)?,
        &[0],
        PLUGIN.as_bytes(),
        &[0],
    ]
    .concat())
}

fn error(number: u16, state: &str, text: &str) -> Vec<u8> {
    [&[ERROR][..], &number.to_le_bytes(), b"#", state.as_bytes(), text.as_bytes()].concat()
}

async fn read_packet(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>)> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await?;
    let [a, b, c, sequence] = header;
    let mut payload = vec![0; u32::from_le_bytes([a, b, c, 0]) as usize];
    stream.read_exact(&mut payload).await?;
    Ok((sequence, payload))
}

fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_le_bytes();
    [&length[..3], &[sequence], payload].concat()
}
