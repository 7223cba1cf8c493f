//! The commands in remedies. They depend on where the function runs.
//!
//! In AWS, they are commands of the AWS CLI. On a laptop, `rotation-local` runs the function with a
//! secret in a file. Its Secrets Manager exists only while `rotation-local` runs, so the remedies
//! name the file, whose path `rotation-local` passes in the environment.

use std::sync::LazyLock;

/// The file with the secret, if `rotation-local rotate` or `preflight` runs the function.
static SECRET_FILE: LazyLock<Option<String>> =
    LazyLock::new(|| crate::environment::environment("ROTATION_LOCAL_SECRET"));
/// The file with the master user's secret.
static MASTER_FILE: LazyLock<Option<String>> =
    LazyLock::new(|| crate::environment::environment("ROTATION_LOCAL_MASTER"));

/// Returns the file with the secret, if the function rotates a secret in a file.
pub fn secret_file() -> Option<&'static str> {
    SECRET_FILE.as_deref()
}

/// Returns the location of the master user's secret: its file, or `arn`.
pub fn master_secret(arn: &str) -> &str {
    MASTER_FILE.as_deref().unwrap_or(arn)
}

/// Returns the command that stores a value of the secret.
pub fn store() -> String {
    match secret_file() {
        Some(file) => format!("edit {file}"),
        None => "aws secretsmanager put-secret-value --secret-id SECRET \
             --secret-string file://secret.json"
            .into(),
    }
}

/// Returns the command that starts a rotation.
pub fn rotate_again() -> String {
    match secret_file() {
        Some(_) => "rotation-local rotate".into(),
        None => "aws secretsmanager rotate-secret --secret-id SECRET".into(),
    }
}

/// Returns the command or the file that shows the password of the pending version.
pub fn read_pending() -> String {
    match secret_file() {
        Some(file) => format!("{file}.rotation"),
        None => "aws secretsmanager get-secret-value --secret-id SECRET --version-stage AWSPENDING"
            .into(),
    }
}

/// Returns the commands that cancel the rotation of a version.
pub fn give_up(version: &str) -> String {
    match secret_file() {
        Some(_) => "repeat the rotation-local rotate command with --abandon".into(),
        None => format!(
            "aws secretsmanager cancel-rotate-secret --secret-id SECRET; aws secretsmanager \
             update-secret-version-stage --secret-id SECRET --version-stage AWSPENDING \
             --remove-from-version-id {version}"
        ),
    }
}
