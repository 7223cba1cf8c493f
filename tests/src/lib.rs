//! The building blocks of the end-to-end tests: servers, fixtures with users and secrets, and fault
//! injection.

pub mod browser;
pub mod child_process;
pub mod discovery;
pub mod docker;
pub mod documentation;
#[cfg(test)]
mod error_messages;
pub mod fake_poolers;
pub mod fake_server;
pub mod fixture;
pub mod iam;
pub mod judges;
pub mod local;
pub mod machine_speed;
pub mod memory;
pub mod moto;
pub mod mysql;
pub mod oracle;
pub mod postgres;
pub mod proxy;
pub mod redis;
pub mod run_folder;
pub mod runtime_emulator;
pub mod sam;
pub mod server;
pub mod sqlserver;
pub mod suite;
pub mod table;
pub mod template;

use std::path::{Path, PathBuf};

/// Returns the root folder of the repository.
pub fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Returns the path of a binary of this workspace, which must have been built (`make test` builds
/// it).
///
/// # Panics
/// Panics if the binary has not been built.
pub fn binary(name: &str) -> PathBuf {
    // A test is target/debug/deps/TEST, and with-servers is target/debug/with-servers.
    let exe = std::env::current_exe().unwrap_or_default();
    let path =
        exe.ancestors().skip(1).take(2).map(|folder| folder.join(name)).find(|path| path.is_file());
    match path {
        Some(path) => path,
        None => panic!("{name} is not built: cargo build --workspace"),
    }
}

/// Returns the path of a program that `tests/setup.sh` has installed for this checkout. An empty
/// name gives the folder of these programs.
pub fn tool(name: &str) -> PathBuf {
    repository().join("target/tools/bin").join(name)
}

#[cfg(test)]
mod tests {
    use super::repository;
    use crate::documentation::error_types;

    /// Operators search `docs/errors.md` for an error type, so the page must list every one and no
    /// other.
    #[test]
    fn errors_page_lists_every_error_type() {
        let rows = error_types();
        let mut names = std::collections::BTreeSet::new();
        for file in [
            "rotation/src/error.rs",
            "rotation-database/src/error.rs",
            "rotation-database/src/login_error.rs",
            "rotation-database/src/engine_error.rs",
        ] {
            let source = std::fs::read_to_string(repository().join("crates").join(file)).unwrap();
            let (_, body) = source.rsplit_once("fn error_type(&self) -> &'static str {").unwrap();
            let body = body.split("\n    }\n").next().unwrap();
            for name in body.split('"').skip(1).step_by(2) {
                // This string is the condition of a match arm, not its error type.
                if name.contains(':') {
                    continue;
                }
                assert!(rows.contains(name), "{name} of {file} has no row in docs/errors.md");
                names.insert(name.to_owned());
            }
        }
        assert!(names.len() > 45, "found only {} error types", names.len());
        for row in rows {
            assert!(
                names.contains(row),
                "docs/errors.md has a row for {row}, which no function returns"
            );
        }
        // The local tool decides by these names, so a renamed error must not drop out of its lists.
        for (file, list) in [
            ("rotation-driver/src/rotation.rs", "NOT_RETRIED"),
            ("rotation-local/src/rotate/attempt.rs", "ERRORS_BEFORE_CHANGE"),
        ] {
            let source = std::fs::read_to_string(repository().join("crates").join(file)).unwrap();
            let (_, body) = source.split_once(&format!("const {list}: [&str; ")).unwrap();
            let (body, _) = body.split_once("];").unwrap();
            let mut listed =
                body.split('"').skip(1).step_by(2).filter(|name| !name.starts_with("Local."));
            assert!(listed.clone().count() > 10, "could not parse {list}");
            assert_eq!(listed.find(|name| !names.contains(*name)), None, "{list} of {file}");
        }
    }
}
