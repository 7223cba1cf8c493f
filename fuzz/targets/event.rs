//! Fuzzes the event of an invocation. Any event that is not valid must give the error
//! `MalformedEvent` with a remedy.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rotation::Event;

fuzz_target!(|bytes: &[u8]| {
    let Ok(value) = serde_json::from_slice(bytes) else { return };
    if let Err(error) = Event::parse(&value) {
        assert_eq!(error.error_type(), "MalformedEvent");
        assert!(!error.remedy().is_empty());
    }
});
