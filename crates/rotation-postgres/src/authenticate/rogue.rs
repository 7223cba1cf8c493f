//! Tests with rogue servers that try to get the password at every point of a login.
//!
//! If the server does not offer the TLS that the policy prefers, the client never sends the
//! password, an MD5 answer or a proof with fewer than 4096 iterations. With every TLS policy, it
//! sends each of these only if the server has asked for exactly that.

use std::str;
use std::sync::OnceLock;

use super::tests::{KEY, PARAMETER, READY, request};
use super::*;
use proptest::prelude::*;
use proptest::sample::Index;
use rotation_database::{CaCertificates, Password};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::login::LoggedIn;
use crate::scram::tests::{NONCE, SERVER_FIRST, client, server_final};

const PASSWORD: &str = "the-password";
const POLICIES: [TlsUse; 3] = [TlsUse::NotOffered, TlsUse::Off, TlsUse::Verified];

/// Returns the messages that a PostgreSQL server sends during a SCRAM login.
fn real_login() -> Vec<Vec<u8>> {
    let last = server_final(&Password::new(PASSWORD));
    vec![
        request(SASL, b"SCRAM-SHA-256\0\0"),
        request(SASL_CONTINUE, SERVER_FIRST.as_bytes()),
        request(SASL_FINAL, last.as_bytes()),
        request(OK, &[]),
        PARAMETER.to_vec(),
        KEY.to_vec(),
        READY.to_vec(),
    ]
}

fn authorities() -> &'static CaCertificates {
    static READ: OnceLock<CaCertificates> = OnceLock::new();
    READ.get_or_init(|| CaCertificates::read(&|_| None).unwrap())
}

/// Runs a client's login against a server that sends exactly `server`, and checks what the client
/// sent.
async fn meet(tls: TlsUse, server: &[u8]) -> Result<Authenticated, LoginError> {
    let (mut stream, mut far) = tokio::io::duplex(4 * 1024 * 1024);
    far.write_all(server).await.unwrap();
    far.shutdown().await.unwrap();
    let (authorities, password) = (authorities(), Password::new(PASSWORD));
    let login = Login {
        host: "127.0.0.1",
        port: 1,
        user: "u",
        password: &password,
        database: None,
        tls,
        authorities,
    };
    let done = authenticate_with(client(), &mut stream, &login).await;
    drop(stream);
    let mut heard = Vec::new();
    far.read_to_end(&mut heard).await.unwrap();
    check(tls, server, &heard, done.as_ref().ok());
    done
}

/// Returns the kinds and bodies of complete messages.
fn messages(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut messages = Vec::new();
    while let Some(([kind, length @ ..], rest)) = bytes.split_first_chunk::<5>() {
        let length = (u32::from_be_bytes(*length) as usize).checked_sub(4);
        let Some((body, rest)) = length.and_then(|length| rest.split_at_checked(length)) else {
            break;
        };
        messages.push((*kind, body));
        bytes = rest;
    }
    messages
}

/// Returns the bodies of the authentication requests with a code.
fn requests(server: &[u8], code: u32) -> impl Iterator<Item = &[u8]> {
    let all = messages(server).into_iter().filter(|(kind, _)| *kind == b'R');
    all.filter_map(move |(_, body)| body.strip_prefix(&code.to_be_bytes()))
}

fn check(tls: TlsUse, server: &[u8], heard: &[u8], done: Option<&Authenticated>) {
    let context = || format!("{tls:?}, {:?}", server.escape_ascii().to_string());
    let first_request =
        messages(server).into_iter().find(|(kind, _)| *kind == b'R').map(|(_, body)| body);
    let asked_first =
        |code: u32| first_request.is_some_and(|body| body.starts_with(&code.to_be_bytes()));
    let hello = format!("SCRAM-SHA-256\0\0\0\0{}n,,n=,r={NONCE}", '\u{1c}');
    let mut proven = None;
    let mut length = 0;
    for (kind, body) in messages(heard) {
        length += 5 + body.len();
        assert_eq!(kind, b'p', "{}", context());
        if body == hello.as_bytes() {
            assert!(asked_first(SASL), "{}", context());
        } else if body == [PASSWORD.as_bytes(), &[0]].concat() {
            assert!(
                tls != TlsUse::NotOffered && asked_first(CLEAR_TEXT),
                "the password: {}",
                context()
            );
        } else if body.starts_with(b"md5") {
            assert!(tls != TlsUse::NotOffered && asked_first(MD5), "an MD5 answer: {}", context());
        } else {
            let server_first = requests(server, SASL_CONTINUE).next().unwrap();
            let server_first = str::from_utf8(server_first).unwrap();
            let challenge = client().challenge(server_first).unwrap();
            let enough = challenge.iterations >= DEFAULT_ITERATIONS;
            assert!(enough || tls != TlsUse::NotOffered, "few iterations: {}", context());
            let (expected, proof) = challenge.prove(&Password::new(PASSWORD));
            assert_eq!(body, proof.as_bytes(), "{}", context());
            proven = Some(expected);
        }
    }
    assert_eq!(length, heard.len(), "half a message: {}", context());
    if let Some(Authenticated { method, .. }) = done {
        // A login without TLS succeeds only if the server has proven that it knows the password.
        let shows_it = proven.is_some_and(|proven| {
            let last =
                requests(server, SASL_FINAL).next().and_then(|last| str::from_utf8(last).ok());
            last.is_some_and(|last| proven.verify_server(last))
        });
        assert_eq!(shows_it, *method == Method::Sasl, "{}", context());
        assert!(shows_it || tls != TlsUse::NotOffered, "{}", context());
    }
}

/// Returns messages that a rogue server may send at a wrong point.
fn rogue_messages() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    // Every authentication request code (and three codes that do not exist), with bodies of several
    // lengths.
    for code in (0..=13).chain([255, 1 << 16, u32::MAX]) {
        for body in [&[][..], &[0], &[1, 2, 3, 4], b"SCRAM-SHA-256\0\0", &[b'r'; 60_000]] {
            all.push(request(code, body));
        }
    }
    for mechanisms in
        [&b"SCRAM-SHA-256-PLUS\0\0"[..], b"PLAIN\0SCRAM-SHA-256\0\0", b"SCRAM-SHA-256", b"\0\0"]
    {
        all.push(request(SASL, mechanisms));
    }
    for (from, to) in [
        ("i=4096", "i=1"),
        ("i=4096", "i=4095"),
        ("i=4096", "i=0"),
        ("i=4096", "i=-1"),
        ("i=4096", "i=+4096"),
        ("i=4096", "i=04096"),
        ("i=4096", "i=4294967296"),
        ("i=4096", "i=4096,x=y"),
        ("r=", "m=ext,r="),
        ("r=", "R="),
        (SERVER_FIRST.split(',').next().unwrap(), &format!("r={NONCE}")),
        ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", &"k".repeat(60_000)),
        ("s=W22ZaJ0SNY7soEsUEjb6gQ==", "s="),
        ("s=W22ZaJ0SNY7soEsUEjb6gQ==", "s=%"),
        (",", ",,"),
    ] {
        all.push(request(SASL_CONTINUE, SERVER_FIRST.replacen(from, to, 1).as_bytes()));
    }
    for kind in
        [b'E', b'N', b'v', b'S', b'K', b'A', b'Z', b'T', b'D', b'C', b'G', b'H', b'W', b'p', 0, 255]
    {
        all.push(framed(kind, &[]).to_vec());
        all.push(framed(kind, b"C08P01\0\0").to_vec());
    }
    // Lengths that are invalid, too long, or longer than the data that follows.
    for kind in [b'R', b'S', b'N', b'E'] {
        for length in [0, 3, 5, 8, 0x0001_0005, 0x2020_2020, 0x7fff_ffff, u32::MAX] {
            all.push([&[kind][..], &length.to_be_bytes()].concat());
        }
    }
    all
}

#[tokio::test]
async fn rogue_message_at_any_point_gets_no_password() {
    let real = real_login();
    let mut met = 0;
    for tls in POLICIES {
        assert_eq!(meet(tls, &real.concat()).await.unwrap().method, Method::Sasl);
        for at in 0..=real.len() {
            for rogue in rogue_messages() {
                let (before, after) = (real[..at].concat(), &real[at..]);
                // The rogue message comes before the real message, or replaces it. After the
                // client's proof, which takes time to compute, it only comes before.
                let in_its_place = after.get(1..).filter(|_| at <= 2);
                for rest in [after].into_iter().chain(in_its_place) {
                    let _ = meet(tls, &[&before[..], &rogue, &rest.concat()].concat()).await;
                    met += 1;
                }
            }
        }
    }
    assert!(met > 4000, "{met}");
}

/// Two requests follow each other, and a client might mistake the second for the first.
#[tokio::test]
async fn second_request_is_never_answered() {
    for tls in POLICIES {
        for first in [OK, CLEAR_TEXT, MD5, SASL] {
            for second in [OK, CLEAR_TEXT, MD5, SASL] {
                for between in [&b""[..], PARAMETER, b"N\0\0\0\x05\0", KEY, READY] {
                    let body: &[u8] =
                        if first == SASL { b"SCRAM-SHA-256\0\0" } else { &[1, 2, 3, 4] };
                    let server =
                        [&request(first, body)[..], between, &request(second, &[1, 2, 3, 4])]
                            .concat();
                    let _ = meet(tls, &server).await;
                }
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Edit {
    Put(Index, Vec<u8>),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Copy(Index, Index, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let bytes = || {
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 1..8),
            proptest::sample::select(rogue_messages()),
        ]
    };
    prop_oneof![
        (any::<Index>(), bytes()).prop_map(|(at, bytes)| Edit::Put(at, bytes)),
        (any::<Index>(), bytes()).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (any::<Index>(), 1..40usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        (any::<Index>(), any::<Index>(), 1..60usize)
            .prop_map(|(from, to, count)| Edit::Copy(from, to, count)),
    ]
}

fn apply(bytes: &mut Vec<u8>, edit: Edit) {
    let end = |at: usize, count: usize, length: usize| (at + count).min(length);
    match edit {
        Edit::Put(at, new) => {
            let at = at.index(bytes.len() + 1);
            let to = end(at, new.len(), bytes.len());
            bytes.splice(at..to, new);
        }
        Edit::Insert(at, new) => {
            let at = at.index(bytes.len() + 1);
            bytes.splice(at..at, new);
        }
        Edit::Remove(at, count) => {
            let at = at.index(bytes.len() + 1);
            bytes.drain(at..end(at, count, bytes.len()));
        }
        Edit::Copy(from, to, count) => {
            let from = from.index(bytes.len() + 1);
            let copy = bytes[from..end(from, count, bytes.len())].to_vec();
            let to = to.index(bytes.len() + 1);
            bytes.splice(to..to, copy);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn changed_login_gets_no_password(
        tls in proptest::sample::select(&POLICIES[..]),
        edits in proptest::collection::vec(edit(), 1..5),
    ) {
        let mut server = real_login().concat();
        edits.into_iter().for_each(|edit| apply(&mut server, edit));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(meet(tls, &server));
    }
}

/// Before TLS, the server gets only the TLS request, with every possible answer of the server.
#[tokio::test]
async fn server_without_tls_gets_only_the_tls_request() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (authorities, password) =
        (CaCertificates::read(&|_| None).unwrap(), Password::new(PASSWORD));
    let login = Login {
        host: "127.0.0.1",
        port,
        user: "the-user",
        password: &password,
        database: None,
        tls: TlsUse::Verified,
        authorities: &authorities,
    };
    for answer in 0..=255 {
        let server = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&[&[answer], &request(CLEAR_TEXT, &[])[..]].concat()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut heard = Vec::new();
            let _ = stream.read_to_end(&mut heard).await;
            heard
        };
        let (done, heard) = tokio::join!(LoggedIn::over(None, &login), server);
        assert!(done.is_err(), "{answer}");
        let has = |text: &str| heard.windows(text.len()).any(|part| part == text.as_bytes());
        assert!(!has(PASSWORD) && !has("the-user"), "{answer}");
        assert!(answer == b'S' || heard.len() <= 8, "{answer}: {} bytes", heard.len());
    }
}
