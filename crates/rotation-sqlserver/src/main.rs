//! The Lambda function that rotates SQL Server passwords.

fn main() -> std::process::ExitCode {
    rotation_database::run(rotation_sqlserver::SqlServer::default())
}
