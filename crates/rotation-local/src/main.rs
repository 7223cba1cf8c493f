//! The program `rotation-local`: a local AWS Secrets Manager that runs rotation functions.

#[tokio::main]
async fn main() -> std::process::ExitCode {
    rotation_local::cli::main().await
}
