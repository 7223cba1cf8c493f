//! The Lambda function that rotates PostgreSQL passwords.

fn main() -> std::process::ExitCode {
    rotation_database::run(rotation_postgres::Postgres::default())
}
