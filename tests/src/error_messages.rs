//! Every message and remedy of the functions, in one snapshot for review. A changed text shows up
//! in the snapshot's diff (`cargo insta review`, or `INSTA_UPDATE=always` to accept it).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use rotation::{Cause, Error};
use rotation_database::{
    CredentialSource, Endpoint, EngineError, Error as DatabaseError, LoginAttempt, LoginError,
    SecretProblem, SimilarKey,
};

use crate::documentation::{error_types, files};
use crate::repository;

/// The value of a field whose content comes from a server, a service or the secret.
fn text(name: &str) -> String {
    format!("<{name}>")
}

fn errors_of_the_service() -> Vec<Error> {
    let (action, resource, message) = (text("action"), text("secret"), text("message"));
    let (endpoint, why, version) = (text("endpoint"), text("why"), text("version"));
    vec![
        Error::MalformedEvent { faults: vec![text("first problem"), text("second problem")] },
        Error::Setting { name: "TLS_MODE", fault: text("problem") },
        Error::RotationNotEnabled,
        Error::VersionUnknown { version: version.clone() },
        Error::VersionNotPending { version: version.clone(), labels: vec!["AWSPREVIOUS".into()] },
        Error::RotationUnfinished { version: version.clone() },
        Error::NoCurrentVersion,
        Error::NoPendingValue { version },
        Error::NotText { secret: resource.clone(), label: "AWSCURRENT".into() },
        Error::NotFound { what: text("what") },
        Error::AccessDenied {
            action: action.clone(),
            resource: resource.clone(),
            message: message.clone(),
        },
        Error::Kms { action: action.clone(), resource, message: message.clone() },
        Error::ReplicationFailed { replica: text("replica"), role: None, message: message.clone() },
        Error::ReplicationFailed {
            replica: text("replica"),
            role: Some(text("role")),
            message: message.clone(),
        },
        Error::Throttled { action: action.clone(), message: message.clone() },
        Error::Unreachable {
            endpoint: endpoint.clone(),
            action: "secretsmanager:GetSecretValue".into(),
            why: why.clone(),
        },
        Error::Unreachable {
            endpoint: endpoint.clone(),
            action: "rds:DescribeDBClusters".into(),
            why: why.clone(),
        },
        Error::CertificateRejected {
            endpoint,
            action: "secretsmanager:GetSecretValue".into(),
            why,
        },
        Error::MarkedForDeletion { action: action.clone(), message: message.clone() },
        Error::AwsCredentials { action: action.clone(), message: message.clone() },
        Error::Service { action, code: text("code"), message: message.clone() },
        Error::DeadlineExceeded { activity: text("activity") },
        Error::Panicked { message },
    ]
}

fn login_errors() -> Vec<LoginError> {
    let (message, remedy) = (text("message"), text("remedy of the engine"));
    let with_remedy =
        |make: fn(String, String) -> LoginError| make(message.clone(), remedy.clone());
    vec![
        LoginError::Refused { message: message.clone() },
        with_remedy(|message, remedy| LoginError::Locked { message, remedy }),
        with_remedy(|message, remedy| LoginError::Expired { message, remedy }),
        with_remedy(|message, remedy| LoginError::NotPermitted { message, remedy }),
        with_remedy(|message, remedy| LoginError::ClientRejected { message, remedy }),
        LoginError::NoSuchDatabase { message: message.clone() },
        with_remedy(|message, remedy| LoginError::DatabaseDenied { message, remedy }),
        LoginError::OtherAccount { user: text("user"), account: text("account") },
        LoginError::TooManyConnections { message: message.clone() },
        LoginError::NotReady { message: message.clone() },
        LoginError::DnsFailed { message: message.clone() },
        LoginError::NoListener { message: message.clone() },
        LoginError::ConnectTimeout { seconds: 5 },
        LoginError::Silent { seconds: 5 },
        LoginError::Network { message: message.clone() },
        LoginError::TlsNotOffered { keeps_password: true },
        LoginError::TlsNotOffered { keeps_password: false },
        LoginError::TlsLost { protocol: text("protocol") },
        LoginError::Redirected {
            target: text("other endpoint"),
            cause: Box::new(LoginError::ConnectTimeout { seconds: 3 }),
        },
        LoginError::Redirected {
            target: text("other endpoint"),
            cause: Box::new(LoginError::TlsWrongName { message: message.clone() }),
        },
        LoginError::RedirectedAgain { first: text("first"), second: text("second") },
        LoginError::TlsUntrusted { message: message.clone() },
        LoginError::TlsWrongName { message: message.clone() },
        LoginError::TlsExpired { message: message.clone() },
        LoginError::Tls { message: message.clone() },
        LoginError::CleartextPasswordRequested {
            asked: "<form of the password>",
            remedy: "<remedy of the engine>",
        },
        LoginError::ServerNotAuthenticated { message: message.clone() },
        LoginError::Unsupported { message: message.clone() },
        LoginError::ReleaseUnsupported { release: text("release"), oldest: "<oldest release>" },
        LoginError::TemporaryFolder { folder: text("folder"), message: message.clone() },
        LoginError::Protocol { message: message.clone() },
        LoginError::Query {
            error_type: "PrivilegeMissing",
            message: message.clone(),
            remedy: text("remedy of the engine"),
        },
        LoginError::Other { code: text("code"), message },
    ]
}

fn statement_errors() -> Vec<EngineError> {
    let (action, message) = (text("action"), text("message"));
    let remedy = text("remedy of the engine");
    vec![
        EngineError::PrivilegeMissing {
            action: action.clone(),
            message: message.clone(),
            remedy: remedy.clone(),
        },
        EngineError::PasswordRejected { message: message.clone(), remedy: remedy.clone() },
        EngineError::AccountExpired { message: message.clone(), remedy: remedy.clone() },
        EngineError::NoSuchUser { user: text("user") },
        EngineError::NeedsDecision { what: text("reason"), remedy },
        EngineError::UnverifiedPair {
            base: "app".into(),
            alternate: "app_clone".into(),
            why: None,
            consent: Some(text("statement")),
        },
        EngineError::unproven_base("app", "app_clone"),
        EngineError::not_writable(text("description")),
        EngineError::Busy { action: action.clone(), message: message.clone() },
        EngineError::Conflict { action: action.clone(), message: message.clone() },
        EngineError::Disconnected {
            action: action.clone(),
            cause: LoginError::Network { message: message.clone() },
        },
        EngineError::Failed { action, code: text("code"), message },
    ]
}

fn problems_of_a_secret() -> Vec<SecretProblem> {
    let alias = SimilarKey::Alias("user".into());
    vec![
        SecretProblem::NotJson(text("position")),
        SecretProblem::Utf16,
        SecretProblem::NotAnObject,
        SecretProblem::DoublyEncoded,
        SecretProblem::Nested { key: "database".into() },
        SecretProblem::Duplicate { key: "host".into() },
        SecretProblem::Missing { key: "host", instead: None },
        SecretProblem::Missing {
            key: "host",
            instead: Some(SimilarKey::OtherSpelling("Host".into())),
        },
        SecretProblem::Missing { key: "username", instead: Some(alias) },
        SecretProblem::Empty { key: "password" },
        SecretProblem::Unusable { key: "port", problem: text("problem") },
        SecretProblem::Server(text("problem of a master secret that RDS manages")),
    ]
}

fn errors_of_a_database() -> Vec<DatabaseError> {
    let endpoint = || Endpoint { host: "db.example.com".into(), port: 5432 };
    let master = || CredentialSource::Master(text("master secret"));
    let mut errors = vec![
        DatabaseError::Schema {
            label: "AWSCURRENT",
            engine: "PostgreSQL",
            problems: problems_of_a_secret(),
        },
        DatabaseError::MasterArnMissing { others: Vec::new() },
        DatabaseError::MasterArnMissing { others: vec![SecretProblem::Empty { key: "password" }] },
        DatabaseError::MasterSchema {
            arn: text("arn"),
            problems: vec![SecretProblem::Empty { key: "password" }],
        },
        DatabaseError::MasterHostMismatch {
            arn: text("arn"),
            master: text("server of the master secret"),
            secret: text("server of the secret"),
        },
        DatabaseError::MasterRegionMismatch {
            arn: text("arn"),
            master: "us-east-1".into(),
            secret: "eu-west-1".into(),
        },
        DatabaseError::UserMismatch {
            current: "app".into(),
            pending: "other".into(),
            expected: "app_clone".into(),
        },
        DatabaseError::HostMismatch { current: text("server"), pending: text("other server") },
        DatabaseError::UsersDiffer {
            endpoint: endpoint(),
            base: "app".into(),
            alternate: "app_clone".into(),
            differences: vec![text("first change"), text("second change")],
        },
        DatabaseError::UserNameTooLong {
            name: text("name"),
            length: text("length and limit"),
            can_be_raised: true,
        },
        DatabaseError::UserNameTooLong {
            name: text("name"),
            length: text("length and limit"),
            can_be_raised: false,
        },
        DatabaseError::PasswordUnusable { why: text("reason") },
        DatabaseError::ValueUnusable { why: text("reason") },
        DatabaseError::CredentialsRefused {
            endpoint: endpoint(),
            user: "app".into(),
            tried: vec![LoginAttempt { label: "AWSCURRENT".into(), result: text("message") }],
            also_means: Some("<other causes on this engine>"),
        },
        DatabaseError::Login {
            endpoint: endpoint(),
            user: "master".into(),
            credential: master(),
            cause: Box::new(LoginError::Refused { message: text("message") }),
        },
    ];
    errors.extend(login_errors().into_iter().map(|cause| DatabaseError::Login {
        endpoint: endpoint(),
        user: "app".into(),
        credential: CredentialSource::Version("AWSCURRENT"),
        cause: Box::new(cause),
    }));
    errors.extend(statement_errors().into_iter().map(|cause| DatabaseError::Statement {
        endpoint: endpoint(),
        user: "app".into(),
        cause: Box::new(cause),
    }));
    errors
}

#[test]
fn messages_and_remedies_of_all_error_types_are_as_reviewed() {
    let mut errors: Vec<(&str, String, String)> = errors_of_the_service()
        .iter()
        .map(|error| (error.error_type(), error.to_string(), error.remedy()))
        .collect();
    errors.extend(
        errors_of_a_database()
            .iter()
            .map(|error| (error.error_type(), error.to_string(), error.remedy())),
    );

    // docs/errors.md has a row for every error type: a new one must be added here.
    let covered: BTreeSet<&str> = errors.iter().map(|(error_type, ..)| *error_type).collect();
    assert_eq!(error_types(), covered, "error types in docs/errors.md, and in this test");

    let mut all = String::new();
    for (error_type, message, remedy) in errors {
        let _ = writeln!(all, "{error_type}\n  {message}\n  What to do: {remedy}\n");
    }
    insta::assert_snapshot!(all);
}

/// tests/README.md names a test for each error type of docs/errors.md.
#[test]
fn tests_page_names_a_test_for_each_error_type() -> anyhow::Result<()> {
    let mut sources = String::new();
    for folder in ["crates", "tests"] {
        for file in files(folder, "rs")? {
            sources.push_str(&std::fs::read_to_string(repository().join(file))?);
        }
    }
    let mut tests = BTreeSet::new();
    for row in include_str!("../README.md").lines().filter_map(|line| line.strip_prefix("| `")) {
        if let Some((error_type, test)) = row.split_once("` | `") {
            let test = test.trim_end_matches("` |");
            assert!(sources.contains(&format!("fn {test}")), "there is no test {test}");
            tests.insert(error_type);
        }
    }
    assert_eq!(error_types(), tests, "error types in docs/errors.md, and in tests/README.md");
    Ok(())
}
