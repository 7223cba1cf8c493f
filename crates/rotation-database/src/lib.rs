//! The parts of a database rotation that are the same for every database engine.
//!
//! Use this crate to write a Lambda function that rotates the users of a database engine. Implement
//! the traits [`Engine`], which logs in to a server, and [`Session`], which changes passwords and
//! users there, and pass the engine to [`run`] in `main`. This crate is built on the crate
//! `rotation` and provides:
//!
//! - the schemas of database secrets, with checks of every key
//! - the strategies *single user* and *alternating users* (AWS's templates call the latter "multi
//!   user" or "master user")
//! - the master secrets, including those that RDS manages
//! - the TLS policy and the connections
//! - the preflight checks
//!
//! # Example
//!
//! The skeleton of an engine whose server has a line protocol. It supports a single user that
//! changes its own password. `sync_users` and the other operations of a master user report that
//! they are not supported.
//!
//! ```no_run
//! use rotation_database::*;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! struct Lines;
//!
//! struct LineSession(Encrypted);
//!
//! const SPEC: EngineSpec = EngineSpec {
//!     name: "lines",
//!     also: &[],
//!     display: "Lines",
//!     default_port: 7000,
//!     database: DatabaseKey::Optional(None),
//!     auth_failure_hint: None,
//!     ..POSTGRES
//! };
//!
//! impl Engine for Lines {
//!     const SPEC: &'static EngineSpec = &SPEC;
//!     type Session = LineSession;
//!
//!     async fn log_in(&self, login: &Login<'_>) -> Result<LineSession, LoginError> {
//!         let stream = dial(login.host, login.port).await?;
//!         let mut session = LineSession(encrypt(stream, login.host, login.authorities).await?);
//!         let line = format!("LOGIN {} {}\n", login.user, login.password.expose());
//!         match session.ask(&line).await.map_err(|error| LoginError::from_io(&error))? {
//!             true => Ok(session),
//!             false => Err(LoginError::Refused { message: "the server said no".into() }),
//!         }
//!     }
//! }
//!
//! impl LineSession {
//!     /// Sends a line. The server answers with one byte.
//!     async fn ask(&mut self, line: &str) -> std::io::Result<bool> {
//!         self.0.write_all(line.as_bytes()).await?;
//!         Ok(self.0.read_u8().await? == b'+')
//!     }
//! }
//!
//! impl Session for LineSession {
//!     async fn session_account(&mut self, user: &str) -> Result<SessionAccount, EngineError> {
//!         // A server with aliases or proxy users must be asked for the account.
//!         let (id, name) = (user.to_owned(), user.to_owned());
//!         Ok(SessionAccount { id, name, is_of_user: true, note: None })
//!     }
//!
//!     async fn change_password(
//!         &mut self,
//!         change: &PasswordChange<'_>,
//!     ) -> Result<Changed, EngineError> {
//!         let action = "change the password".to_owned();
//!         match self.ask(&format!("PASSWORD {}\n", change.new.expose())).await {
//!             Ok(true) => Ok(Changed::Now),
//!             Ok(false) => Err(EngineError::Failed {
//!                 action,
//!                 code: "NO".into(),
//!                 message: "the server said no".into(),
//!             }),
//!             Err(error) => {
//!                 Err(EngineError::Disconnected { action, cause: LoginError::from_io(&error) })
//!             }
//!         }
//!     }
//!
//!     async fn sync_users(&mut self, _: &SyncRequest<'_>) -> Result<SyncReport, EngineError> {
//!         Err(unsupported())
//!     }
//!
//!     async fn differences(&mut self, _: &SyncRequest<'_>) -> Result<Vec<String>, EngineError> {
//!         Err(unsupported())
//!     }
//!
//!     async fn set_password(
//!         &mut self,
//!         _: &PasswordReset<'_>,
//!     ) -> Result<PasswordSet, EngineError> {
//!         Err(unsupported())
//!     }
//!
//!     async fn missing_privileges(
//!         &mut self,
//!         _: &str,
//!         _: MasterTask<'_>,
//!     ) -> Result<Vec<EngineError>, EngineError> {
//!         Err(unsupported())
//!     }
//!
//!     async fn close(self) {}
//! }
//!
//! fn unsupported() -> EngineError {
//!     EngineError::NeedsDecision {
//!         what: "this engine has no master user".into(),
//!         remedy: "Set ROTATION_STRATEGY=single-user.".into(),
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     rotation_database::run(Lines)
//! }
//! ```
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
    Changed, Engine, Login, PasswordChange, Pooler, Server, Session, SessionAccount, TlsUse,
};
pub use engine_error::{EngineError, administrator, edit_of_secret, privilege_remedy};
pub use error::{CredentialSource, Endpoint, Error, LoginAttempt};
pub use host::endpoint;
pub use login_error::LoginError;
pub use problem::{SecretProblem, SimilarKey};
pub use rotation::{Password, mask, redact_derived};
pub use rotator::DatabaseRotator;
pub use schema::{
    DatabaseKey, EngineSpec, MARIADB, MYSQL, NameLimit, ORACLE, POSTGRES, SCHEMAS, SQLSERVER,
};
pub use secret::DatabaseSecret;
pub use settings::{Settings, StrategyKind};
pub use sync::{PasswordRequest, PasswordReset, PasswordSet, ProvenUser, SyncReport, SyncRequest};
pub use tls::{CaCertificates, Encrypted, TlsMode, encrypt};
pub use user_pair::{MasterTask, UserPair};
pub use wire::{Stream, Wire, dial};

/// The application name of every session, so that an administrator of the database recognizes it.
pub const APPLICATION: &str = "secrets-rotation";

/// Runs an engine as a Lambda function. A `main` needs only this call.
pub fn run<E: Engine>(engine: E) -> std::process::ExitCode {
    rotation::run(move |environment| DatabaseRotator::new(engine, environment))
}
