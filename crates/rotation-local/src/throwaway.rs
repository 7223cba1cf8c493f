//! Temporary database servers for the demo, the benchmark and the tests. Their data is in a
//! temporary folder.

mod certificates;
pub mod mysql;
pub mod postgres;
mod server;
mod shortcut;

pub use certificates::Certificates;
pub use server::{Installation, free_port, is_root, sid_root};
pub use shortcut::NodelayProxy;
