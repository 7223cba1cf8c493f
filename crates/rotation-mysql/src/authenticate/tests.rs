//! Tests that a server which violates the protocol gets nothing with which an attacker can log in.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use rotation_database::{CaCertificates, Password};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use std::sync::LazyLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::login::greet;
use crate::packet::framed;

const PASSWORD: &str = "the-password-of-this-test";
const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";

static RSA: LazyLock<PrivateDecryptingKey> =
    LazyLock::new(|| PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap());

static AUTHORITIES: LazyLock<CaCertificates> =
    LazyLock::new(|| CaCertificates::read(&|_| None).unwrap());

fn pem() -> Vec<u8> {
    let der: PublicKeyX509Der<'_> = RSA.public_key().as_der().unwrap();
    let text = BASE64_STANDARD.encode(der.as_ref());
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n").into_bytes()
}

fn greeting(version: u8, capabilities: u32, plugin: &str) -> Vec<u8> {
    let [a, b, c, d] = capabilities.to_le_bytes();
    [
        &[version][..],
        b"8.4.0\0\x01\0\0\0",
        &NONCE[..8],
        &[0, a, b, 45, 2, 0, c, d, 21],
        &[0; 10],
        &NONCE[8..],
        b"\0",
        plugin.as_bytes(),
        b"\0",
    ]
    .concat()
}

/// A packet that a server may send after its greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Ok,
    Refused,
    Fast,
    Full,
    Key,
    Data,
    SwitchTo(Plugin),
    SwitchToCleartext,
    SwitchToOld,
    SwitchWithShortNonce,
    NextFactor,
    Columns,
}

const ALL: [Says; 15] = [
    Says::Ok,
    Says::Refused,
    Says::Fast,
    Says::Full,
    Says::Key,
    Says::Data,
    Says::SwitchTo(Plugin::Native),
    Says::SwitchTo(Plugin::CachingSha2),
    Says::SwitchTo(Plugin::Sha256),
    Says::SwitchTo(Plugin::Ed25519),
    Says::SwitchToCleartext,
    Says::SwitchToOld,
    Says::SwitchWithShortNonce,
    Says::NextFactor,
    Says::Columns,
];

impl Says {
    fn payload(self) -> Vec<u8> {
        match self {
            Self::Ok => vec![0, 0, 0, 2, 0, 0, 0],
            Self::Refused => b"\xff\x15\x04#28000Access denied".to_vec(),
            Self::Fast => vec![MORE, FAST],
            Self::Full => vec![MORE, FULL],
            Self::Key => [&[MORE][..], &pem()].concat(),
            Self::Data => vec![MORE, 7, 7],
            Self::SwitchTo(Plugin::Ed25519) => {
                [b"\xfeclient_ed25519\0", &NONCE[..], &NONCE[..12]].concat()
            }
            Self::SwitchTo(plugin) => {
                [b"\xfe", plugin.name().as_bytes(), b"\0", NONCE, b"\0"].concat()
            }
            Self::SwitchToCleartext => b"\xfemysql_clear_password\0".to_vec(),
            Self::SwitchToOld => b"\xfe".to_vec(),
            Self::SwitchWithShortNonce => b"\xfemysql_native_password\0short\0".to_vec(),
            Self::NextFactor => b"\x02mysql_clear_password\0".to_vec(),
            Self::Columns => vec![3],
        }
    }

    /// Returns `true` if the client answers this packet at its regular place.
    fn is_answered(self) -> bool {
        matches!(self, Self::Full | Self::Key | Self::SwitchTo(_))
    }
}

/// Returns the packets of a server with their regular sequence numbers.
fn server(greeting: &[u8], says: &[Says]) -> Vec<u8> {
    let mut bytes = framed(greeting, 0).to_vec();
    let mut number = 2;
    for one in says {
        bytes.extend(framed(&one.payload(), number).iter());
        number += 1 + u8::from(one.is_answered());
    }
    bytes
}

/// Runs a login. Returns its result and the bytes that the server received.
fn log_in(tls: TlsUse, server: &[u8]) -> (Result<Method, LoginError>, Vec<u8>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (near, mut far) = tokio::io::duplex(1 << 20);
        far.write_all(server).await.unwrap();
        far.shutdown().await.unwrap();
        let password = Password::new(PASSWORD);
        let login = Login {
            host: "h",
            port: 1,
            user: "u",
            password: &password,
            database: Some("d"),
            tls,
            authorities: &AUTHORITIES,
        };
        let mut packets = Packets::new(near);
        let done = async {
            let greeting = greet(&mut packets, &login).await?;
            let capabilities = greeting.agreed(true);
            authenticate(&mut packets, &greeting, capabilities, &login).await
        }
        .await;
        drop(packets);
        let mut heard = Vec::new();
        far.read_to_end(&mut heard).await.unwrap();
        (done, heard)
    })
}

fn contains(heard: &[u8], secret: &[u8]) -> bool {
    heard.windows(secret.len()).any(|part| part == secret)
}

/// Returns `true` if an unencrypted server received data that lets it log in later.
fn contains_secret(heard: &[u8]) -> bool {
    contains(heard, PASSWORD.as_bytes())
        || contains(heard, &Sha1::digest(PASSWORD))
        || contains(heard, &Sha256::digest(PASSWORD))
}

/// Returns `true` if an exchange is a successful login. All other exchanges must be errors.
fn is_login(plugin: Plugin, says: &[Says], tls: TlsUse, used: &mut Vec<Plugin>) -> bool {
    let is_encrypted = tls == TlsUse::Verified;
    let whole: &[&[Says]] = match (plugin, is_encrypted) {
        (Plugin::Native | Plugin::Ed25519, _) | (Plugin::Sha256, true) => &[&[Says::Ok]],
        (Plugin::CachingSha2, true) => &[&[Says::Fast, Says::Ok], &[Says::Full, Says::Ok]],
        (Plugin::CachingSha2, false) => {
            &[&[Says::Fast, Says::Ok], &[Says::Full, Says::Key, Says::Ok]]
        }
        (Plugin::Sha256, false) => &[&[Says::Key, Says::Ok]],
    };
    // The login ends with the first complete exchange, and the client does not read the rest.
    if whole.iter().any(|whole| says.starts_with(whole)) {
        return true;
    }
    match says {
        [Says::SwitchTo(next), rest @ ..]
            if !used.contains(next) && (plugin != Plugin::Sha256 || is_encrypted) =>
        {
            used.push(*next);
            is_login(*next, rest, tls, used)
        }
        _ => false,
    }
}

#[test]
fn every_packet_order_is_a_login_or_an_error() {
    let mut logins = 0;
    for tls in [TlsUse::Verified, TlsUse::Off] {
        for plugin in [Plugin::Native, Plugin::CachingSha2, Plugin::Sha256] {
            let greeting = greeting(10, u32::MAX, plugin.name());
            let orders = ALL.into_iter().flat_map(|one| {
                ALL.into_iter()
                    .flat_map(move |two| ALL.into_iter().map(move |three| [one, two, three]))
            });
            for says in orders {
                let (done, heard) = log_in(tls, &server(&greeting, &says));
                let expected = is_login(plugin, &says, tls, &mut Vec::new());
                assert_eq!(done.is_ok(), expected, "{tls:?} {plugin:?} {says:?}: {done:?}");
                logins += usize::from(expected);
                if tls == TlsUse::Off {
                    assert!(!contains_secret(&heard), "{plugin:?} {says:?}");
                }
            }
        }
    }
    assert!(logins > 500, "only {logins} logins");
}

#[test]
fn rsa_key_is_used_only_with_ssl_false() {
    let caching = greeting(10, u32::MAX, "caching_sha2_password");
    let whole = server(&caching, &[Says::Full, Says::Key, Says::Ok]);
    let (done, heard) = log_in(TlsUse::Off, &whole);
    assert_eq!(done, Ok(Method { plugin: Plugin::CachingSha2, cache_independent: true }));
    // The last 256 bytes are the encrypted password, which is XORed with the nonce.
    let key = OaepPrivateDecryptingKey::new(RSA.clone()).unwrap();
    let mut plain = vec![0; 256];
    let plain =
        key.decrypt(&OAEP_SHA1_MGF1SHA1, &heard[heard.len() - 256..], &mut plain, None).unwrap();
    let plain: Vec<u8> = plain.iter().zip(NONCE.iter().cycle()).map(|(a, b)| a ^ b).collect();
    assert_eq!(plain, [PASSWORD.as_bytes(), &[0]].concat());
    // Over TLS, the client sends the cleartext password, and accepts no key.
    let (done, heard) = log_in(TlsUse::Verified, &server(&caching, &[Says::Full, Says::Ok]));
    assert_eq!(done, Ok(Method { plugin: Plugin::CachingSha2, cache_independent: true }));
    assert!(contains(&heard, PASSWORD.as_bytes()));
    let (done, _) = log_in(TlsUse::Verified, &whole);
    assert!(done.is_err());
    // A server without a key.
    let (done, heard) = log_in(TlsUse::Off, &server(&caching, &[Says::Full, Says::Refused]));
    assert!(matches!(done, Err(LoginError::CleartextPasswordRequested { .. })), "{done:?}");
    assert!(!contains_secret(&heard));
}

#[test]
fn unknown_greeting_gets_no_answer() {
    let without = |capability: u32| !capability;
    let clear = "mysql_clear_password";
    for (greeting, kind) in [
        // The greeting of an attack: the driver once answered it with the password.
        (greeting(11, without(capability::SSL), clear), "Protocol"),
        (greeting(9, u32::MAX, "mysql_native_password"), "Protocol"),
        (greeting(10, u32::MAX, clear), "CleartextPasswordRequested"),
        (greeting(10, u32::MAX, "dialog"), "Unsupported"),
        (greeting(10, u32::MAX, ""), "Unsupported"),
        (greeting(10, without(capability::PLUGIN_AUTH), "mysql_native_password"), "Unsupported"),
        (
            greeting(10, without(capability::SECURE_CONNECTION), "mysql_native_password"),
            "Unsupported",
        ),
        (greeting(10, without(capability::PROTOCOL_41), "mysql_native_password"), "Unsupported"),
        // Its nonce is of another length.
        (greeting(10, u32::MAX, "client_ed25519"), "Protocol"),
    ] {
        let server = server(&greeting, &[Says::Ok]);
        let (done, heard) = log_in(TlsUse::Off, &server);
        let error = done.unwrap_err();
        assert!(format!("{error:?}").starts_with(kind), "{error:?}");
        assert!(heard.is_empty(), "{error:?}: {heard:?}");
    }
    // An incomplete greeting, packets of the maximum length, and no data.
    let whole = greeting(10, u32::MAX, "mysql_native_password");
    let cut = framed(&whole[..20], 0).to_vec();
    let longest = [&b"\xff\xff\xff\0"[..], &whole].concat();
    for server in [cut, longest, b"\xff\xff\xff\x02".to_vec(), Vec::new()] {
        let (done, heard) = log_in(TlsUse::Off, &server);
        assert!(done.is_err() && heard.is_empty(), "{done:?}");
    }
    // A packet of the maximum length after the client's answer.
    let server = [framed(&whole, 0).to_vec(), b"\xff\xff\xff\x02".to_vec()].concat();
    let (done, heard) = log_in(TlsUse::Off, &server);
    assert!(matches!(done, Err(LoginError::Protocol { .. })), "{done:?}");
    assert!(!contains_secret(&heard));
}

#[test]
fn name_with_zero_byte_is_rejected() {
    let login = |user| {
        let password = Password::new(PASSWORD);
        let authorities = CaCertificates::read(&|_| None).unwrap();
        let login = Login {
            host: "h",
            port: 1,
            user,
            password: &password,
            database: None,
            tls: TlsUse::Off,
            authorities: &authorities,
        };
        response(capability::WANTED, &login, Plugin::Native, &[1; 20]).is_ok()
    };
    assert!(login("app"));
    assert!(!login("app\0other"));
}

/// Generates the packets of servers in real logins, which the test changes at random.
fn real() -> impl Strategy<Value = Vec<u8>> {
    let of = |plugin: &str, says: &[Says]| server(&greeting(10, u32::MAX, plugin), says);
    prop_oneof![
        Just(of("mysql_native_password", &[Says::Ok])),
        Just(of("caching_sha2_password", &[Says::Fast, Says::Ok])),
        Just(of("caching_sha2_password", &[Says::Full, Says::Key, Says::Ok])),
        Just(of("caching_sha2_password", &[Says::SwitchTo(Plugin::Sha256), Says::Key, Says::Ok])),
        Just(of("mysql_native_password", &[Says::SwitchTo(Plugin::Ed25519), Says::Ok])),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn randomly_changed_login_reveals_no_secret(
        server in real(),
        changes in proptest::collection::vec(
            (any::<prop::sample::Index>(), any::<u8>(), 0..3),
            1..6,
        ),
    ) {
        let mut server = server;
        for (at, byte, kind) in changes {
            let at = at.index(server.len());
            match kind {
                0 => server[at] = byte,
                1 => server.insert(at, byte),
                _ if server.len() > 1 => drop(server.remove(at)),
                _ => {}
            }
        }
        let (_, heard) = log_in(TlsUse::Off, &server);
        prop_assert!(!contains_secret(&heard));
    }
}
