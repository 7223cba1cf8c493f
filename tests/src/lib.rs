//! What the end-to-end tests stand on: servers, a scene with users and secrets, and things that go wrong.

pub mod chain;
pub mod mysql;
pub mod postgres;
pub mod relay;
pub mod scene;

use std::path::PathBuf;

/// A binary of this workspace, which must have been built (`make test` does).
///
/// # Panics
/// When it has not been built.
pub fn binary(name: &str) -> PathBuf {
    // target/debug/deps/TEST → target/debug
    let path = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.parent()?.join(name)))
        .filter(|path| path.exists());
    match path {
        Some(path) => path,
        None => panic!("{name} is not built: cargo build --workspace"),
    }
}
