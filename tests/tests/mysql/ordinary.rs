//! What an ordinary rotation does, and what it costs.

use std::time::Duration;

use anyhow::{Result, ensure};
use rotation_mysql::{Literals, identifier};
use rotation_tests::chain::longest_chain;
use rotation_tests::mysql::{Scene, Target, Which, account, sql};
use serde_json::json;
use uuid::Uuid;

crate::on_both! {
    single_user_changes_the_password
    alternating_users_take_turns
    an_ordinary_rotation_is_cheap
    user_names_and_passwords_may_hold_anything
    hosts_are_names_or_addresses_and_ports_numbers_or_digits
    a_failed_login_would_lock_and_none_happens
}

async fn single_user_changes_the_password<W: Which>(target: Target<W>) -> Result<()> {
    let scene = Scene::new(&target).await?;
    let function = scene.function("single-user");
    let first = scene.value("AWSCURRENT")?;
    for _ in 0..2 {
        let before = scene.value("AWSCURRENT")?;
        scene.rotate(&function).await?;
        assert_ne!(scene.value("AWSCURRENT")?["password"], before["password"]);
        scene.log_in().await?;
    }
    assert_eq!(scene.failed_logins()?, 0);
    assert!(scene.log_in_with(&first).await.is_err(), "an old password is still accepted");
    scene.search_for_passwords("")
}

async fn alternating_users_take_turns<W: Which>(target: Target<W>) -> Result<()> {
    let scene = Scene::new(&target).await?;
    let function = scene.function("master-user");
    let clone = format!("{}_clone", scene.user);
    for user in [&clone, &scene.user, &clone] {
        let before = scene.value("AWSCURRENT")?;
        scene.rotate(&function).await?;
        assert_eq!(scene.value("AWSCURRENT")?["username"], **user);
        scene.log_in().await?;
        scene.log_in_with(&before).await?;
    }
    assert_eq!(scene.failed_logins()?, 0);
    scene.search_for_passwords("")
}

async fn an_ordinary_rotation_is_cheap<W: Which>(target: Target<W>) -> Result<()> {
    for (strategy, most_calls) in [("single-user", 12), ("master-user", 13)] {
        let scene = Scene::new(&target).await?;
        let function = scene.function(strategy);
        scene.rotate(&function).await?;
        let logins = scene.logins()?;
        scene.service.forget_calls();
        scene.service.set_latency(Duration::from_millis(60));
        scene.rotate(&function).await?;
        let calls = scene.service.calls();
        let intervals: Vec<_> = calls.iter().map(|call| (call.from, call.until)).collect();
        let (in_a_row, sessions) = (longest_chain(&intervals), scene.logins()? - logins);
        println!("{strategy}: {} calls, {in_a_row} in a row, {sessions} sessions", calls.len());
        ensure!(calls.len() <= most_calls && (4..=7).contains(&in_a_row) && sessions <= 4);
        ensure!(target.address.logs.is_none() || sessions >= 2, "the sessions are not counted");
        assert_eq!(scene.failed_logins()?, 0);
    }
    Ok(())
}

async fn user_names_and_passwords_may_hold_anything<W: Which>(target: Target<W>) -> Result<()> {
    for user in
        ["quote\"d", "it's", "50%s_%d", "back\\slash", "two words", "Größe", "select", "a@b", "tick`s TO x"]
    {
        println!("user {user:?}");
        let unique = Uuid::new_v4().simple().to_string()[..8].to_owned();
        let mut admin = target.admin().await?;
        for name in [user.to_owned(), format!("{user}_clone")] {
            let name = format!("{}@'%'", Literals::BackslashEscapes.quote(&name));
            sql(&mut admin, &format!("DROP USER IF EXISTS {name}")).await?;
        }
        let scene = Scene::with_user(&target, user, &unique).await?;
        for strategy in ["single-user", "master-user", "master-user"] {
            let function = scene
                .program(strategy)
                .env("EXCLUDE_CHARACTERS", " ")
                .env("EXCLUDE_LOWERCASE", "true")
                .env("EXCLUDE_UPPERCASE", "true")
                .env("EXCLUDE_NUMBERS", "true")
                .env("PASSWORD_LENGTH", "60");
            scene.rotate(&function.into()).await?;
            scene.log_in().await?;
        }
        scene.search_for_passwords("")?;
    }
    Ok(())
}

async fn hosts_are_names_or_addresses_and_ports_numbers_or_digits<W: Which>(target: Target<W>) -> Result<()> {
    if target.address.logs.is_none() {
        println!("skipped: the names of that server's certificate are not known");
        return Ok(());
    }
    let scene = Scene::new(&target).await?;
    let function = scene.function("single-user");
    for host in ["localhost", "LOCALHOST.", "127.0.0.1"] {
        scene.change(&json!({"host": host, "port": target.address.port.to_string()}))?;
        scene.rotate(&function).await?;
        assert_eq!(scene.value("AWSCURRENT")?["host"], host);
    }
    Ok(())
}

/// `FAILED_LOGIN_ATTEMPTS 1` (MySQL): one refused password, and the account is locked.
async fn a_failed_login_would_lock_and_none_happens<W: Which>(target: Target<W>) -> Result<()> {
    if W::ENGINE == "mariadb" {
        let mut options = rotation_tests::mysql::options()?;
        options.arguments = vec!["--max-password-errors=1".into()];
        let Some((_server, strict)) = target.another(options).await? else { return Ok(()) };
        return go_through(&Scene::new(&strict).await?).await;
    }
    let scene = Scene::new(&target).await?;
    let mut admin = target.admin().await?;
    for user in [&scene.user, &scene.master] {
        sql(
            &mut admin,
            &format!("ALTER USER {} FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME UNBOUNDED", account(user)),
        )
        .await?;
    }
    go_through(&scene).await?;
    let clone: String = shown(&target, &format!("{}_clone", scene.user)).await?;
    assert!(clone.contains("FAILED_LOGIN_ATTEMPTS 1"), "{clone}");
    Ok(())
}

async fn shown<W: Which>(target: &Target<W>, user: &str) -> Result<String> {
    let query = format!("SHOW CREATE USER {}", account(user));
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut target.admin().await?).await?)
}

async fn go_through<W: Which>(scene: &Scene<W>) -> Result<()> {
    for strategy in ["single-user", "master-user", "master-user", "single-user"] {
        scene.rotate(&scene.function(strategy)).await?;
        scene.log_in().await?;
    }
    assert!(!identifier(&scene.user).is_empty());
    Ok(())
}
