//! The parts of a database rotation that are the same for every database engine.
//!
//! Use this crate to write a Lambda function that rotates the users of a database engine. Implement
//! the trait [`Engine`], which logs in to a server, quotes names and changes passwords, and pass it
//! to [`run`] in `main`. This crate is built on the crate `rotation` and provides:
//!
//! - the schemas of database secrets, with checks of every key
//! - the strategies *single user* and *alternating users* (AWS's templates call the latter "multi
//!   user" or "master user")
//! - the master secrets, including those that RDS manages
//! - the TLS policy and the connections
//! - the preflight checks
//!
//! This crate contains no SQL. The crates `rotation-postgres`, `rotation-mysql`,
//! `rotation-sqlserver` and `rotation-oracle` use it.

mod connect;
mod database;
mod document;
mod engine;
mod engine_error;
mod error;
mod host;
mod login_error;
mod master;
mod master_secret;
mod preflight;
mod problem;
mod rds;
mod rotator;
mod schema;
mod secret;
mod settings;
mod shortened;
mod strategy;
pub mod sync;
mod tls;
mod user_pair;
mod versions;
mod wire;
mod written_host;

pub use document::Ssl;
pub use engine::{
    Changed, Engine, Login, PasswordChange, PasswordReset, Server, SessionAccount, TlsUse,
};
pub use engine_error::{EngineError, administrator, edit_of_secret};
pub use error::{CredentialSource, Endpoint, Error, LoginAttempt};
pub use login_error::LoginError;
pub use problem::{SecretProblem, SimilarKey};
pub use rotation::{Password, mask, redact_derived};
pub use rotator::DatabaseRotator;
pub use schema::{
    DatabaseKey, EngineSpec, MARIADB, MYSQL, NameLimit, ORACLE, POSTGRES, SCHEMAS, SQLSERVER,
};
pub use secret::DatabaseSecret;
pub use settings::{Settings, StrategyKind};
pub use sync::{PasswordSet, ProvenUser, SyncReport, SyncRequest};
pub use tls::{CaCertificates, Encrypted, TlsMode, encrypt};
pub use user_pair::{MasterTask, UserPair};
pub use wire::{Stream, Wire, dial};

/// The application name of every session, so that an administrator of the database recognizes it.
pub const APPLICATION: &str = "secrets-rotation";

/// Runs an engine as a Lambda function. A `main` needs only this call.
pub fn run<E: Engine>(engine: E) -> std::process::ExitCode {
    rotation::run(move |environment| DatabaseRotator::new(engine, environment))
}
