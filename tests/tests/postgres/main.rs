//! End-to-end tests of PostgreSQL: the real function on real servers over TLS.

mod cleartext;
mod failures;
mod hostile;
mod impostors;
mod kinds;
mod login;
mod manager;
mod pairs;
mod password_form;
mod poolers;
mod privileges;
mod quoting;
mod rds;
mod settings;
mod sync;

mod suite {
    rotation_tests::suite!(rotation_tests::postgres::on_each, rotation_tests::postgres::on_newest);
}
