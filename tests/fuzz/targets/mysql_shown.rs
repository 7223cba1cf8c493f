//! Whatever a server of MySQL or MariaDB shows of a user: it is read for certain, or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| rotation_mysql::inspect::shown(text));
