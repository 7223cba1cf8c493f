//! Oracle, end to end: the real function, TLS, and the peer in `tests/peers/oracle` or a real
//! database.

mod accounts;
mod failures;
mod names;
mod privileges;
mod quoting;
mod redirects;
mod sync;

mod suite {
    rotation_tests::suite!(rotation_tests::oracle::on_each);
}
