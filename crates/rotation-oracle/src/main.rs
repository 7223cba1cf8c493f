//! The Lambda function that rotates Oracle passwords.

fn main() -> std::process::ExitCode {
    rotation_database::run(rotation_oracle::Oracle)
}
