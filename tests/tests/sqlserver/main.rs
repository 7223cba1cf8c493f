//! End-to-end tests of SQL Server: the real function over TLS, on the fake server in
//! `tests/peers/sqlserver` or on a real server.

mod accounts;
mod contained;
mod databases;
mod encryption;
mod failures;
mod pairs;
mod privileges;
mod quoting;
mod sync;
mod triggers;

mod suite {
    rotation_tests::suite!(rotation_tests::sqlserver::on_each);
}
