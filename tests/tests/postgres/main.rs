//! End-to-end tests of PostgreSQL: the real function on real servers over TLS.

mod cleartext;
mod failures;
mod login;
mod pair_ownership;
mod password_form;
mod pgcat;
mod planted_code;
mod poolers;
mod privilege_matrix;
mod privileges;
mod quoting;
mod rds;
mod rogue_server;
mod secrets_manager_errors;
mod settings;
mod sync;

mod suite {
    rotation_tests::suite!(rotation_tests::postgres::on_each, rotation_tests::postgres::on_newest);
}
