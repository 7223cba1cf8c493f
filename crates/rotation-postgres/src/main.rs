//! The Lambda function that rotates PostgreSQL passwords.

// Lower than the compiler's default of 128, so that this build fails if futures are nested too
// deeply, and not only a build with other settings.
#![recursion_limit = "112"]

fn main() -> std::process::ExitCode {
    rotation_database::run(rotation_postgres::Postgres::default())
}
