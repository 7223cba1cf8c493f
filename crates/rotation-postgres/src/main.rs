//! The Lambda function that rotates PostgreSQL passwords.

// Lower than the compiler's own limit of 128: futures that are nested too deep are found here, and
// not only in a build with other settings.
#![recursion_limit = "112"]

fn main() -> std::process::ExitCode {
    rotation_database::run(rotation_postgres::Postgres::default())
}
