//! Whatever somebody stores as a secret: it is usable, or the error names its faults and not its
//! password.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rotation::{Rotator as _, SecretValue};
use rotation_database::DatabaseRotator;
use rotation_postgres::Postgres;

/// Both ways of reading it, with and without a master.
static ROTATORS: LazyLock<[DatabaseRotator<Postgres>; 2]> = LazyLock::new(|| {
    ["single-user", "master-user"].map(|strategy| {
        let source = move |name: &str| (name == "ROTATION_STRATEGY").then(|| strategy.to_owned());
        DatabaseRotator::new(Postgres, &source).unwrap()
    })
});

fuzz_target!(|text: &str| {
    let password = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|value| value["password"].as_str().map(str::to_owned))
        // One that stands elsewhere in the secret as well may be told from there.
        .filter(|password| password.chars().count() >= 8 && text.matches(password.as_str()).count() == 1);
    for rotator in &*ROTATORS {
        let Err(error) = rotator.validate(&SecretValue::new(text)) else { continue };
        let message = format!("{error} {error:?} {}", error.remedy());
        assert!(!error.error_type().is_empty() && !error.remedy().is_empty());
        if let Some(password) = &password {
            assert!(!message.contains(password.as_str()), "a password in: {message}");
        }
    }
});
