//! The environment of a function that uses the local Secrets Manager.

use rotation_driver::Program;
use secretsmanager_emulator::REGION;

/// The environment variable that holds the passphrase of the state file.
pub(crate) const PASSPHRASE: &str = "ROTATION_LOCAL_PASSPHRASE";

/// Sets the variables with which a function finds the local Secrets Manager, and keeps the
/// passphrase of this process from it.
pub(crate) fn with_service_env(program: Program, endpoint: &str, key: &str) -> Program {
    program
        .without(PASSPHRASE)
        .env("SECRETS_MANAGER_ENDPOINT", endpoint)
        // Third-party functions use the SDKs' own variables.
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", endpoint)
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", "local")
}
