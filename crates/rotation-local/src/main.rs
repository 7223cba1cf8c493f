//! `rotation-local`: AWS Secrets Manager on loopback, and the trigger that drives a rotation
//! function.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    rotation_local::cli::main().await
}
