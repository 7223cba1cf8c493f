//! The Lambda function that rotates MySQL passwords.

fn main() -> std::process::ExitCode {
    rotation_database::run(rotation_mysql::MySql::default())
}
