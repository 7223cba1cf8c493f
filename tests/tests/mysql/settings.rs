//! Tests of servers whose settings affect the function's statements and logins.

use anyhow::Result;
use rotation_tests::mysql::{Fixture, Target, Which, account, sql};

crate::on_both! {
    server_settings_do_not_block_rotation
    rotation_makes_no_failed_login
}

/// The rotation does not depend on how the server's `sql_mode` reads literals.
async fn server_settings_do_not_block_rotation<W: Which>(target: Target<W>) -> Result<()> {
    let mut options = rotation_tests::mysql::options()?;
    options.arguments = vec!["--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES".into()];
    let Some((_server, other)) = target.another(options).await? else { return Ok(()) };
    let fixture = Fixture::new(&other).await?;
    let grant = format!("GRANT DELETE ON {}.* TO {}", fixture.database, account(&fixture.user));
    sql(&mut other.admin().await?, &grant).await?;
    for strategy in ["single-user", "master-user", "master-user"] {
        let function = fixture
            .program(strategy)
            .env("EXCLUDE_CHARACTERS", " ")
            .env("PASSWORD_LENGTH", "120")
            .into();
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
    }
    fixture.search_for_passwords("")
}

/// With `FAILED_LOGIN_ATTEMPTS 1` (MySQL) or `max_password_errors=1` (MariaDB), one rejected
/// password locks the account.
async fn rotation_makes_no_failed_login<W: Which>(target: Target<W>) -> Result<()> {
    if W::ENGINE == "mariadb" {
        let mut options = rotation_tests::mysql::options()?;
        options.arguments = vec!["--max-password-errors=1".into()];
        let Some((_server, strict)) = target.another(options).await? else { return Ok(()) };
        return rotate_all_strategies(&Fixture::new(&strict).await?).await;
    }
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    for user in [&fixture.user, &fixture.master] {
        sql(
            &mut admin,
            &format!(
                "ALTER USER {} FAILED_LOGIN_ATTEMPTS 1 PASSWORD_LOCK_TIME UNBOUNDED",
                account(user)
            ),
        )
        .await?;
    }
    rotate_all_strategies(&fixture).await?;
    let clone: String = shown(&target, &format!("{}_clone", fixture.user)).await?;
    assert!(clone.contains("FAILED_LOGIN_ATTEMPTS 1"), "{clone}");
    Ok(())
}

async fn shown<W: Which>(target: &Target<W>, user: &str) -> Result<String> {
    let query = format!("SHOW CREATE USER {}", account(user));
    Ok(sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut target.admin().await?).await?)
}

async fn rotate_all_strategies<W: Which>(fixture: &Fixture<W>) -> Result<()> {
    for strategy in ["single-user", "master-user", "master-user", "single-user"] {
        fixture.rotate(&fixture.function(strategy)).await?;
        fixture.log_in().await?;
    }
    Ok(())
}
