//! The Lambda function that rotates MariaDB passwords.

fn main() -> std::process::ExitCode {
    rotation_database::run(rotation_mysql::MariaDb::default())
}
