//! Database servers that live in a temporary folder, for the demonstration and the tests.

mod certificates;
pub mod mysql;
pub mod postgres;
mod server;
mod shortcut;

pub use certificates::Certificates;
pub use server::{Installation, free_port, is_root, sid_root};
pub use shortcut::Shortcut;
