//! Fuzzes the value of a secret. Either it is usable, or the error reports its problems without its
//! password.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use rotation::{Rotator as _, SecretValue};
use rotation_database::DatabaseRotator;
use rotation_postgres::Postgres;

/// Rotators for a strategy without a master user and one with a master user.
static ROTATORS: LazyLock<[DatabaseRotator<Postgres>; 2]> = LazyLock::new(|| {
    ["single-user", "master-user"].map(|strategy| {
        let source = move |name: &str| (name == "ROTATION_STRATEGY").then(|| strategy.to_owned());
        DatabaseRotator::new(Postgres::default(), &source).unwrap()
    })
});

fuzz_target!(|text: &str| {
    let password = serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|value| value["password"].as_str().map(str::to_owned))
        // A password that also occurs elsewhere in the secret may be part of the message for that
        // reason.
        .filter(|password| {
            password.chars().count() >= 8 && text.matches(password.as_str()).count() == 1
        });
    for rotator in &*ROTATORS {
        let Err(error) = rotator.validate(&SecretValue::new(text)) else { continue };
        let message = format!("{error} {error:?} {}", error.remedy());
        assert!(!error.error_type().is_empty() && !error.remedy().is_empty());
        if let Some(password) = &password {
            assert!(
                !message.contains(password.as_str()),
                "the message contains the password: {message}"
            );
        }
    }
});
