//! Tests of servers whose settings affect the function's statements and logins.

use anyhow::Result;
use rotation_tests::mysql::{Fixture, Target, Which, account, sql};

crate::on_both! {
    settings_of_the_server_do_not_stand_in_the_way
    a_failed_login_would_lock_and_none_happens
}

/// The rotation does not depend on how the server's `sql_mode` reads literals.
async fn settings_of_the_server_do_not_stand_in_the_way<W: Which>(target: Target<W>) -> Result<()> {
    let mut options = rotation_tests::mysql::options()?;
    options.arguments = vec!["--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES".into()];
    let Some((_server, other)) = target.another(options).await? else { return Ok(()) };
    let scene = Fixture::new(&other).await?;
    let grant = format!("GRANT DELETE ON {}.* TO {}", scene.database, account(&scene.user));
    sql(&mut other.admin().await?, &grant).await?;
    for strategy in ["single-user", "master-user", "master-user"] {
        let function = scene
            .program(strategy)
            .env("EXCLUDE_CHARACTERS", " ")
            .env("PASSWORD_LENGTH", "120")
            .into();
        scene.rotate(&function).await?;
        scene.log_in().await?;
    }
    scene.search_for_passwords("")
}

/// With `FAILED_LOGIN_ATTEMPTS 1` (MySQL) or `max_password_errors=1` (MariaDB), one rejected
/// password locks the account.
async fn a_failed_login_would_lock_and_none_happens<W: Which>(target: Target<W>) -> Result<()> {
    if W::ENGINE == "mariadb" {
        let mut options = rotation_tests::mysql::options()?;
        options.arguments = vec!["--max-password-errors=1".into()];
        let Some((_server, strict)) = target.another(options).await? else { return Ok(()) };
        return go_through(&Fixture::new(&strict).await?).await;
    }
    let scene = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    for user in [&scene.user, &scene.master] {
        sql(
            &mut admin,
            &format!(
                "ALTER USER {} FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME UNBOUNDED",
                account(user)
            ),
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

async fn go_through<W: Which>(scene: &Fixture<W>) -> Result<()> {
    for strategy in ["single-user", "master-user", "master-user", "single-user"] {
        scene.rotate(&scene.function(strategy)).await?;
        scene.log_in().await?;
    }
    Ok(())
}
