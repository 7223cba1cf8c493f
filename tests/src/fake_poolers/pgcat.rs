//! pgcat in front of PostgreSQL.
//!
//! The messages were recorded from pgcat 1.3.0 (commit 5b038813) in front of PostgreSQL 15: the
//! request for an MD5 password, the answer to a login, and all errors. The parameters in the answer
//! are those of the server. `BackendKeyData` is random, so it never has the server's process ID.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rotation_database::Password;
use rotation_postgres::{Encryption, verifier};
use test_servers::Certificates;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::proxy::tls_acceptor;

/// The state of the pool in front of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// The pool gives each client a connection to the server.
    Ready,
    /// No connection to the server was possible since pgcat has started.
    Down,
    /// Other clients use all connections to the server.
    Full,
}

/// The configuration of pgcat.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// The port of a server on localhost that trusts all clients, so that it accepts pgcat's copies
    /// of the passwords.
    pub server: u16,
    /// The database of the pool.
    pub database: String,
    /// The users of the pool, with pgcat's own copies of their passwords.
    pub users: Vec<(String, String)>,
    /// The state of the pool.
    pub pool: Pool,
}

/// The salt of the request for an MD5 password. A real one has four random bytes.
const SALT: &str = "salt";
/// The process ID and the key for cancel requests, which pgcat generates for each client.
const BACKEND_KEY: [u8; 8] = [0x9d, 0x4f, 0x1c, 0x22, 0x51, 0xa7, 0x03, 0x7e];
const READY: &[u8] = b"Z\0\0\0\x05I";

/// Starts pgcat and returns its port on localhost.
///
/// # Errors
/// Returns an error if no port is available, or the certificate cannot be used.
pub async fn start(configuration: Configuration, certificates: &Certificates) -> Result<u16> {
    let acceptor = tls_acceptor(certificates)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let configuration = Arc::new(configuration);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let (acceptor, configuration) = (acceptor.clone(), Arc::clone(&configuration));
            tokio::spawn(async move {
                let mut request = [0; 8];
                client.read_exact(&mut request).await?;
                client.write_all(b"S").await?;
                let client = acceptor.accept(client).await?;
                serve(client, &configuration).await
            });
        }
    });
    Ok(port)
}

async fn serve(
    mut client: impl AsyncRead + AsyncWrite + Unpin,
    configuration: &Configuration,
) -> Result<()> {
    let startup = read_startup(&mut client).await?;
    let parameter = |name: &str| {
        startup.iter().position(|text| text == name).and_then(|at| startup.get(at + 1)).cloned()
    };
    let user = parameter("user").context("no user")?;
    let database = parameter("database").context("no database")?;
    let known = configuration.users.iter().find(|(name, _)| *name == user);
    let Some((_, password)) = known.filter(|_| database == configuration.database) else {
        let text = format!("No pool configured for database: {database:?}, user: {user:?}");
        client.write_all(&[&error("58000", &text), READY].concat()).await?;
        return Ok(client.shutdown().await?);
    };

    client.write_all(&message(b'R', &[&[0, 0, 0, 5], SALT.as_bytes()].concat())).await?;
    let (_, answer) = read_message(&mut client).await?;
    if answer != md5_answer(&user, password)? {
        let text = format!("password authentication failed for user \"{user}\"");
        client.write_all(&error("28P01", &text)).await?;
        return Ok(client.shutdown().await?);
    }
    if configuration.pool == Pool::Down {
        let text = format!("Pool down for database: {database:?}, user: {user:?}");
        client.write_all(&[&error("58000", &text), READY].concat()).await?;
        return Ok(client.shutdown().await?);
    }

    let mut server = TcpStream::connect(("127.0.0.1", configuration.server)).await?;
    let body = format!("user\0{user}\0database\0{database}\0client_encoding\0UTF8\0\0");
    let length = u32::try_from(body.len() + 8)?.to_be_bytes();
    server.write_all(&[&length[..], &[0, 3, 0, 0], body.as_bytes()].concat()).await?;
    let mut started = message(b'R', &[0; 4]);
    loop {
        match read_message(&mut server).await? {
            (kind @ b'S', body) => started.extend(message(kind, &body)),
            (b'Z', _) => break,
            (b'E', body) => bail!("{}", String::from_utf8_lossy(&body)),
            _ => {}
        }
    }
    started.extend(message(b'K', &BACKEND_KEY));
    started.extend(READY);
    client.write_all(&started).await?;
    if configuration.pool == Pool::Full {
        while let Ok((b'Q', _)) = read_message(&mut client).await {
            let text = "could not get connection from the pool - AllServersDown";
            client.write_all(&[&error("58000", text), READY].concat()).await?;
        }
        return Ok(());
    }
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

/// Reads a startup message and returns its parameters: names and values in turn.
async fn read_startup(client: &mut (impl AsyncRead + Unpin)) -> Result<Vec<String>> {
    let length = client.read_u32().await?;
    let mut body = vec![0; length.saturating_sub(4) as usize];
    client.read_exact(&mut body).await?;
    let texts = body.get(4..).context("no parameters")?.split(|byte| *byte == 0);
    Ok(texts.map(|text| String::from_utf8_lossy(text).into_owned()).collect())
}

async fn read_message(stream: &mut (impl AsyncRead + Unpin)) -> Result<(u8, Vec<u8>)> {
    let kind = stream.read_u8().await?;
    let length = stream.read_u32().await?;
    let mut body = vec![0; length.saturating_sub(4) as usize];
    stream.read_exact(&mut body).await?;
    Ok((kind, body))
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes();
    [&[kind], &length[..], body].concat()
}

/// Returns an error of pgcat, which has no other fields.
fn error(code: &str, text: &str) -> Vec<u8> {
    message(b'E', format!("SFATAL\0VFATAL\0C{code}\0M{text}\0\0").as_bytes())
}

/// Returns the answer of a client that knows the password.
fn md5_answer(user: &str, password: &str) -> Result<Vec<u8>> {
    let hash = |text: &str, salt: &str| {
        let hash = verifier(salt, &Password::new(text), Encryption::Md5);
        hash.map_err(anyhow::Error::msg)
    };
    let stored = hash(password, user)?;
    let answer = hash(stored.trim_start_matches("md5"), SALT)?;
    Ok([answer.as_bytes(), &[0]].concat())
}
