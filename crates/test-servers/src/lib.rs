//! Temporary PostgreSQL, MySQL and MariaDB servers with TLS.
//!
//! Use this crate where a test, a demo or a benchmark needs a real database server. It starts a
//! server that is installed on this machine. The server's data is in a temporary folder, and the
//! server stops when its value is dropped. The crate knows nothing of secrets and rotations.
//!
//! - [`postgres`] and [`mysql`] find an installed server, start it and log in to it.
//! - [`Certificates`] creates a private CA and a server certificate.
//! - [`NodelayProxy`] makes logins with `sqlx` fast.
//!
//! # Example
//!
//! ```no_run
//! use anyhow::Context;
//! use test_servers::{Certificates, postgres};
//!
//! # async fn example() -> anyhow::Result<()> {
//! let installation = postgres::find().context("PostgreSQL is not installed")?;
//! let options = postgres::Options {
//!     certificates: Some(Certificates::for_names(&["localhost"])?),
//!     configuration: String::new(),
//!     access_rules: String::new(),
//!     password: "of-the-superuser".into(),
//! };
//! let server = postgres::Server::start(&installation, options)?;
//! let session = server.superuser("postgres").await?;
//! # drop(session);
//! # Ok(())
//! # }
//! ```

mod certificates;
mod data_folder;
pub mod mysql;
mod nodelay_proxy;
pub mod postgres;
mod server;

pub use certificates::Certificates;
pub use nodelay_proxy::NodelayProxy;
pub use server::{Installation, RUN_FOLDER, free_port, install_folder, is_root, sid_root};
