//! Tests of the accounts of a pair of users: the alternate user has an account for each account of
//! the base user, and no other account changes.

use anyhow::{Context, Result, ensure};
use rotation_tests::mysql::{Fixture, Target, Which, account, account_at, sql};
use sqlx::{AssertSqlSafe, MySqlConnection};

use super::privileges::shown;

crate::on_both! {
    every_base_account_gets_a_counterpart
    unrelated_users_are_not_touched
    secret_named_like_a_clone_leaves_base_user_alone
    clone_created_by_another_tool_is_adopted
    one_statement_changes_all_accounts
    surplus_accounts_are_locked_while_inactive
}

async fn every_base_account_gets_a_counterpart<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let hosts = ["10.0.%", "192.0.2.0/255.255.255.0", "db-_.example.com"];
    for host in hosts {
        target
            .create_account(&mut admin, &account_at(&fixture.user, host), "a-password-elsewhere")
            .await?;
        let grant = format!(
            "GRANT SELECT ON {}.* TO {}",
            fixture.database,
            account_at(&fixture.user, host)
        );
        sql(&mut admin, &grant).await?;
    }
    let function = fixture.function("master-user");
    for _ in 0..2 {
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
        for host in hosts.into_iter().chain(["%"]) {
            let clone = format!("{}_clone", fixture.user);
            assert_eq!(
                shown(&mut admin, &clone, host).await?,
                shown(&mut admin, &fixture.user, host).await?,
                "{host}"
            );
        }
    }
    // If an account of the base user is dropped, its counterpart is locked.
    sql(&mut admin, &format!("DROP USER {}", account_at(&fixture.user, "10.0.%"))).await?;
    let rotation = fixture.rotate(&function).await?;
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    ensure!(set.contains("is locked") && set.contains("10.0.%"), "{set}");
    Ok(())
}

/// The names of the two users look like a pair, but the users are unrelated.
async fn unrelated_users_are_not_touched<W: Which>(target: Target<W>) -> Result<()> {
    for (host, grant) in [("%", "INSERT"), ("10.0.%", "SELECT")] {
        let fixture = Fixture::new(&target).await?;
        let mut admin = target.admin().await?;
        let clone = account_at(&fixture.alternate(), host);
        target.create_account(&mut admin, &clone, "the-password-of-another-user").await?;
        sql(&mut admin, &format!("GRANT {grant} ON {}.* TO {clone}", fixture.database)).await?;
        let before = shown(&mut admin, &fixture.alternate(), host).await?;
        let hash = password_hash(&mut admin, &fixture.alternate(), host).await?;
        let function = fixture.function("master-user");
        let error =
            fixture.expect(&function, "NeedsDecision", "may belong to different people").await?;
        assert!(error.message.contains("ACCOUNT LOCK"), "{}", error.message);
        assert_eq!(shown(&mut admin, &fixture.alternate(), host).await?, before);
        assert_eq!(password_hash(&mut admin, &fixture.alternate(), host).await?, hash);
        fixture.log_in().await?;

        // The remedy in the message is sufficient.
        sql(&mut admin, &format!("ALTER USER {clone} ACCOUNT LOCK")).await?;
        let token = fixture.version("AWSPENDING")?.context("no pending version")?;
        assert_eq!(fixture.attempt(&function, &token, 1).await.failed, None);
        fixture.log_in().await?;
        fixture.rotate(&function).await?;
        let expected = shown(&mut admin, &fixture.user, "%").await?;
        assert_eq!(shown(&mut admin, &fixture.alternate(), "%").await?, expected);
    }
    Ok(())
}

/// The reverse case: the name of the secret's own user ends in `_clone`.
async fn secret_named_like_a_clone_leaves_base_user_alone<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let base = format!("foo_{}", rotation_tests::fixture::unique());
    let clone = format!("{base}_clone");
    let fixture = Fixture::with_user(&target, &clone, &rotation_tests::fixture::unique()).await?;
    let function = fixture.function("master-user");
    let mut admin = target.admin().await?;
    // The users are unrelated even if they have exactly the same privileges.
    target.create_account(&mut admin, &account(&base), "the-password-of-another-user").await?;
    sql(&mut admin, &format!("GRANT SELECT ON {}.* TO {}", fixture.database, account(&base)))
        .await?;
    let hash = password_hash(&mut admin, &base, "%").await?;
    fixture.expect(&function, "NeedsDecision", "has the name of an alternate user").await?;
    assert_eq!(password_hash(&mut admin, &base, "%").await?, hash);
    fixture.log_in().await?;

    sql(&mut admin, &format!("DROP USER {}", account(&base))).await?;
    let token = fixture.version("AWSPENDING")?.context("no pending version")?;
    let failed =
        fixture.attempt(&function, &token, 1).await.failed.context("the rotation succeeded")?;
    ensure!(
        failed.error_type == "NeedsDecision" && failed.message.contains("single user"),
        "{}",
        failed.message
    );
    Ok(())
}

async fn password_hash(admin: &mut MySqlConnection, user: &str, host: &str) -> Result<Vec<u8>> {
    let query = "SELECT CONVERT(authentication_string USING binary) FROM mysql.user WHERE User = \
        ? AND Host = ?";
    Ok(sqlx::query_scalar(query).bind(user).bind(host).fetch_one(admin).await?)
}

async fn clone_created_by_another_tool_is_adopted<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let clone = account(&fixture.alternate());
    target.create_account(&mut admin, &clone, "the-password-of-the-other-tool").await?;
    sql(&mut admin, &format!("GRANT SELECT ON {}.* TO {clone}", fixture.database)).await?;
    fixture.rotate(&fixture.function("master-user")).await?;
    fixture.log_in().await?;
    Ok(())
}

async fn hashes(admin: &mut MySqlConnection, user: &str) -> Result<[Vec<u8>; 2]> {
    Ok([password_hash(admin, user, "%").await?, password_hash(admin, user, "192.0.2.1").await?])
}

/// If the process died between two statements, one account would keep a password that no later
/// rotation checks.
async fn one_statement_changes_all_accounts<W: Which>(target: Target<W>) -> Result<()> {
    let mut admin = target.admin().await?;
    // After `users` rotations, the same user is the target again.
    for (strategy, users) in [("single-user-by-master", 1), ("master-user", 2)] {
        let fixture = Fixture::rich(&target).await?;
        let function = fixture.function(strategy);
        // Each user is the target once.
        for _ in 0..2 {
            fixture.rotate(&function).await?;
            let turn =
                fixture.value("AWSCURRENT")?["username"].as_str().unwrap_or_default().to_owned();
            let before = hashes(&mut admin, &turn).await?;
            fixture.check_and_clear_output()?;
            for _ in 0..users {
                fixture.rotate(&function).await?;
            }
            let after = hashes(&mut admin, &turn).await?;
            ensure!(
                before[0] != after[0] && before[1] != after[1],
                "{strategy}: one account still has its password"
            );
            let both = [account(&turn), account_at(&turn, "192.0.2.1")];
            let log = fixture.server_log()?;
            let mut sets = log.lines().filter(|line| line.contains("IDENTIFIED"));
            ensure!(
                sets.any(|line| both.iter().all(|account| line.contains(account))),
                "{strategy}: {log}"
            );
        }
    }
    Ok(())
}

/// An account of the base user is locked, and an account exists for the alternate user alone. Both
/// accounts of the alternate user work until it is the target user again.
async fn surplus_accounts_are_locked_while_inactive<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::rich(&target).await?;
    let function = fixture.function("master-user");
    fixture.rotate(&function).await?;
    let mut admin = target.admin().await?;
    let of = |host: &str| account_at(&fixture.alternate(), host);
    sql(&mut admin, &format!("ALTER USER {} ACCOUNT LOCK", account_at(&fixture.user, "192.0.2.1")))
        .await?;
    let password = rotation_tests::fixture::new_password();
    target.create_account(&mut admin, &of("192.0.2.3"), &password).await?;
    for are_locked in [false, true] {
        let rotation = fixture.rotate(&function).await?;
        let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
        ensure!(set.contains("Deferred until") != are_locked, "{set}");
        for host in ["192.0.2.1", "192.0.2.3"] {
            let query = AssertSqlSafe(format!("SHOW CREATE USER {}", of(host)));
            let create: String = sqlx::query_scalar(query).fetch_one(&mut admin).await?;
            assert_eq!(create.contains("ACCOUNT LOCK"), are_locked, "{create}");
        }
    }
    Ok(())
}
