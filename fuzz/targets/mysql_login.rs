//! Fuzzes the server's side of a MySQL login without TLS. The client must never send the password.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotation_mysql::inspect;

fuzz_target!(|server: &[u8]| inspect::login(server));
