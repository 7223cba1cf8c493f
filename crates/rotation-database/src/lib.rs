//! What every database shares in a rotation.
//!
//! The schemas of database secrets, the two strategies (*single user* and *alternating users*,
//! which AWS's templates call "multi user" or "master user"), the TLS policy, and master secrets.
//! How a certain server logs in, quotes and changes a password is the business of an [`Engine`].
//! Nothing here knows SQL.

mod connect;
mod document;
mod engine;
mod engine_error;
mod error;
mod host;
mod login_error;
mod master;
mod master_secret;
mod preflight;
mod rds;
mod rotator;
mod schema;
mod secret;
mod settings;
mod shortened;
mod strategy;
pub mod sync;
mod tls;
mod versions;
mod wire;
mod written_host;

pub use document::Ssl;
pub use engine::{
    Changed, Engine, Login, PasswordChange, PasswordReset, Server, SessionAccount, TlsUse,
};
pub use engine_error::{EngineError, administrator, edit_of_secret};
pub use error::{CredentialSource, Error, LoginAttempt, Place};
pub use login_error::LoginError;
pub use rotation::{Password, mask, remember_derived};
pub use rotator::DatabaseRotator;
pub use schema::{
    DatabaseKey, EngineSpec, MARIADB, MYSQL, NameLimit, ORACLE, POSTGRES, SCHEMAS, SQLSERVER,
};
pub use secret::DatabaseSecret;
pub use settings::{Settings, StrategyKind};
pub use strategy::{MastersTask, UserPair};
pub use sync::{PasswordSet, ProvenUser, SyncReport, SyncRequest};
pub use tls::{Authorities, Encrypted, TlsMode, encrypt};
pub use wire::{Stream, Wire, dial};

/// By what name a session shows itself to the server, so that an administrator knows who is there.
pub const APPLICATION: &str = "secrets-rotation";

/// Runs an engine as a Lambda function: the whole of a `main`.
pub fn run<E: Engine>(engine: E) -> std::process::ExitCode {
    rotation::run(move |environment| DatabaseRotator::new(engine, environment))
}
