//! Names, passwords, hosts and keys of every kind.

use anyhow::Result;
use rotation_postgres::identifier;
use rotation_tests::postgres::{Scene, Target, on_each, sql};
use serde_json::json;
use uuid::Uuid;

async fn rotate_with_user(target: &Target, user: &str, strategies: &[&str]) -> Result<()> {
    println!("user {user:?}");
    let unique = Uuid::new_v4().simple().to_string()[..8].to_owned();
    let scene = Scene::with_user(target, user, &unique).await?;
    for strategy in strategies {
        let function = scene.function(strategy);
        for _ in 0..2 {
            scene.rotate(&function).await?;
            scene.log_in().await?;
        }
    }
    assert_eq!(scene.failed_logins()?, 0);
    scene.search_for_passwords("")?;
    let mut admin = target.admin("postgres").await?;
    for name in [format!("{user}_clone"), user.to_owned()] {
        sql(&mut admin, &format!("DROP ROLE IF EXISTS {}", identifier(&name))).await?;
    }
    Ok(())
}

#[tokio::test]
async fn user_names_may_hold_anything_that_postgresql_takes() {
    on_each(|target| async move {
        for user in [
            "quote\"d",
            "it's",
            "50%s %d",
            "back\\slash",
            "two words",
            "Größe-имя-名",
            "select",
            "UPPER",
            "-",
        ] {
            rotate_with_user(&target, user, &["single-user", "master-user"]).await?;
        }
        rotate_with_user(&target, &"u".repeat(63), &["single-user"]).await?;
        rotate_with_user(&target, &"u".repeat(57), &["master-user"]).await
    })
    .await;
}

#[tokio::test]
async fn a_second_user_with_too_long_a_name_is_refused_in_create_secret() {
    on_each(|target| async move {
        for user in ["u".repeat(58), "ü".repeat(29)] {
            let scene = Scene::with_user(&target, &user, &Uuid::new_v4().simple().to_string()[..8]).await?;
            let function = scene.function("master-user");
            let token = scene.stage(None)?;
            let error = scene.step(&function, "createSecret", &token).await.unwrap_err().to_string();
            assert!(error.starts_with("UserNameTooLong: ") && error.contains("64 bytes"), "{error}");
            sql(&mut target.admin("postgres").await?, &format!("DROP ROLE {}", identifier(&user))).await?;
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn passwords_of_every_punctuation_character_work() {
    on_each(|target| async move {
        let scene = Scene::new(&target).await?;
        // Nothing but punctuation, and none of it excluded.
        let all = |strategy: &str| {
            scene
                .program(strategy)
                .env("EXCLUDE_CHARACTERS", " ")
                .env("EXCLUDE_LOWERCASE", "true")
                .env("EXCLUDE_UPPERCASE", "true")
                .env("EXCLUDE_NUMBERS", "true")
                .env("PASSWORD_LENGTH", "200")
        };
        let mut seen = std::collections::BTreeSet::new();
        for strategy in ["single-user", "master-user"] {
            let function = all(strategy).into();
            for _ in 0..3 {
                scene.rotate(&function).await?;
                let value = scene.value("AWSCURRENT")?;
                let password = value["password"].as_str().unwrap_or_default();
                assert_eq!(password.len(), 200);
                seen.extend(password.chars());
                scene.log_in().await?;
            }
        }
        // 1200 draws from 32: that one is missing happens once in 10^15 runs.
        let all: std::collections::BTreeSet<_> = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".chars().collect();
        assert_eq!(seen, all);
        scene.search_for_passwords("")
    })
    .await;
}

#[tokio::test]
async fn hosts_are_names_or_addresses_and_ports_numbers_or_digits() {
    on_each(|target| async move {
        if target.log.is_none() {
            println!("skipped: the names of that server's certificate are not known");
            return Ok(());
        }
        let scene = Scene::new(&target).await?;
        let function = scene.function("single-user");
        let has_ipv6 = std::net::TcpListener::bind(("::1", 0)).is_ok();
        let hosts = ["localhost", "LOCALHOST.", "127.0.0.1", "::1", "[::1]"];
        for host in hosts.into_iter().filter(|host| has_ipv6 || !host.contains(':')) {
            println!("host {host}");
            scene.change(&json!({"host": host, "port": target.port.to_string()}))?;
            scene.rotate(&function).await?;
            let value = scene.value("AWSCURRENT")?;
            assert_eq!((&value["host"], &value["port"]), (&json!(host), &json!(target.port.to_string())));
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn unknown_keys_keep_their_order_and_type() {
    on_each(|target| async move {
        let scene = Scene::new(&target).await?;
        let mut value = json!({"zeta": [1.50, null, {"k": true}], "dbInstanceIdentifier": "db-1"});
        let fields = scene.value("AWSCURRENT")?;
        for (key, field) in fields.as_object().into_iter().flatten() {
            value[key] = field.clone();
        }
        value["alpha"] = json!(12_345_678_901_234_567_890_u64);
        scene.store(&value)?;
        for strategy in ["single-user", "master-user", "master-user"] {
            scene.rotate(&scene.function(strategy)).await?;
        }
        let mut after = scene.value("AWSCURRENT")?;
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&after), keys(&value));
        after["password"] = value["password"].clone();
        assert_eq!(after.to_string(), value.to_string());
        Ok(())
    })
    .await;
}
