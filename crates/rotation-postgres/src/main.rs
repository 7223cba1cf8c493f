//! The Lambda function that rotates PostgreSQL passwords.

// Some builds nest futures more deeply than this one. A limit below the compiler's default of 128
// makes this build fail before they do.
#![recursion_limit = "112"]

fn main() -> std::process::ExitCode {
    rotation_database::run(rotation_postgres::Postgres::default())
}
