//! An RDS API for tests: the server of [moto](https://docs.getmoto.org), with a proxy that replaces
//! the addresses of its database servers with addresses of this machine.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_rds::Client;
use aws_sdk_rds::config::Credentials;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use test_servers::free_port;

use crate::child_process::ChildProcess;
use crate::tool;

/// A running moto server with its proxy. Dropping it ends the server.
#[derive(Debug)]
pub struct Moto {
    /// The endpoint that functions use.
    pub endpoint: String,
    /// A client of moto.
    pub client: Client,
    forward: Forward,
    _server: ChildProcess,
}

#[derive(Debug, Clone)]
struct Forward {
    moto: String,
    /// The identifiers of servers, and the hosts that replace their addresses.
    hosts: Arc<Vec<(&'static str, &'static str)>>,
    denies: Arc<AtomicBool>,
}

impl Moto {
    /// Starts moto, and a proxy that replaces a server's address according to its identifier. A
    /// server with an empty address has no endpoint, as one that is being created.
    ///
    /// # Errors
    /// Returns an error if moto is not installed or does not start.
    pub async fn start(hosts: Vec<(&'static str, &'static str)>) -> Result<Self> {
        let (server, moto) = server().await?;
        let forward = Forward { moto, hosts: Arc::new(hosts), denies: Arc::default() };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(relay).with_state(forward.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let config = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(&forward.moto)
            .load()
            .await;
        Ok(Self { endpoint, client: Client::new(&config), forward, _server: server })
    }

    /// Denies every call after this one.
    pub fn deny(&self) {
        self.forward.denies.store(true, Ordering::SeqCst);
    }
}

/// Starts moto's server without the proxy, and returns it with its endpoint.
///
/// # Errors
/// Returns an error if moto is not installed or does not start.
pub async fn server() -> Result<(ChildProcess, String)> {
    let port = free_port()?;
    let mut command = Command::new(tool("moto_server"));
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let server = ChildProcess::start(command, port).await?;
    Ok((server, format!("http://127.0.0.1:{port}")))
}

async fn relay(
    State(forward): State<Forward>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<String, (StatusCode, String)> {
    if forward.denies.load(Ordering::SeqCst) {
        let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
            <Message>User is not authorized to perform that</Message></Error></ErrorResponse>";
        return Err((StatusCode::FORBIDDEN, denied.to_owned()));
    }
    let failed = |error: reqwest::Error| (StatusCode::BAD_GATEWAY, error.to_string());
    let client = reqwest::Client::builder().no_proxy().build().map_err(failed)?;
    let mut request = client.post(&forward.moto).body(body);
    for name in ["authorization", "content-type", "x-amz-date"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value.as_bytes());
        }
    }
    let answer = request.send().await.map_err(failed)?;
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut text = answer.text().await.map_err(failed)?;
    for (identifier, host) in forward.hosts.iter() {
        // The address is `<Address>IDENTIFIER.….rds.amazonaws.com</Address>`. The endpoints of a
        // cluster look alike.
        let start = format!(">{identifier}.");
        while let Some(at) = text.find(&start) {
            let Some(length) = text[at + 1..].find('<') else { break };
            text.replace_range(at + 1..at + 1 + length, host);
        }
    }
    // RDS does not show the endpoint of a server that is being created.
    let text = text.replace("<Address></Address>", "");
    if status.is_success() { Ok(text) } else { Err((status, text)) }
}
