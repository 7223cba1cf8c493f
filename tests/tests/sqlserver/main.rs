//! End-to-end tests of SQL Server: the real function over TLS, on the fake server in
//! `tests/fake_servers/sqlserver` or on a real server.

mod accounts;
mod azure;
mod classes;
mod contained;
mod databases;
mod encryption;
mod failures;
mod granted;
mod large;
mod pair_ownership;
mod privileges;
mod quoting;
mod redirects;
mod releases;
mod sync;
mod triggers;
mod unavailable_databases;

mod suite {
    rotation_tests::suite!(rotation_tests::sqlserver::on_each_release);
}
