//! End-to-end tests of Oracle: the real function over TLS, on the fake server in
//! `tests/fake_servers/oracle` or on a real database.

mod accounts;
mod common_users;
mod failures;
mod large;
mod name_resolution;
mod privileges;
mod quoting;
mod read_only_users;
mod redirects;
mod releases;
mod schema_privileges;
mod settings;
mod side_effects;
mod sync;

mod suite {
    rotation_tests::suite!(rotation_tests::oracle::on_each);
}
