//! Shows a server who logs in, up to the point where it waits for a statement.
//!
//! The driver never holds the password: it would answer whatever a server asks. What is not
//! understood here ends the connection.
//!
//! [Connection
//! phase](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html).

use rotation_database::{Login, LoginError, TlsUse};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use crate::greeting::{Greeting, capability};
use crate::packet::{ERROR, Fields, Packets};
use crate::plugin::{NONCE_BYTES, Plugin, cleartext, under_rsa_key};
use crate::refusal::{Refusal, no_key, refusal};

/// utf8mb4, which both servers have under this number.
pub(crate) const CHARACTER_SET: u8 = 45;
/// The longest packet that this side sends.
const MAX_PACKET: u32 = 16 * 1024 * 1024;

/// How a user has shown that it knows its password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Method {
    pub(crate) plugin: Plugin,
    /// The server saw the password itself, over TLS or under its RSA key, and not only a proof by
    /// what it has in its cache.
    pub(crate) in_full: bool,
}

/// Asks for TLS in place of the whole answer to a greeting.
pub(crate) fn ssl_request(capabilities: u32) -> Vec<u8> {
    let mut request = (capabilities | capability::SSL).to_le_bytes().to_vec();
    request.extend(MAX_PACKET.to_le_bytes());
    request.push(CHARACTER_SET);
    request.extend([0; 23]);
    request
}

/// Logs in after the greeting, and after the handshake of TLS where there is one.
pub(crate) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    packets: &mut Packets<S>,
    greeting: &Greeting,
    capabilities: u32,
    login: &Login<'_>,
) -> Result<Method, LoginError> {
    let plugin = Plugin::named(&greeting.plugin)?;
    let (mut exchange, first) = Exchange::begin(plugin, &greeting.nonce, login)?;
    packets.send(&response(capabilities, login, plugin, &first)?).await?;
    // The plugin of the greeting does not count: the server chose it before it knew the user.
    let mut used = Vec::new();
    loop {
        let packet = packets.receive().await?;
        let answer = match (packet[0], exchange.awaits) {
            (ERROR, Awaits::Key) => return Err(no_key(&Refusal::parse(&packet), login)),
            (ERROR, _) => return Err(refusal(&Refusal::parse(&packet), login)),
            (OK, Awaits::Verdict) if is_whole_ok(&packet) => return Ok(exchange.method),
            (OK, _) => {
                return Err(does_not_belong("it lets the user in before it knows who it is"));
            }
            (SWITCH, Awaits::Verdict | Awaits::FastOrFull) if !exchange.has_gone_on => {
                let (plugin, nonce) = switch(&packet)?;
                if used.contains(&plugin) {
                    return Err(does_not_belong("it asks by the same plugin twice"));
                }
                used.push(plugin);
                let (next, answer) = Exchange::begin(plugin, nonce, login)?;
                exchange = next;
                Some(answer)
            }
            (MORE, _) => exchange.go_on(&packet[1..])?,
            _ => return Err(does_not_belong("it sends a packet that does not belong to a login")),
        };
        if let Some(answer) = answer {
            packets.send(&answer).await?;
        }
    }
}

const OK: u8 = 0x00;
const MORE: u8 = 0x01;
const SWITCH: u8 = 0xfe;

/// What `caching_sha2_password` says in one byte.
const FAST: u8 = 3;
const FULL: u8 = 4;
/// What asks `caching_sha2_password` and `sha256_password` for the server's RSA key.
const KEY_OF_CACHING_SHA2: u8 = 2;
const KEY_OF_SHA256: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    /// Whether the server accepts what it was shown.
    Verdict,
    /// Whether the server has the user in its cache.
    FastOrFull,
    /// The server's RSA key.
    Key,
}

/// One plugin's exchange with the server.
struct Exchange<'a> {
    login: &'a Login<'a>,
    nonce: Vec<u8>,
    method: Method,
    awaits: Awaits,
    /// The server has sent something that belongs to this plugin.
    has_gone_on: bool,
}

type Answer = Zeroizing<Vec<u8>>;

impl<'a> Exchange<'a> {
    /// The exchange, and what the server gets first.
    fn begin(
        plugin: Plugin,
        nonce: &[u8],
        login: &'a Login<'a>,
    ) -> Result<(Self, Answer), LoginError> {
        let is_encrypted = login.tls == TlsUse::Verified;
        let bad_nonce = || does_not_belong("its nonce is not one of the plugin's");
        let (awaits, answer) = match plugin {
            Plugin::Sha256 if nonce.len() != NONCE_BYTES => return Err(bad_nonce()),
            Plugin::Sha256 if is_encrypted => (Awaits::Verdict, cleartext(login.password)),
            Plugin::Sha256 => (Awaits::Key, Zeroizing::new(vec![KEY_OF_SHA256])),
            Plugin::CachingSha2 | Plugin::Native | Plugin::Ed25519 => {
                let proof = plugin.proof(login.password, nonce).ok_or_else(bad_nonce)?;
                let awaits = match plugin {
                    Plugin::CachingSha2 => Awaits::FastOrFull,
                    _ => Awaits::Verdict,
                };
                (awaits, proof)
            }
        };
        let method = Method { plugin, in_full: awaits == Awaits::Verdict };
        let exchange = Self { login, nonce: nonce.to_vec(), method, awaits, has_gone_on: false };
        Ok((exchange, answer))
    }

    /// Goes on after more data from the server. Gives what it gets for it, if anything.
    fn go_on(&mut self, data: &[u8]) -> Result<Option<Answer>, LoginError> {
        self.has_gone_on = true;
        let is_encrypted = self.login.tls == TlsUse::Verified;
        match (self.awaits, data) {
            (Awaits::FastOrFull, [FAST]) => {
                self.awaits = Awaits::Verdict;
                Ok(None)
            }
            (Awaits::FastOrFull, [FULL]) if is_encrypted => {
                self.awaits = Awaits::Verdict;
                self.method.in_full = true;
                Ok(Some(cleartext(self.login.password)))
            }
            (Awaits::FastOrFull, [FULL]) => {
                self.awaits = Awaits::Key;
                Ok(Some(Zeroizing::new(vec![KEY_OF_CACHING_SHA2])))
            }
            // Only where the secret itself says that the network is trusted.
            (Awaits::Key, key) if self.login.tls == TlsUse::Off => {
                self.awaits = Awaits::Verdict;
                self.method.in_full = true;
                under_rsa_key(self.login.password, &self.nonce, key).map(Zeroizing::new).map(Some)
            }
            _ => Err(does_not_belong("it sends data that does not belong to its plugin")),
        }
    }
}

/// A request to begin again with another plugin: its name, and its nonce.
fn switch(packet: &[u8]) -> Result<(Plugin, &[u8]), LoginError> {
    let mut fields = Fields(&packet[1..]);
    // Nothing but the first byte: the password's form of before MySQL 4.1.
    let name = fields.until_zero().unwrap_or(b"mysql_old_password");
    let plugin = Plugin::named(name)?;
    let nonce = match (plugin, fields.0) {
        (Plugin::Ed25519, nonce) => nonce,
        (_, [nonce @ .., 0]) => nonce,
        _ => return Err(does_not_belong("its nonce does not end as it must")),
    };
    Ok((plugin, nonce))
}

/// [`OK_Packet`](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_basic_ok_packet.html):
/// two counts, which a login leaves at 0, then status and warnings.
fn is_whole_ok(packet: &[u8]) -> bool {
    packet.len() >= 7
}

/// [`HandshakeResponse41`](https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_response.html).
fn response(
    capabilities: u32,
    login: &Login<'_>,
    plugin: Plugin,
    answer: &[u8],
) -> Result<Zeroizing<Vec<u8>>, LoginError> {
    let used = capabilities | if login.tls == TlsUse::Verified { capability::SSL } else { 0 };
    // Room for all of it: a vector that grows leaves copies behind.
    let mut packet = Zeroizing::new(Vec::with_capacity(1024 + answer.len()));
    packet.extend(used.to_le_bytes());
    packet.extend(MAX_PACKET.to_le_bytes());
    packet.push(CHARACTER_SET);
    packet.extend([0; 23]);
    let text = |text: &str, packet: &mut Vec<u8>| {
        if text.contains('\0') {
            // The server would take what follows for another field.
            return Err(LoginError::Unsupported { message: "a name with a zero byte".into() });
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
    LoginError::Unsupported { message: "a shorter password than this one".into() }
}

fn does_not_belong(what: &str) -> LoginError {
    LoginError::protocol(what)
}

#[cfg(test)]
mod tests;
