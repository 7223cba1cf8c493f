//! The environment variables of the process.

/// The source of settings: the environment, or a closure in tests.
pub type Source<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// Reads a variable from the process's environment. An empty variable counts as absent, because SAM
/// parameters without a value are empty.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
