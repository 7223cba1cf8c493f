//! Authenticates a user at a server, up to the point where the server waits for a statement.
//!
//! The driver never gets the password, because it would answer every request of the server. A
//! packet that this module does not understand ends the connection.
//!
//! MySQL's documentation describes the [connection phase][phase] of the protocol.
//!
//! [phase]: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html

use rotation_database::{Login, LoginError, TlsUse};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use crate::greeting::{Greeting, capability};
use crate::packet::{ERROR, Fields, Packets};
use crate::plugin::{NONCE_BYTES, Plugin, cleartext, encrypt_with_rsa_key};
use crate::refusal::{Refusal, map_key_request_error, refusal};

/// The number of the character set utf8mb4, which is the same in both servers.
pub(crate) const CHARACTER_SET: u8 = 45;
/// The maximum packet size that the client announces, in bytes.
const MAX_PACKET: u32 = 16 * 1024 * 1024;

/// The way in which a user has proven that it knows its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) plugin: Plugin,
    /// `true` if the login did not depend on the server's cache. With `caching_sha2_password` and
    /// `sha256_password`, the server then got the password itself, over TLS or encrypted with its
    /// RSA key. The other plugins have no cache, so it is always `true` for them.
    pub(crate) cache_independent: bool,
}

/// Returns the request for TLS, which the client sends before the full answer to a greeting.
pub(crate) fn ssl_request(capabilities: u32) -> Vec<u8> {
    let mut request = (capabilities | capability::SSL).to_le_bytes().to_vec();
    request.extend(MAX_PACKET.to_le_bytes());
    request.push(CHARACTER_SET);
    request.extend([0; 23]);
    request
}

/// Logs a user in, after the greeting and the TLS handshake, if there is one.
pub(crate) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    packets: &mut Packets<S>,
    greeting: &Greeting,
    capabilities: u32,
    login: &Login<'_>,
) -> Result<Method, LoginError> {
    let plugin = Plugin::named(&greeting.plugin)?;
    let (mut exchange, first) = Exchange::begin(plugin, &greeting.nonce, login)?;
    packets.send(&response(capabilities, login, plugin, &first)?).await?;
    // The plugin of the greeting is not counted: the server chose it before it knew the user.
    let mut used = Vec::new();
    loop {
        let packet = packets.receive().await?;
        let answer = match (packet[0], exchange.awaits) {
            (ERROR, Awaits::Key) => {
                return Err(map_key_request_error(&Refusal::parse(&packet), login));
            }
            (ERROR, _) => return Err(refusal(&Refusal::parse(&packet), login)),
            (OK, Awaits::Verdict) if is_ok_packet(&packet) => return Ok(exchange.method),
            (OK, _) => {
                return Err(unexpected_message("unexpected or malformed OK packet"));
            }
            (SWITCH, Awaits::Verdict | Awaits::FastOrFull) if !exchange.got_data => {
                let (plugin, nonce) = switch(&packet)?;
                if used.contains(&plugin) {
                    return Err(unexpected_message("the server requests the same plugin twice"));
                }
                used.push(plugin);
                let (next, answer) = Exchange::begin(plugin, nonce, login)?;
                exchange = next;
                Some(answer)
            }
            (MORE, _) => exchange.go_on(&packet[1..])?,
            _ => return Err(unexpected_message("unexpected packet during the login")),
        };
        if let Some(answer) = answer {
            packets.send(&answer).await?;
        }
    }
}

const OK: u8 = 0x00;
const MORE: u8 = 0x01;
const SWITCH: u8 = 0xfe;

/// The results of the cache lookup that `caching_sha2_password` sends.
const FAST: u8 = 3;
const FULL: u8 = 4;
/// The requests for the server's RSA key with `caching_sha2_password` and `sha256_password`.
const KEY_REQUEST_CACHING_SHA2: u8 = 2;
const KEY_REQUEST_SHA256: u8 = 1;

/// The answer of the server that the client waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// The result of the authentication.
    Verdict,
    /// The result of the cache lookup: [`FAST`] if the user is in the cache, otherwise [`FULL`].
    FastOrFull,
    /// The server's RSA key.
    Key,
}

/// The exchange of one plugin with the server.
struct Exchange<'a> {
    login: &'a Login<'a>,
    nonce: Vec<u8>,
    method: Method,
    awaits: Awaits,
    /// `true` if the server has sent data for this plugin.
    got_data: bool,
}

type Answer = Zeroizing<Vec<u8>>;

impl<'a> Exchange<'a> {
    /// Begins an exchange. Returns it and the first data for the server.
    fn begin(
        plugin: Plugin,
        nonce: &[u8],
        login: &'a Login<'a>,
    ) -> Result<(Self, Answer), LoginError> {
        let is_encrypted = login.tls == TlsUse::Verified;
        let bad_nonce = || unexpected_message("the nonce has the wrong length for the plugin");
        let (awaits, answer) = match plugin {
            Plugin::Sha256 if nonce.len() != NONCE_BYTES => return Err(bad_nonce()),
            Plugin::Sha256 if is_encrypted => (Awaits::Verdict, cleartext(login.password)),
            Plugin::Sha256 => (Awaits::Key, Zeroizing::new(vec![KEY_REQUEST_SHA256])),
            Plugin::CachingSha2 | Plugin::Native | Plugin::Ed25519 => {
                let proof = plugin.proof(login.password, nonce).ok_or_else(bad_nonce)?;
                let awaits = match plugin {
                    Plugin::CachingSha2 => Awaits::FastOrFull,
                    _ => Awaits::Verdict,
                };
                (awaits, proof)
            }
        };
        let method = Method { plugin, cache_independent: awaits == Awaits::Verdict };
        let exchange = Self { login, nonce: nonce.to_vec(), method, awaits, got_data: false };
        Ok((exchange, answer))
    }

    /// Processes more data from the server. Returns the answer to it, if there is one.
    fn go_on(&mut self, data: &[u8]) -> Result<Option<Answer>, LoginError> {
        self.got_data = true;
        let is_encrypted = self.login.tls == TlsUse::Verified;
        match (self.awaits, data) {
            (Awaits::FastOrFull, [FAST]) => {
                self.awaits = Awaits::Verdict;
                Ok(None)
            }
            (Awaits::FastOrFull, [FULL]) if is_encrypted => {
                self.awaits = Awaits::Verdict;
                self.method.cache_independent = true;
                Ok(Some(cleartext(self.login.password)))
            }
            (Awaits::FastOrFull, [FULL]) => {
                self.awaits = Awaits::Key;
                Ok(Some(Zeroizing::new(vec![KEY_REQUEST_CACHING_SHA2])))
            }
            // Only `"ssl": false` in the secret, which means that the network is trusted, allows
            // this.
            (Awaits::Key, key) if self.login.tls == TlsUse::Off => {
                self.awaits = Awaits::Verdict;
                self.method.cache_independent = true;
                encrypt_with_rsa_key(self.login.password, &self.nonce, key)
                    .map(Zeroizing::new)
                    .map(Some)
            }
            _ => Err(unexpected_message("unexpected data for the authentication plugin")),
        }
    }
}

/// Parses a request to start again with another plugin. Returns the plugin and the nonce.
fn switch(packet: &[u8]) -> Result<(Plugin, &[u8]), LoginError> {
    let mut fields = Fields(&packet[1..]);
    // A packet with only the first byte requests the method from before MySQL 4.1.
    let name = fields.until_zero().unwrap_or(b"mysql_old_password");
    let plugin = Plugin::named(name)?;
    let nonce = match (plugin, fields.0) {
        (Plugin::Ed25519, nonce) => nonce,
        (_, [nonce @ .., 0]) => nonce,
        _ => return Err(unexpected_message("the nonce does not end with a zero byte")),
    };
    Ok((plugin, nonce))
}

/// Returns `true` if a packet has the length of an [`OK_Packet`][ok]: two counts, which are 0 after
/// a login, then status and warnings.
///
/// [ok]: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html
fn is_ok_packet(packet: &[u8]) -> bool {
    packet.len() >= 7
}

/// Returns the [`HandshakeResponse41`], which answers a greeting.
///
/// [`HandshakeResponse41`]: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html
fn response(
    capabilities: u32,
    login: &Login<'_>,
    plugin: Plugin,
    answer: &[u8],
) -> Result<Zeroizing<Vec<u8>>, LoginError> {
    let used = capabilities | if login.tls == TlsUse::Verified { capability::SSL } else { 0 };
    // Allocate the full length: a vector that grows leaves copies in freed memory.
    let mut packet = Zeroizing::new(Vec::with_capacity(1024 + answer.len()));
    packet.extend(used.to_le_bytes());
    packet.extend(MAX_PACKET.to_le_bytes());
    packet.push(CHARACTER_SET);
    packet.extend([0; 23]);
    let text = |text: &str, packet: &mut Vec<u8>| {
        if text.contains('\0') {
            // The server would read the rest of the name as another field.
            return Err(LoginError::Unsupported { message: "names without zero bytes".into() });
        }
        packet.extend(text.as_bytes());
        packet.push(0);
        Ok(())
    };
    text(login.user, &mut packet)?;
    let is_lenenc = capabilities & capability::PLUGIN_AUTH_LENENC != 0;
    match u8::try_from(answer.len()) {
        Ok(length) if length <= 250 || !is_lenenc => packet.push(length),
        _ if is_lenenc => {
            let length = u16::try_from(answer.len()).map_err(|_| too_long())?;
            packet.push(0xfc);
            packet.extend(length.to_le_bytes());
        }
        _ => return Err(too_long()),
    }
    packet.extend(answer);
    if capabilities & capability::CONNECT_WITH_DB != 0 {
        text(login.database.unwrap_or_default(), &mut packet)?;
    }
    text(plugin.name(), &mut packet)?;
    Ok(packet)
}

fn too_long() -> LoginError {
    LoginError::Unsupported { message: "a password of at most 250 bytes".into() }
}

fn unexpected_message(what: &str) -> LoginError {
    LoginError::protocol(what)
}

#[cfg(test)]
mod tests;
