//! The commands that a remedy names: where the function runs, the operator must have them.
//!
//! In AWS these are commands of the AWS CLI. On a laptop, `rotation-local` runs the function with a
//! secret in a file, and its Secrets Manager ends with it; it names the files in the environment.

use std::sync::LazyLock;

/// The file with the secret, where `rotation-local rotate` or `preflight` runs the function.
static SECRET_FILE: LazyLock<Option<String>> =
    LazyLock::new(|| crate::settings::environment("ROTATION_LOCAL_SECRET"));
/// The file with the master user's secret.
static MASTER_FILE: LazyLock<Option<String>> =
    LazyLock::new(|| crate::settings::environment("ROTATION_LOCAL_MASTER"));

/// The file with the secret, if the function works on one.
pub fn secret_file() -> Option<&'static str> {
    SECRET_FILE.as_deref()
}

/// The place of the master user's secret: its file, or `arn`.
pub fn master_secret(arn: &str) -> &str {
    MASTER_FILE.as_deref().unwrap_or(arn)
}

/// How the operator stores a value of the secret.
pub fn store() -> String {
    match secret_file() {
        Some(file) => format!("edit {file}"),
        None => {
            "aws secretsmanager put-secret-value --secret-id SECRET --secret-string file://secret.json".into()
        }
    }
}

/// How the operator starts a rotation.
pub fn rotate_again() -> String {
    match secret_file() {
        Some(_) => "rotation-local rotate".into(),
        None => "aws secretsmanager rotate-secret --secret-id SECRET".into(),
    }
}

/// How the operator reads the password of the pending version.
pub fn read_pending() -> String {
    match secret_file() {
        Some(file) => format!("{file}.rotation"),
        None => "aws secretsmanager get-secret-value --secret-id SECRET --version-stage AWSPENDING"
            .into(),
    }
}

/// How the operator ends the rotation of a version that is to go no further.
pub fn give_up(version: &str) -> String {
    match secret_file() {
        Some(_) => "the same rotation-local rotate with --abandon".into(),
        None => format!(
            "aws secretsmanager cancel-rotate-secret --secret-id SECRET; aws secretsmanager \
             update-secret-version-stage --secret-id SECRET --version-stage AWSPENDING --remove-from-version-id \
             {version}"
        ),
    }
}
