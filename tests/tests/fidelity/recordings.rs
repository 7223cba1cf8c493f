//! Recorded traffic of real servers (`tests/fidelity/recorded`): the fake servers answer the
//! recorded requests like the real server did, and our driver reads the recorded answers.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rotation_tests::child_process::text;
use rotation_tests::judges::script;
use rotation_tests::oracle::FakeServer;
use rotation_tests::tool;
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tokio_util::compat::TokioAsyncWriteCompatExt;

/// The type of a packet that ends a message.
const END_OF_MESSAGE: u8 = 1;

fn replay(arguments: &[&str]) -> Result<()> {
    let done = Command::new(tool("python"))
        .arg("-B")
        .arg(script("recorded_traffic.py"))
        .args(arguments)
        .output()?;
    let output = text(&done);
    ensure!(done.status.success(), "{output}");
    println!("{output}");
    Ok(())
}

#[test]
fn sql_server_requests_get_recorded_tokens() -> Result<()> {
    replay(&["sqlserver"])
}

#[tokio::test]
async fn oracle_handshake_gets_recorded_packets() -> Result<()> {
    let fake = FakeServer::start(None, &["--sid", "free"]).await?;
    replay(&["oracle", &fake.target.port.to_string()])
}

/// Returns the recorded answers of a real SQL Server.
fn answers() -> Result<Vec<Vec<u8>>> {
    let text = std::fs::read_to_string(script("recorded/sqlserver.txt"))?;
    let mut answers = Vec::new();
    let mut is_answer = false;
    for line in text.lines() {
        if let Some(digits) = line.strip_prefix("  ") {
            if is_answer {
                let bytes = (0..digits.len())
                    .step_by(2)
                    .map(|at| u8::from_str_radix(&digits[at..at + 2], 16));
                let last: &mut Vec<u8> = answers.last_mut().context("no answer")?;
                last.extend(bytes.collect::<Result<Vec<_>, _>>()?);
            }
        } else if line == "answer" || line == "request" {
            is_answer = line == "answer";
            if is_answer {
                answers.push(Vec::new());
            }
        }
    }
    Ok(answers)
}

/// Reads all packets of a message.
fn read_message(stream: &mut TcpStream) -> std::io::Result<()> {
    loop {
        let mut head = [0; 8];
        stream.read_exact(&mut head)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let mut body = vec![0; length - head.len()];
        stream.read_exact(&mut body)?;
        if head[1] & END_OF_MESSAGE != 0 {
            return Ok(());
        }
    }
}

/// Returns an answer as one packet.
fn packet(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 8).unwrap_or_default().to_be_bytes();
    [&[4, END_OF_MESSAGE, length[0], length[1], 0, 0, 1, 0], body].concat()
}

/// Accepts every login without TLS, and then answers each request with the next recorded answer.
/// The recording has no login, so the tokens of the login are written here.
fn serve(listener: &TcpListener, answers: &[Vec<u8>]) -> std::io::Result<()> {
    let (mut stream, _) = listener.accept()?;
    read_message(&mut stream)?;
    // The options are the version, and 2, which means that the server does not encrypt.
    let prelogin = [0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 10, 50, 0, 0, 0, 0, 2];
    stream.write_all(&packet(&prelogin))?;
    read_message(&mut stream)?;
    // LOGINACK with TDS 7.3 and no name, and DONE.
    let mut login = vec![0xad, 10, 0, 1, 0x73, 0x0b, 0, 3, 0, 10, 50, 0, 0];
    login.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    stream.write_all(&packet(&login))?;
    for answer in answers {
        read_message(&mut stream)?;
        stream.write_all(answer)?;
    }
    Ok(())
}

#[tokio::test]
async fn driver_reads_recorded_sql_server_answers() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let answers = answers()?;
    let count = answers.len();
    let server = std::thread::spawn(move || serve(&listener, &answers));
    let mut config = Config::new();
    config.host("127.0.0.1");
    config.port(port);
    config.authentication(AuthMethod::sql_server("user", "password"));
    config.encryption(EncryptionLevel::NotSupported);
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let mut client = Box::pin(Client::connect(config, stream.compat_write())).await?;
    let mut rows = Vec::new();
    for _ in 0..count {
        rows.extend(client.simple_query("SELECT 1").await?.into_results().await?);
    }
    // Only one of the recorded requests is a query, and its table has three equal rows.
    ensure!(rows.len() == 1 && rows[0].len() == 3, "{rows:?}");
    for row in &rows[0] {
        for (column, text) in [("column1", "first"), ("column2", "second"), ("column3", "third")] {
            ensure!(row.get::<&str, _>(column).map(str::trim_end) == Some(text), "{row:?}");
        }
    }
    server.join().map_err(|_| anyhow::anyhow!("the server panicked"))??;
    Ok(())
}
