//! Tests of regular logins, and of servers that violate the protocol.

use super::*;
use proptest::prelude::*;
use rotation_database::{CaCertificates, Password};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::scram::tests::{SERVER_FIRST, client, server_final};

pub(super) fn request(code: u32, rest: &[u8]) -> Vec<u8> {
    framed(b'R', &[&code.to_be_bytes(), rest].concat()).to_vec()
}

async fn log_in(tls: TlsUse, server: &[u8]) -> Result<Authenticated, LoginError> {
    let (mut stream, mut far) = tokio::io::duplex(1024 * 1024);
    far.write_all(server).await.unwrap();
    far.shutdown().await.unwrap();
    let authorities = CaCertificates::read(&|_| None).unwrap();
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
async fn cleartext_password_needs_tls_or_consent_in_secret() {
    for (asks, method) in [
        (request(CLEAR_TEXT, &[]), Method::CleartextPassword),
        (request(MD5, &[1, 2, 3, 4]), Method::Md5),
    ] {
        let before = [b"N\0\0\0\x05\0".to_vec(), PARAMETER.to_vec()].concat();
        let server = [before, asks, let_in()].concat();
        let refused = log_in(TlsUse::NotOffered, &server).await;
        assert!(
            matches!(refused, Err(LoginError::CleartextPasswordRequested { .. })),
            "{refused:?}"
        );
        for tls in [TlsUse::Verified, TlsUse::Off] {
            let logged_in = log_in(tls, &server).await.unwrap();
            assert_eq!(logged_in.method, method);
            assert_eq!(
                logged_in.startup_response,
                [PARAMETER, &AUTHENTICATION_OK, KEY, PARAMETER, READY].concat()
            );
        }
    }
}

pub(super) const PARAMETER: &[u8] = b"S\0\0\0\x08a\0b\0";
pub(super) const KEY: &[u8] = b"K\0\0\0\x0c\0\0\0\x01\0\0\0\x02";
pub(super) const READY: &[u8] = b"Z\0\0\0\x05I";

/// Returns the messages of a server after it has authenticated the user.
fn let_in() -> Vec<u8> {
    [&request(OK, &[]), KEY, PARAMETER, b"N\0\0\0\x05\0", READY].concat()
}

/// Returns the messages of a server in a SCRAM login.
fn scram(server_first: &str, server_final: &str) -> Vec<u8> {
    let offer = request(SASL, b"SCRAM-SHA-256\0\0");
    let (first, last) = (server_first.as_bytes(), server_final.as_bytes());
    [offer, request(SASL_CONTINUE, first), request(SASL_FINAL, last), let_in()].concat()
}

#[tokio::test]
async fn server_must_prove_that_it_knows_the_password() {
    let (right, wrong) =
        (server_final(&Password::new("the-password")), server_final(&Password::new("another")));
    for tls in [TlsUse::Verified, TlsUse::NotOffered] {
        let logged_in = log_in(tls, &scram(SERVER_FIRST, &right)).await.unwrap();
        assert_eq!(logged_in.method, Method::Sasl);
        for server_final in [&wrong, "e=other-error", ""] {
            let refused = log_in(tls, &scram(SERVER_FIRST, server_final)).await;
            assert!(
                matches!(refused, Err(LoginError::ServerNotAuthenticated { .. })),
                "{refused:?}"
            );
        }
    }
    // With the rule `trust`, only the certificate proves the server's identity.
    let logged_in = log_in(TlsUse::Verified, &let_in()).await.unwrap();
    assert_eq!(logged_in.method, Method::Nothing);
    let refused = log_in(TlsUse::NotOffered, &let_in()).await;
    assert!(matches!(refused, Err(LoginError::ServerNotAuthenticated { .. })), "{refused:?}");
}

#[tokio::test]
async fn few_scram_iterations_are_rejected_without_tls() {
    let few = SERVER_FIRST.replace("i=4096", "i=4095");
    let refused = log_in(TlsUse::NotOffered, &scram(&few, "")).await;
    assert!(matches!(refused, Err(LoginError::CleartextPasswordRequested { .. })), "{refused:?}");
    // A proof that is computed on another thread gives the same result.
    let many = SERVER_FIRST.replace("i=4096", "i=20001");
    let refused = log_in(TlsUse::NotOffered, &scram(&many, "v=AAAA")).await;
    assert!(matches!(refused, Err(LoginError::ServerNotAuthenticated { .. })), "{refused:?}");
}

#[tokio::test]
async fn unexpected_message_ends_the_login() {
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

/// Poolers report a rejected password in their own ways: pgbouncer reports every error as 08P01.
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
            assert!(
                failed.is_err() && !matches!(failed, Err(LoginError::Refused { .. })),
                "{failed:?}"
            );
        }
    }
    for (fields, expected) in [
        // PostgreSQL itself has an exact code: PAM or LDAP rejects the login.
        (&["C28000", "Rauth_failed"][..], "ClientRejected"),
        (&["C53300"], "TooManyConnections"),
        (&["C57P03"], "NotReady"),
    ] {
        let server = [request(CLEAR_TEXT, &[]), error(fields)].concat();
        let failed = format!("{:?}", log_in(TlsUse::Verified, &server).await.unwrap_err());
        assert!(failed.starts_with(expected), "{failed}");
    }
    // pgbouncer's lookup (auth_query) finds no user, and reports it before it asks for a password.
    let refused = log_in(TlsUse::Verified, &error(&["C08P01", "Mno such user"])).await;
    assert!(matches!(refused, Err(LoginError::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn demanded_method_sends_only_startup_message() {
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
    fn garbage_from_server_is_an_error(
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
