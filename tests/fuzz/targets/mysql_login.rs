//! A server of any bytes takes part in a login to MySQL without TLS: it hears no password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotation_mysql::inspect;

fuzz_target!(|server: &[u8]| inspect::login(server));
