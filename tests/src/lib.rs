//! What the end-to-end tests stand on: servers, a scene with users and secrets, and things that go wrong.

pub mod chain;
pub mod moto;
pub mod mysql;
pub mod postgres;
pub mod redis;
pub mod relay;
pub mod rie;
pub mod scene;
pub mod server;
pub mod suite;

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

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// The table of errors in the README is what people search for: it must name every one.
    #[test]
    fn the_readme_names_every_error_type() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
        let mut count = 0;
        for file in [
            "rotation/src/error.rs",
            "rotation-database/src/error.rs",
            "rotation-database/src/login_error.rs",
            "rotation-database/src/engine_error.rs",
        ] {
            let source = std::fs::read_to_string(root.join("crates").join(file)).unwrap();
            let (_, body) = source.rsplit_once("fn error_type(&self) -> &'static str {").unwrap();
            let body = body.split("\n    }\n").next().unwrap();
            for name in body.split('"').skip(1).step_by(2) {
                assert!(readme.contains(&format!("`{name}`")), "{name} of {file} is not in the README");
                count += 1;
            }
        }
        assert!(count > 45, "only {count} found");
    }
}
