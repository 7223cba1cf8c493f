//! Authenticates a user at a server, up to the point where the server waits for a statement.
//!
//! The driver never gets the password, because it would answer every authentication request of the
//! server, including one for the cleartext password, and would keep copies of the password.

use std::num::NonZeroU32;
use std::str;

use rotation_database::{Login, LoginError, TlsUse, mask};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use crate::messages::{LONGEST, Message, Refusal, framed, send, startup, unexpected_message};
use crate::refusal::refusal;
use crate::scram::{self, Client, DEFAULT_ITERATIONS};
use crate::verifier::md5_answer;

const MECHANISM: &str = "SCRAM-SHA-256";

/// The proof of a user's password that a server demands at login, by the rule of `pg_hba.conf` and
/// the form in which it stores the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// The server demands no proof: the rule is `trust`, or the server identifies the user in
    /// another way.
    Nothing,
    /// The server demands the cleartext password: the rule is `password`, or another service checks
    /// the password.
    CleartextPassword,
    /// The server demands a hash of the stored MD5 hash: the rule is `md5`, and the password is
    /// stored as MD5.
    Md5,
    /// The server demands a SCRAM exchange: the rule is `scram-sha-256`, or it is `md5` and the
    /// password is not stored as MD5.
    Sasl,
}

/// The result of a login.
#[derive(Debug)]
pub(crate) struct Authenticated {
    /// The server's messages that the driver needs.
    pub startup_response: Vec<u8>,
    pub method: Method,
}

/// Logs a user in.
pub(crate) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    login: &Login<'_>,
    database: &str,
) -> Result<Authenticated, LoginError> {
    send(stream, &startup(login.user, database)).await?;
    authenticate_with(Client::new().map_err(LoginError::protocol)?, stream, login).await
}

/// Returns which proof the server demands of a user. Sends no proof, so the user does not log in.
///
/// PostgreSQL neither logs nor counts a client that ends the connection at this point (`STATUS_EOF`
/// in `src/backend/libpq/auth.c`).
pub(crate) async fn demanded_method<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    user: &str,
    database: &str,
) -> Result<Method, LoginError> {
    send(stream, &startup(user, database)).await?;
    loop {
        let message = Message::receive(stream).await?;
        match message.kind {
            b'R' => return Method::of(request_code(&message.body)?.0),
            b'E' => return Err(not_offered(&message.body)),
            // NoticeResponse and NegotiateProtocolVersion.
            b'N' | b'v' => {}
            _ => return Err(unexpected_message()),
        }
    }
}

/// The authentication that a server or a pooler offers before the user has proven anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Offer {
    /// SCRAM, with the salt and the iterations of the stored verifier.
    Scram {
        salt: Vec<u8>,
        iterations: NonZeroU32,
    },
    Md5,
    /// Another method, which shows nothing about the stored password.
    Other,
}

/// Returns which authentication the server offers a user. As with [`demanded_method`], the user
/// does not log in.
pub(crate) async fn offer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    user: &str,
    database: &str,
) -> Result<Offer, LoginError> {
    match demanded_method(stream, user, database).await? {
        Method::Sasl => {}
        Method::Md5 => return Ok(Offer::Md5),
        Method::Nothing | Method::CleartextPassword => return Ok(Offer::Other),
    }
    let client = Client::new().map_err(LoginError::protocol)?;
    send(stream, &framed(b'p', &first_message(&client))).await?;
    loop {
        let message = Message::receive(stream).await?;
        match message.kind {
            b'R' => {
                let (code, rest) = request_code(&message.body)?;
                let text = str::from_utf8(rest).ok().filter(|_| code == SASL_CONTINUE);
                let challenge = client.challenge(text.ok_or_else(unexpected_message)?);
                let challenge = challenge.map_err(LoginError::protocol)?;
                return Ok(Offer::Scram { salt: challenge.salt, iterations: challenge.iterations });
            }
            b'E' => return Err(not_offered(&message.body)),
            b'N' | b'v' => {}
            _ => return Err(unexpected_message()),
        }
    }
}

/// Maps an error that answers a client before it has proven anything, such as a full pool.
fn not_offered(body: &[u8]) -> LoginError {
    let refused = Refusal::parse(body);
    LoginError::Other { code: format!("SQLSTATE {}", refused.code), message: refused.message() }
}

/// Returns the body of `SASLInitialResponse`: the mechanism and the client's first SCRAM message.
fn first_message(client: &Client) -> Vec<u8> {
    let first = client.first();
    let length = u32::try_from(first.len()).unwrap_or_default().to_be_bytes();
    [MECHANISM.as_bytes(), &[0], &length, first.as_bytes()].concat()
}

impl Method {
    fn of(code: u32) -> Result<Self, LoginError> {
        match code {
            OK => Ok(Self::Nothing),
            CLEAR_TEXT => Ok(Self::CleartextPassword),
            MD5 => Ok(Self::Md5),
            SASL => Ok(Self::Sasl),
            other => {
                Err(LoginError::Unsupported { message: format!("authentication method {other}") })
            }
        }
    }
}

async fn authenticate_with<S: AsyncRead + AsyncWrite + Unpin>(
    client: Client,
    stream: &mut S,
    login: &Login<'_>,
) -> Result<Authenticated, LoginError> {
    let mut exchange = Exchange { stream, login, startup_response: Vec::new(), proof_sent: false };
    let (code, rest) = exchange.request().await?;
    let method = Method::of(code)?;
    match method {
        // The server has not proven its identity, and later statements would send it a verifier.
        Method::Nothing if login.tls == TlsUse::NotOffered => {
            return Err(server_not_proven("it accepts the user without a password"));
        }
        Method::Nothing => {}
        Method::CleartextPassword => {
            exchange.require_tls_or_consent("the cleartext password")?;
            exchange.send_password(login.password.expose()).await?;
        }
        Method::Md5 => {
            // An attacker who records an MD5 answer can try a word list on it, and can replay it to
            // a server that sends the same salt.
            exchange.require_tls_or_consent("an MD5 password")?;
            exchange.send_password(&md5_answer(login.user, login.password, &rest)).await?;
        }
        Method::Sasl => exchange.scram(client, &rest).await?,
    }
    if method != Method::Nothing {
        exchange.expect_request(OK).await?;
    }
    exchange.startup_response.extend(AUTHENTICATION_OK);
    exchange.wait_until_ready().await?;
    Ok(Authenticated { startup_response: exchange.startup_response, method })
}

// The codes of authentication requests.
const OK: u32 = 0;
const CLEAR_TEXT: u32 = 3;
const MD5: u32 = 5;
const SASL: u32 = 10;
const SASL_CONTINUE: u32 = 11;
const SASL_FINAL: u32 = 12;
const AUTHENTICATION_OK: [u8; 9] = [b'R', 0, 0, 0, 8, 0, 0, 0, 0];

struct Exchange<'a, S> {
    stream: &'a mut S,
    login: &'a Login<'a>,
    startup_response: Vec<u8>,
    /// `true` if the password, or a proof of it, has been sent and the server has not answered yet.
    proof_sent: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<'_, S> {
    async fn answer(&mut self, body: &[u8]) -> Result<(), LoginError> {
        send(self.stream, &framed(b'p', body)).await
    }

    async fn send_password(&mut self, text: &str) -> Result<(), LoginError> {
        self.proof_sent = true;
        self.answer(&Zeroizing::new([text.as_bytes(), &[0]].concat())).await
    }

    /// Waits for the server's next authentication request. Returns its code and its data.
    async fn request(&mut self) -> Result<(u32, Vec<u8>), LoginError> {
        let message = self.next(b'R', b"S").await?;
        let (code, rest) = request_code(&message.body)?;
        // The server has answered the proof: a later error is not about the password.
        self.proof_sent = false;
        Ok((code, rest.to_vec()))
    }

    /// Waits until the server is ready for a statement. The user is authenticated now, but the
    /// database may still reject it.
    async fn wait_until_ready(&mut self) -> Result<(), LoginError> {
        let ready = self.next(b'Z', b"SK").await?;
        self.startup_response.extend(ready.bytes());
        Ok(())
    }

    /// Waits for the next message of a kind. Keeps earlier messages of the kinds
    /// `startup_response` for the driver.
    async fn next(&mut self, kind: u8, startup_response: &[u8]) -> Result<Message, LoginError> {
        loop {
            let message = Message::receive(self.stream).await?;
            match message.kind {
                found if found == kind => return Ok(message),
                found
                    if startup_response.contains(&found)
                        && self.startup_response.len() < LONGEST =>
                {
                    self.startup_response.extend(message.bytes());
                }
                b'E' => {
                    let refused = Refusal::parse(&message.body);
                    return Err(match self.proof_sent && refused.is_wrong_password() {
                        true => LoginError::Refused { message: refused.message() },
                        false => refusal(&refused, self.login),
                    });
                }
                // NoticeResponse, NotificationResponse and NegotiateProtocolVersion: protocol 3.0,
                // the first version, is enough.
                b'N' | b'A' | b'v' => {}
                _ => return Err(unexpected_message()),
            }
        }
    }

    async fn expect_request(&mut self, expected: u32) -> Result<Vec<u8>, LoginError> {
        match self.request().await? {
            (code, rest) if code == expected => Ok(rest),
            _ => Err(unexpected_message()),
        }
    }

    fn require_tls_or_consent(&self, asked: &'static str) -> Result<(), LoginError> {
        match self.login.tls {
            TlsUse::Verified | TlsUse::Off => Ok(()),
            TlsUse::NotOffered => Err(LoginError::CleartextPasswordRequested {
                asked,
                remedy: "Turn TLS on at the server, or configure it to use SCRAM-SHA-256. If you \
                    trust the network, set \"ssl\": false in the secret.",
            }),
        }
    }

    async fn scram(&mut self, client: Client, mechanisms: &[u8]) -> Result<(), LoginError> {
        if !mechanisms.split(|byte| *byte == 0).any(|mechanism| mechanism == MECHANISM.as_bytes()) {
            let offered: String =
                String::from_utf8_lossy(mechanisms).replace('\0', " ").chars().take(100).collect();
            return Err(LoginError::Unsupported {
                message: mask(&format!("one of the SASL mechanisms {}", offered.trim())).into(),
            });
        }
        self.answer(&first_message(&client)).await?;
        let server_first = self.expect_request(SASL_CONTINUE).await?;
        let server_first = str::from_utf8(&server_first).map_err(|_| unexpected_message())?;
        let challenge = client.challenge(server_first).map_err(LoginError::protocol)?;
        if challenge.iterations < DEFAULT_ITERATIONS {
            // An attacker who recorded or requested this proof could guess the password quickly.
            self.require_tls_or_consent("a proof of the password with fewer than 4096 iterations")?;
        }
        let password = self.login.password.clone();
        let proof = scram::compute(challenge.iterations, move || challenge.prove(&password)).await;
        let (proven, message) = proof.map_err(LoginError::protocol)?;
        self.proof_sent = true;
        self.answer(message.as_bytes()).await?;
        let server_final = self.expect_request(SASL_FINAL).await?;
        if !str::from_utf8(&server_final).is_ok_and(|text| proven.verify_server(text)) {
            return Err(server_not_proven("the signature in its final SCRAM message is wrong"));
        }
        Ok(())
    }
}

fn request_code(body: &[u8]) -> Result<(u32, &[u8]), LoginError> {
    let (code, rest) = body.split_first_chunk().ok_or_else(unexpected_message)?;
    Ok((u32::from_be_bytes(*code), rest))
}

fn server_not_proven(message: &str) -> LoginError {
    LoginError::ServerNotAuthenticated { message: message.into() }
}

#[cfg(test)]
mod rogue;
#[cfg(test)]
mod tests;
