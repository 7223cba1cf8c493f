//! Fuzzes the statements with which MySQL and MariaDB show a user. Each is either parsed exactly or
//! rejected.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| rotation_mysql::inspect::shown(text));
