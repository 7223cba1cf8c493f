//! Tests of unusual user names, passwords, hosts and keys.

use anyhow::Result;
use serde_json::json;

use crate::fixture::{Fixture, unique};
use crate::server::Server;

async fn rotate_with_user<T: Server>(target: &T, user: &str, strategies: &[&str]) -> Result<()> {
    println!("user {user:?}");
    let mut names = vec![format!("{user}{}", T::ALTERNATE_SUFFIX), user.to_owned()];
    names.retain(|name| strategies.contains(&"master-user") || name == user);
    // A failed earlier run may have left these users.
    for name in &names {
        target.drop_user(name).await?;
    }
    let fixture = Fixture::with_user(target, user, &unique()).await?;
    for strategy in strategies {
        let function = fixture.function(strategy);
        for _ in 0..2 {
            fixture.rotate(&function).await?;
            fixture.log_in().await?;
        }
    }
    assert_eq!(fixture.failed_logins()?, 0);
    fixture.search_for_passwords("")?;
    for name in &names {
        target.drop_user(name).await?;
    }
    Ok(())
}

/// Rotates with both strategies for each unusual name and for the longest one.
pub async fn unusual_user_names_rotate<T: Server>(target: T) -> Result<()> {
    for user in T::USER_NAMES {
        rotate_with_user(&target, user, &["single-user", "master-user"]).await?;
    }
    let suffix = T::ALTERNATE_SUFFIX.len();
    rotate_with_user(&target, &"u".repeat(T::LONGEST_NAME), &["single-user"]).await?;
    rotate_with_user(&target, &"u".repeat(T::LONGEST_NAME - suffix), &["master-user"]).await
}

/// No password is generated for a user that cannot exist.
pub async fn too_long_alternate_name_fails_in_create_secret<T: Server>(target: T) -> Result<()> {
    let user = "v".repeat(T::LONGEST_NAME + 1 - T::ALTERNATE_SUFFIX.len());
    let fixture = Fixture::with_user(&target, &user, &unique()).await?;
    let error = fixture
        .expect(&fixture.function("master-user"), "UserNameTooLong", T::NAME_TOO_LONG)
        .await?;
    assert!(error.message.contains("createSecret"), "{}", error.message);
    target.drop_user(&user).await
}

/// The passwords consist of punctuation only, and no supported character is excluded.
pub async fn passwords_with_any_punctuation_work<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let length = T::LONG_PASSWORD;
    let only_punctuation = (!target.requires_letters()).to_string();
    let mut seen = std::collections::BTreeSet::new();
    for strategy in ["single-user", "master-user"] {
        let function = fixture
            .program(strategy)
            .env("EXCLUDE_CHARACTERS", T::EXCLUDED_PUNCTUATION)
            .env("EXCLUDE_LOWERCASE", &only_punctuation)
            .env("EXCLUDE_UPPERCASE", &only_punctuation)
            .env("EXCLUDE_NUMBERS", "true")
            .env("PASSWORD_LENGTH", length.to_string())
            .into();
        // 600 characters for each strategy are drawn from 32. A character is missing by chance once
        // in 10^15 runs. With letters, 1800 are drawn from 84.
        let many: usize = if target.requires_letters() { 1800 } else { 600 };
        for _ in 0..many.div_ceil(length) {
            fixture.rotate(&function).await?;
            let value = fixture.value("AWSCURRENT")?;
            let password = value["password"].as_str().unwrap_or_default();
            assert_eq!(password.len(), length);
            seen.extend(password.chars().filter(char::is_ascii_punctuation));
            fixture.log_in().await?;
        }
    }
    let all = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".chars();
    let all: std::collections::BTreeSet<_> =
        all.filter(|c| !T::EXCLUDED_PUNCTUATION.contains(*c)).collect();
    assert_eq!(seen, all);
    fixture.search_for_passwords("")
}

/// The host and the port have the spellings that an operator may use.
pub async fn host_and_port_spellings_are_accepted<T: Server>(target: T) -> Result<()> {
    if target.log().is_none() {
        println!("skipped: the names of that server's certificate are not known");
        return Ok(());
    }
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("single-user");
    let port = target.address().1.to_string();
    let has_ipv6 = std::net::TcpListener::bind(("::1", 0)).is_ok();
    let hosts = ["localhost", "LOCALHOST.", "127.0.0.1", "::1", "[::1]"];
    for host in hosts.into_iter().filter(|host| has_ipv6 || !host.contains(':')) {
        println!("host {host}");
        fixture.change(&json!({"host": host, "port": port}))?;
        fixture.rotate(&function).await?;
        let value = fixture.value("AWSCURRENT")?;
        assert_eq!((&value["host"], &value["port"]), (&json!(host), &json!(port)));
    }
    Ok(())
}

/// Keys of the secret that the function does not use stay as they are.
pub async fn unknown_keys_keep_their_order_and_type<T: Server>(target: T) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let mut value = json!({"zeta": [1.50, null, {"k": true}], "dbInstanceIdentifier": "db-1"});
    let fields = fixture.value("AWSCURRENT")?;
    for (key, field) in fields.as_object().into_iter().flatten() {
        value[key] = field.clone();
    }
    value["alpha"] = json!(12_345_678_901_234_567_890_u64);
    fixture.store(&value)?;
    for strategy in ["single-user", "master-user", "master-user"] {
        fixture.rotate(&fixture.function(strategy)).await?;
    }
    let mut after = fixture.value("AWSCURRENT")?;
    let keys = |value: &serde_json::Value| {
        value
            .as_object()
            .map(|fields| fields.keys().cloned().collect::<Vec<_>>())
            .unwrap_or_default()
    };
    assert_eq!(keys(&after), keys(&value));
    after["password"] = value["password"].clone();
    assert_eq!(after.to_string(), value.to_string());
    Ok(())
}
