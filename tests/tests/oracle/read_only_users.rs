//! Tests of read-only users, which exist since 23ai: their sessions work as in a read-only
//! database, whatever their privileges are.

use anyhow::{Context, Result, ensure};
use rotation_tests::oracle::{Fixture, on_release, quoted, rows, sql};

/// Makes the base user read-only or writable. Returns `false` if the server has no such users.
async fn make_base_user(fixture: &Fixture, access: &str) -> Result<bool> {
    let statement = format!("ALTER USER {} {access}", quoted(&fixture.user));
    match sql(&mut fixture.target.admin().await?, &statement).await {
        Err(_) if fixture.target.log.is_none() => {
            println!("skipped: the server does not support read-only users");
            Ok(false)
        }
        answer => answer.map(|()| true),
    }
}

/// The column READ_ONLY of the alternate user.
async fn is_clone_read_only(fixture: &Fixture) -> Result<Vec<Vec<String>>> {
    let query = "SELECT read_only FROM dba_users WHERE username = :1";
    let clone = quoted(&fixture.alternate()).replace('"', "");
    rows(&mut fixture.target.admin().await?, query, &clone).await
}

/// The alternate user must not be able to change what the base user cannot change.
#[tokio::test]
async fn read_only_base_user_gets_read_only_alternate() {
    on_release("23ai", |target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        if !make_base_user(&fixture, "READ ONLY").await? {
            return Ok(());
        }
        // The first rotation creates the alternate user, and the later ones sync it.
        for (access, expected) in
            [("READ ONLY", "YES"), ("READ WRITE", "NO"), ("READ ONLY", "YES"), ("READ WRITE", "NO")]
        {
            make_base_user(&fixture, access).await?;
            fixture.rotate(&function).await?;
            assert_eq!(is_clone_read_only(&fixture).await?, [[expected]], "{access}");
            fixture.log_in().await?;
        }
        assert_eq!(fixture.failed_logins()?, 0);
        Ok(())
    })
    .await;
}

/// Applications that are using the alternate user could no longer change anything.
#[tokio::test]
async fn active_alternate_user_stays_writable() {
    on_release("23ai", |target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        if !make_base_user(&fixture, "READ ONLY").await? {
            return Ok(());
        }
        let token = fixture.stage(None)?;
        fixture.step(&function, "createSecret", &token).await?;
        let notes = fixture.step(&function, "setSecret", &token).await?["notes"].to_string();
        ensure!(notes.contains("Deferred until") && notes.contains("READ ONLY"), "{notes}");
        assert_eq!(is_clone_read_only(&fixture).await?, [["NO"]]);
        assert_eq!(fixture.attempt(&function, &token, 1).await.failed, None);
        fixture.rotate(&function).await?;
        assert_eq!(is_clone_read_only(&fixture).await?, [["YES"]]);
        Ok(())
    })
    .await;
}

/// A read-only user cannot change its own password. Its master user can.
#[tokio::test]
async fn read_only_single_user_needs_its_master() {
    on_release("23ai", |target| async move {
        let fixture = Fixture::new(&target).await?;
        if !make_base_user(&fixture, "READ ONLY").await? {
            return Ok(());
        }
        let function = fixture.function("single-user");
        fixture.preflight_finds(&function, "NeedsDecision", "single-user-by-master").await?;
        let error = fixture.expect(&function, "NeedsDecision", "single-user-by-master").await?;
        ensure!(error.message.contains("is read-only"), "{}", error.message);
        fixture.log_in().await?;
        fixture.give_up(&fixture.version("AWSPENDING")?.context("no version is pending")?)?;
        fixture.rotate(&fixture.function("single-user-by-master")).await?;
        fixture.log_in().await.map(drop)
    })
    .await;
}
