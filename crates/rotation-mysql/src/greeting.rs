//! A strict parser of the greeting, which is the server's first packet.
//!
//! MySQL calls it [Protocol::HandshakeV10]. [MariaDB's initial handshake packet] differs in bytes
//! that are reserved in MySQL.
//!
//! [Protocol::HandshakeV10]: https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
//! [MariaDB's initial handshake packet]: https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection#initial-handshake-packet

use rotation_database::LoginError;

use crate::packet::Fields;
use crate::plugin::{NONCE_BYTES, Plugin};

/// The [capabilities] that the client uses.
///
/// [capabilities]: https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html
pub(crate) mod capability {
    pub(crate) const LONG_PASSWORD: u32 = 1;
    pub(crate) const FOUND_ROWS: u32 = 1 << 1;
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const IGNORE_SPACE: u32 = 1 << 8;
    pub(crate) const PROTOCOL_41: u32 = 1 << 9;
    pub(crate) const SSL: u32 = 1 << 11;
    pub(crate) const TRANSACTIONS: u32 = 1 << 13;
    pub(crate) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(crate) const MULTI_STATEMENTS: u32 = 1 << 16;
    pub(crate) const MULTI_RESULTS: u32 = 1 << 17;
    pub(crate) const PS_MULTI_RESULTS: u32 = 1 << 18;
    pub(crate) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(crate) const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;

    /// The capabilities without which the client does not log in.
    pub(crate) const REQUIRED: u32 =
        PROTOCOL_41 | SECURE_CONNECTION | MULTI_STATEMENTS | MULTI_RESULTS | PLUGIN_AUTH;
    /// The capabilities that the driver uses if the server has them.
    pub(crate) const WANTED: u32 = REQUIRED
        | FOUND_ROWS
        | IGNORE_SPACE
        | TRANSACTIONS
        | PS_MULTI_RESULTS
        | PLUGIN_AUTH_LENENC
        | DEPRECATE_EOF;
}

/// The only protocol version since MySQL 3.21.
const PROTOCOL_VERSION: u8 = 10;
/// The length of the nonce and a zero byte.
const AUTH_DATA_BYTES: u8 = 21;

/// The greeting, which the server sends before it knows the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: Vec<u8>,
    pub(crate) thread: [u8; 4],
    pub(crate) capabilities: u32,
    /// The name of the plugin that the server assumes until it knows the user.
    pub(crate) plugin: Vec<u8>,
    pub(crate) nonce: [u8; NONCE_BYTES],
}

impl Greeting {
    /// Parses the payload of the first packet, if that is not an error.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, LoginError> {
        match payload.first() {
            Some(&PROTOCOL_VERSION) => {}
            Some(other) => {
                return Err(LoginError::protocol(format!(
                    "the greeting has protocol version {other} instead of {PROTOCOL_VERSION}"
                )));
            }
            None => return Err(malformed()),
        }
        let greeting = Self::fields(&payload[1..]).ok_or_else(malformed)?;
        let missing = capability::REQUIRED & !greeting.0;
        if missing != 0 {
            return Err(LoginError::Unsupported {
                message: format!("a protocol without the capabilities {missing:#x}"),
            });
        }
        let (capabilities, version, thread, nonce, plugin) = greeting;
        Ok(Self { version, thread, capabilities, plugin: plugin.to_vec(), nonce })
    }

    #[allow(clippy::type_complexity)] // Only the function above calls it.
    fn fields(payload: &[u8]) -> Option<(u32, Vec<u8>, [u8; 4], [u8; NONCE_BYTES], &[u8])> {
        let mut fields = Fields(payload);
        let version = fields.until_zero()?.to_vec();
        let thread = fields.array()?;
        let first: [u8; 8] = fields.array()?;
        let [0] = fields.array()? else { return None };
        let [low_0, low_1] = fields.array()?;
        // The server's character set and status.
        fields.bytes(3)?;
        let [high_0, high_1] = fields.array()?;
        let [AUTH_DATA_BYTES] = fields.array()? else { return None };
        // These bytes are reserved. The last four have MariaDB's own capabilities.
        fields.bytes(10)?;
        let second: [u8; NONCE_BYTES - 8] = fields.array()?;
        let [0] = fields.array()? else { return None };
        let plugin = fields.until_zero()?;
        if !fields.0.is_empty() {
            return None;
        }
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&first);
        nonce[8..].copy_from_slice(&second);
        let capabilities = u32::from_le_bytes([low_0, low_1, high_0, high_1]);
        Some((capabilities, version, thread, nonce, plugin))
    }

    /// Returns the capabilities that both sides use in this session. `has_database` is `true` if
    /// the login names a database.
    pub(crate) fn agreed(&self, has_database: bool) -> u32 {
        let database = if has_database { capability::CONNECT_WITH_DB } else { 0 };
        (capability::WANTED | database) & self.capabilities
    }

    /// Returns a greeting for the driver. It is that of a server without TLS, with another nonce
    /// and these capabilities.
    pub(crate) fn startup_response(&self, capabilities: u32) -> Vec<u8> {
        // With LONG_PASSWORD, the driver ignores the bytes that MariaDB uses.
        let [low_0, low_1, high_0, high_1] =
            (capabilities | capability::LONG_PASSWORD).to_le_bytes();
        let nonce = [b'x'; NONCE_BYTES];
        [
            &[PROTOCOL_VERSION][..],
            &self.version,
            &[0],
            &self.thread,
            &nonce[..8],
            // The character set is utf8mb4, and the status is autocommit.
            &[0, low_0, low_1, 45, 2, 0, high_0, high_1, AUTH_DATA_BYTES],
            &[0; 10],
            &nonce[8..],
            &[0],
            Plugin::Native.name().as_bytes(),
            &[0],
        ]
        .concat()
    }
}

fn malformed() -> LoginError {
    LoginError::protocol("the greeting is malformed")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Greetings of MySQL 8.0.18 and of MariaDB 10.4.7, from the tests of sqlx.
    pub(crate) const MYSQL: &[u8] = b"\n8.0.18\x00\
        \x19\x00\x00\x00\x114aB0c\x06g\x00\xff\xff\xff\x02\
        \x00\xff\xc7\x15\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00tL\x03s\x0f[4\rl4. \x00\
        caching_sha2_password\x00";
    pub(crate) const MARIADB: &[u8] = b"\n5.5.5-10.4.7-MariaDB-1:10.4.7+maria~bionic\x00\
        \x0b\x00\x00\x00t6L\\j\"dS\x00\xfe\xf7\x08\x02\x00\xff\x81\x15\
        \x00\x00\x00\x00\x00\x00\x07\x00\x00\x00U14Oph9\"<H5n\x00mysql_native_password\x00";

    #[test]
    fn greetings_of_both_servers_are_parsed() {
        let mysql = Greeting::parse(MYSQL).unwrap();
        assert_eq!(mysql.plugin, b"caching_sha2_password");
        assert_eq!(
            mysql.nonce,
            [17, 52, 97, 66, 48, 99, 6, 103, 116, 76, 3, 115, 15, 91, 52, 13, 108, 52, 46, 32]
        );
        assert_ne!(mysql.capabilities & capability::SSL, 0);
        let mariadb = Greeting::parse(MARIADB).unwrap();
        assert_eq!(mariadb.plugin, b"mysql_native_password");
        assert_eq!(mariadb.capabilities & capability::SSL, 0);
        assert_eq!(mariadb.version, b"5.5.5-10.4.7-MariaDB-1:10.4.7+maria~bionic");
    }

    #[test]
    fn greeting_for_driver_is_valid() {
        let greeting = Greeting::parse(MARIADB).unwrap();
        let agreed = greeting.agreed(false);
        let other = Greeting::parse(&greeting.startup_response(agreed)).unwrap();
        assert_eq!(other.version, greeting.version);
        assert_eq!(other.capabilities, agreed | capability::LONG_PASSWORD);
        assert_ne!(other.nonce, greeting.nonce);
    }

    #[test]
    fn incomplete_or_longer_greeting_is_rejected() {
        for greeting in [MYSQL, MARIADB] {
            for end in 0..greeting.len() {
                assert!(Greeting::parse(&greeting[..end]).is_err(), "cut at {end}");
            }
            let longer = [greeting, b"x\0"].concat();
            assert!(Greeting::parse(&longer).is_err());
            for version in (0..=u8::MAX).filter(|version| *version != PROTOCOL_VERSION) {
                let mut other = greeting.to_vec();
                other[0] = version;
                assert!(matches!(Greeting::parse(&other), Err(LoginError::Protocol { .. })));
            }
        }
    }
}
