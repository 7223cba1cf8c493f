//! SQL Server, end to end: the real function, TLS, and the peer in `tests/peers/sqlserver` or a
//! real server.

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
