//! Shows a server who logs in, up to the point where it waits for a statement.
//!
//! The driver never holds the password: it would answer whatever it is asked, and keep copies.

use std::str;

use rotation_database::{Login, LoginError, TlsUse, mask};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

use crate::login::refusal;
use crate::messages::{LONGEST, Message, Refusal, does_not_belong, framed, send, startup};
use crate::scram::{Client, DEFAULT_ITERATIONS};
use crate::verifier::md5_answer;

const MECHANISM: &str = "SCRAM-SHA-256";

/// More iterations than this are computed beside the connection, so that time-outs go on counting.
const QUICK_ITERATIONS: u32 = 20_000;

/// The proof of a user's password that a server demands at login, by the rule of `pg_hba.conf` and
/// the form in which it stores the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    /// None: the rule is `trust`, or the server has other means.
    Nothing,
    /// The password itself: the rule is `password`, or another service checks it.
    CleartextPassword,
    /// A hash of the stored MD5 hash: the rule is `md5`, and the password is stored as MD5.
    Md5,
    /// A SCRAM exchange: the rule is `scram-sha-256`, or it is `md5` and the password is not stored
    /// as MD5.
    Sasl,
}

/// The result of a login.
#[derive(Debug)]
pub(crate) struct Authenticated {
    /// The messages of the server that the driver needs.
    pub for_driver: Vec<u8>,
    pub method: Method,
}

/// Logs in.
pub(crate) async fn authenticate<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    login: &Login<'_>,
    database: &str,
) -> Result<Authenticated, LoginError> {
    send(stream, &startup(login.user, database)).await?;
    authenticate_with(Client::new().map_err(LoginError::protocol)?, stream, login).await
}

/// Finds out which proof a server demands of a user, and gives none.
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
            // A notice, or the protocol versions that the server supports.
            b'N' | b'v' => {}
            _ => return Err(does_not_belong()),
        }
    }
}

impl Method {
    fn of(code: u32) -> Result<Self, LoginError> {
        match code {
            OK => Ok(Self::Nothing),
            CLEAR_TEXT => Ok(Self::CleartextPassword),
            MD5 => Ok(Self::Md5),
            SASL => Ok(Self::Sasl),
            other => Err(LoginError::Unsupported { said: format!("authentication of kind {other}") }),
        }
    }
}

async fn authenticate_with<S: AsyncRead + AsyncWrite + Unpin>(
    client: Client,
    stream: &mut S,
    login: &Login<'_>,
) -> Result<Authenticated, LoginError> {
    let mut exchange = Exchange { stream, login, for_driver: Vec::new(), awaits_verdict: false };
    let (code, rest) = exchange.request().await?;
    let method = Method::of(code)?;
    match method {
        // Nobody has shown anything, and statements with a verifier would follow.
        Method::Nothing if login.tls == TlsUse::NotOffered => {
            return Err(not_proven("it lets everybody in without a password"));
        }
        Method::Nothing => {}
        Method::CleartextPassword => {
            exchange.must_be_allowed("the password in clear text")?;
            exchange.answer_with_password(login.password.expose()).await?;
        }
        Method::Md5 => {
            // A recorded MD5 answer is tried out against word lists, and replayed to a server of the same salt.
            exchange.must_be_allowed("an MD5 password")?;
            exchange.answer_with_password(&md5_answer(login.user, login.password, &rest)).await?;
        }
        Method::Sasl => exchange.scram(client, &rest).await?,
    }
    if method != Method::Nothing {
        exchange.next_must_be(OK).await?;
    }
    exchange.for_driver.extend(AUTHENTICATION_OK);
    exchange.until_ready().await?;
    Ok(Authenticated { for_driver: exchange.for_driver, method })
}

// What an authentication request asks for.
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
    for_driver: Vec<u8>,
    /// The password or a proof of it has been sent, and the server has not judged it yet.
    awaits_verdict: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Exchange<'_, S> {
    async fn answer(&mut self, body: &[u8]) -> Result<(), LoginError> {
        send(self.stream, &framed(b'p', body)).await
    }

    async fn answer_with_password(&mut self, text: &str) -> Result<(), LoginError> {
        self.awaits_verdict = true;
        self.answer(&Zeroizing::new([text.as_bytes(), &[0]].concat())).await
    }

    /// The server's next request: its code, and what comes with it.
    async fn request(&mut self) -> Result<(u32, Vec<u8>), LoginError> {
        let message = self.next(b'R', b"S").await?;
        let (code, rest) = request_code(&message.body)?;
        // Whatever fails from here on is not the password.
        self.awaits_verdict = false;
        Ok((code, rest.to_vec()))
    }

    /// The user is known now; whether the database lets it in follows.
    async fn until_ready(&mut self) -> Result<(), LoginError> {
        let ready = self.next(b'Z', b"SK").await?;
        self.for_driver.extend(ready.bytes());
        Ok(())
    }

    /// The next message of a kind. On the way to it come some that are for the driver.
    async fn next(&mut self, kind: u8, for_driver: &[u8]) -> Result<Message, LoginError> {
        loop {
            let message = Message::receive(self.stream).await?;
            match message.kind {
                found if found == kind => return Ok(message),
                found if for_driver.contains(&found) && self.for_driver.len() < LONGEST => {
                    self.for_driver.extend(message.bytes());
                }
                b'E' => {
                    let refused = Refusal::parse(&message.body);
                    return Err(match self.awaits_verdict && refused.is_of_password() {
                        true => LoginError::Refused { said: refused.said() },
                        false => refusal(&refused, self.login),
                    });
                }
                // Notices, and which versions of the protocol it knows: the first is enough.
                b'N' | b'A' | b'v' => {}
                _ => return Err(does_not_belong()),
            }
        }
    }

    async fn next_must_be(&mut self, expected: u32) -> Result<Vec<u8>, LoginError> {
        match self.request().await? {
            (code, rest) if code == expected => Ok(rest),
            _ => Err(does_not_belong()),
        }
    }

    fn must_be_allowed(&self, asked: &'static str) -> Result<(), LoginError> {
        match self.login.tls {
            TlsUse::Verified | TlsUse::Off => Ok(()),
            TlsUse::NotOffered => Err(LoginError::ReadablePassword {
                asked,
                remedy: "Turn TLS on at the server, or let it ask for SCRAM-SHA-256. If the network is trusted: \
                    \"ssl\": false in the secret.",
            }),
        }
    }

    async fn scram(&mut self, client: Client, mechanisms: &[u8]) -> Result<(), LoginError> {
        if !mechanisms.split(|byte| *byte == 0).any(|mechanism| mechanism == MECHANISM.as_bytes()) {
            let offered: String =
                String::from_utf8_lossy(mechanisms).replace('\0', " ").chars().take(100).collect();
            return Err(LoginError::Unsupported { said: mask(&format!("one of {}", offered.trim())).into() });
        }
        let first = client.first();
        let length = u32::try_from(first.len()).unwrap_or_default().to_be_bytes();
        self.answer(&[MECHANISM.as_bytes(), &[0], &length, first.as_bytes()].concat()).await?;
        let server_first = self.next_must_be(SASL_CONTINUE).await?;
        let server_first = str::from_utf8(&server_first).map_err(|_| does_not_belong())?;
        let challenge = client.challenge(server_first).map_err(LoginError::protocol)?;
        if challenge.iterations < DEFAULT_ITERATIONS {
            // Quickly tried out, by whoever recorded it or asked for it.
            self.must_be_allowed("a proof of the password in fewer than 4096 iterations")?;
        }
        let (proven, message) = if challenge.iterations.get() > QUICK_ITERATIONS {
            let password = self.login.password.clone();
            let proof = tokio::task::spawn_blocking(move || challenge.prove(&password)).await;
            proof.map_err(|error| LoginError::protocol(error.to_string()))?
        } else {
            challenge.prove(self.login.password)
        };
        self.awaits_verdict = true;
        self.answer(message.as_bytes()).await?;
        let server_final = self.next_must_be(SASL_FINAL).await?;
        if !str::from_utf8(&server_final).is_ok_and(|text| proven.is_answered_by(text)) {
            return Err(not_proven("the end of SCRAM is not signed with it"));
        }
        Ok(())
    }
}

fn request_code(body: &[u8]) -> Result<(u32, &[u8]), LoginError> {
    let (code, rest) = body.split_first_chunk().ok_or_else(does_not_belong)?;
    Ok((u32::from_be_bytes(*code), rest))
}

fn not_proven(said: &str) -> LoginError {
    LoginError::ServerNotProven { said: said.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rotation_database::{Authorities, Password};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use crate::scram::tests::{SERVER_FIRST, client, server_final};

    fn request(code: u32, rest: &[u8]) -> Vec<u8> {
        framed(b'R', &[&code.to_be_bytes(), rest].concat()).to_vec()
    }

    async fn log_in(tls: TlsUse, server: &[u8]) -> Result<Authenticated, LoginError> {
        let (mut stream, mut far) = tokio::io::duplex(1024 * 1024);
        far.write_all(server).await.unwrap();
        far.shutdown().await.unwrap();
        let authorities = Authorities::read(&|_| None).unwrap();
        let password = Password::new("the-password");
        let login = Login {
            host: "h",
            port: 1,
            user: "u",
            password: &password,
            database: None,
            tls,
            authorities: &authorities,
        };
        authenticate_with(client(), &mut stream, &login).await
    }

    #[tokio::test]
    async fn a_readable_password_is_sent_only_where_somebody_has_decided_so() {
        for (asks, method) in [
            (request(CLEAR_TEXT, &[]), Method::CleartextPassword),
            (request(MD5, &[1, 2, 3, 4]), Method::Md5),
        ] {
            let before = [b"N\0\0\0\x05\0".to_vec(), PARAMETER.to_vec()].concat();
            let server = [before, asks, let_in()].concat();
            let refused = log_in(TlsUse::NotOffered, &server).await;
            assert!(matches!(refused, Err(LoginError::ReadablePassword { .. })), "{refused:?}");
            for tls in [TlsUse::Verified, TlsUse::Off] {
                let logged_in = log_in(tls, &server).await.unwrap();
                assert_eq!(logged_in.method, method);
                assert_eq!(
                    logged_in.for_driver,
                    [PARAMETER, &AUTHENTICATION_OK, KEY, PARAMETER, READY].concat()
                );
            }
        }
    }

    const PARAMETER: &[u8] = b"S\0\0\0\x08a\0b\0";
    const KEY: &[u8] = b"K\0\0\0\x0c\0\0\0\x01\0\0\0\x02";
    const READY: &[u8] = b"Z\0\0\0\x05I";

    /// What a server says once it knows who it is.
    fn let_in() -> Vec<u8> {
        [&request(OK, &[]), KEY, PARAMETER, b"N\0\0\0\x05\0", READY].concat()
    }

    /// What a server says in a login by SCRAM.
    fn scram(server_first: &str, server_final: &str) -> Vec<u8> {
        let offer = request(SASL, b"SCRAM-SHA-256\0\0");
        let (first, last) = (server_first.as_bytes(), server_final.as_bytes());
        [offer, request(SASL_CONTINUE, first), request(SASL_FINAL, last), let_in()].concat()
    }

    #[tokio::test]
    async fn a_server_shows_that_it_knows_the_password_or_is_left() {
        let (right, wrong) =
            (server_final(&Password::new("the-password")), server_final(&Password::new("another")));
        for tls in [TlsUse::Verified, TlsUse::NotOffered] {
            let logged_in = log_in(tls, &scram(SERVER_FIRST, &right)).await.unwrap();
            assert_eq!(logged_in.method, Method::Sasl);
            for server_final in [&wrong, "e=other-error", ""] {
                let refused = log_in(tls, &scram(SERVER_FIRST, server_final)).await;
                assert!(matches!(refused, Err(LoginError::ServerNotProven { .. })), "{refused:?}");
            }
        }
        // By `trust`, which a certificate vouches for.
        let logged_in = log_in(TlsUse::Verified, &let_in()).await.unwrap();
        assert_eq!(logged_in.method, Method::Nothing);
        let refused = log_in(TlsUse::NotOffered, &let_in()).await;
        assert!(matches!(refused, Err(LoginError::ServerNotProven { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn few_iterations_are_as_good_as_a_readable_password() {
        let few = SERVER_FIRST.replace("i=4096", "i=4095");
        let refused = log_in(TlsUse::NotOffered, &scram(&few, "")).await;
        assert!(matches!(refused, Err(LoginError::ReadablePassword { .. })), "{refused:?}");
        // Beside the connection, and the same.
        let many = SERVER_FIRST.replace("i=4096", "i=20001");
        let refused = log_in(TlsUse::NotOffered, &scram(&many, "v=AAAA")).await;
        assert!(matches!(refused, Err(LoginError::ServerNotProven { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn what_does_not_belong_ends_it() {
        let offer = request(SASL, b"SCRAM-SHA-256\0\0");
        for (server, error_type) in [
            ([offer.clone(), request(OK, &[])].concat(), "LoginFailed"),
            ([offer, request(SASL_CONTINUE, b"r=x,s=AAAA,i=1")].concat(), "LoginFailed"),
            (b"T\0\0\0\x04".to_vec(), "LoginFailed"),
            (b"S\xff\0\0\0".to_vec(), "LoginFailed"),
            (PARAMETER.repeat(LONGEST), "LoginFailed"),
            ([&request(OK, &[]), &PARAMETER.repeat(LONGEST)[..]].concat(), "LoginFailed"),
            ([&request(OK, &[]), &b"T\0\0\0\x04"[..]].concat(), "LoginFailed"),
            (request(OK, &[]), "ConnectionFailed"),
            ([&request(OK, &[]), KEY, b"E\0\0\0\x0cC3D000\0\0"].concat(), "DatabaseNotFound"),
            ([&request(OK, &[]), &b"E\0\0\0\x0cC53300\0\0"[..]].concat(), "TooManyConnections"),
            (request(SASL, b"OAUTHBEARER\0\0"), "AuthenticationUnsupported"),
            (request(7, &[]), "AuthenticationUnsupported"),
            (b"Ecould not fork new process\n\0".to_vec(), "ConnectionFailed"),
            (b"R\0".to_vec(), "ConnectionFailed"),
        ] {
            let kind = match log_in(TlsUse::Verified, &server).await.unwrap_err() {
                LoginError::Protocol { .. } => "LoginFailed",
                LoginError::Unsupported { .. } => "AuthenticationUnsupported",
                LoginError::Network { .. } => "ConnectionFailed",
                LoginError::NoSuchDatabase { .. } => "DatabaseNotFound",
                LoginError::TooManyConnections { .. } => "TooManyConnections",
                other => panic!("{other:?}"),
            };
            assert_eq!(kind, error_type);
        }
    }

    /// As poolers answer: pgbouncer reports everything as 08P01.
    #[tokio::test]
    async fn error_that_answers_the_proof_is_a_rejected_password() {
        let error = |fields: &[&str]| {
            let body = fields.iter().flat_map(|field| [field.as_bytes(), &[0]].concat());
            framed(b'E', &body.chain([0]).collect::<Vec<_>>()).to_vec()
        };
        let offer = request(SASL, b"SCRAM-SHA-256\0\0");
        let challenge = request(SASL_CONTINUE, SERVER_FIRST.as_bytes());
        let end = request(SASL_FINAL, server_final(&Password::new("the-password")).as_bytes());
        let before_proof = [
            Vec::new(),
            offer.clone(),
            [&offer[..], &challenge, &end].concat(),
            [&offer[..], &challenge, &end, &request(OK, &[])].concat(),
            [request(MD5, &[1, 2, 3, 4]), request(OK, &[])].concat(),
        ];
        let after_proof =
            [[offer, challenge].concat(), request(CLEAR_TEXT, &[]), request(MD5, &[1, 2, 3, 4])];
        for code in ["C08P01", "C28000", "C28P01"] {
            let error = error(&["MSASL authentication failed", code]);
            for server in &after_proof {
                let refused = log_in(TlsUse::Verified, &[&server[..], &error].concat()).await;
                assert!(matches!(refused, Err(LoginError::Refused { .. })), "{code}: {refused:?}");
            }
            for server in before_proof.iter().filter(|_| code != "C28P01") {
                let failed = log_in(TlsUse::Verified, &[&server[..], &error].concat()).await;
                assert!(failed.is_err() && !matches!(failed, Err(LoginError::Refused { .. })), "{failed:?}");
            }
        }
        for (fields, expected) in [
            // PostgreSQL itself distinguishes: another service rejects the password, by PAM or LDAP.
            (&["C28000", "Rauth_failed"][..], "ClientRejected"),
            (&["C53300"], "TooManyConnections"),
            (&["C57P03"], "NotReady"),
        ] {
            let server = [request(CLEAR_TEXT, &[]), error(fields)].concat();
            let failed = format!("{:?}", log_in(TlsUse::Verified, &server).await.unwrap_err());
            assert!(failed.starts_with(expected), "{failed}");
        }
        // The lookup of pgbouncer (auth_query) finds no user, before it asks for a password.
        let refused = log_in(TlsUse::Verified, &error(&["C08P01", "Mno such user"])).await;
        assert!(matches!(refused, Err(LoginError::Refused { .. })), "{refused:?}");
    }

    #[tokio::test]
    async fn asking_for_the_method_sends_only_the_user() {
        let notice = b"N\0\0\0\x05\0".to_vec();
        for (server, expected) in [
            (request(OK, &[]), Some(Method::Nothing)),
            (request(CLEAR_TEXT, &[]), Some(Method::CleartextPassword)),
            ([notice, request(MD5, &[1, 2, 3, 4])].concat(), Some(Method::Md5)),
            (request(SASL, b"SCRAM-SHA-256\0\0"), Some(Method::Sasl)),
            (request(7, &[]), None),
            (b"E\0\0\0\x0cC28000\0\0".to_vec(), None),
            (b"R\0\0\0\x04".to_vec(), None),
            (Vec::new(), None),
        ] {
            let (mut stream, mut far) = tokio::io::duplex(1024);
            far.write_all(&server).await.unwrap();
            far.shutdown().await.unwrap();
            assert_eq!(demanded_method(&mut stream, "u", "d").await.ok(), expected);
            drop(stream);
            let mut heard = Vec::new();
            far.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, startup("u", "d"));
        }
    }

    proptest! {
        #[test]
        fn garbage_is_an_error(
            code in prop_oneof![Just(OK), Just(SASL), Just(SASL_CONTINUE), any::<u32>()],
            rest in proptest::collection::vec(any::<u8>(), 0..40),
            garbage in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let server = [PARAMETER, &request(code, &rest), &garbage].concat();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let done = runtime.block_on(log_in(TlsUse::NotOffered, &server));
            prop_assert!(done.is_err(), "{done:?}");
        }
    }
}
