//! Tests of differences between the two users that a rotation must not remove, or cannot remove.

use anyhow::{Context, Result, ensure};
use rotation_tests::mysql::{Fixture, MySql, Target, Which, account, on_each, options, sql};
use sqlx::AssertSqlSafe;
use test_servers::mysql::Kind;

crate::on_both! {
    new_requirements_are_deferred_while_alternate_is_active
    grant_on_dropped_table_is_reported_and_does_not_block
    routine_of_alternate_user_works_for_both_users
    denied_grant_takes_nothing_from_the_active_user
}

/// While applications use the alternate user, no new requirement may lock them out.
async fn new_requirements_are_deferred_while_alternate_is_active<W: Which>(
    target: Target<W>,
) -> Result<()> {
    for (demand, part) in [
        ("PASSWORD EXPIRE INTERVAL 1 DAY", "PASSWORD EXPIRE INTERVAL 1 DAY"),
        ("WITH MAX_USER_CONNECTIONS 2", "MAX_USER_CONNECTIONS 2"),
    ] {
        let fixture = Fixture::new(&target).await?;
        fixture.rotate(&fixture.function("master-user")).await?;
        let in_use = fixture.value("AWSCURRENT")?;
        let mut admin = target.admin().await?;
        let user = account(&fixture.user);
        sql(&mut admin, &format!("ALTER USER {user} {demand}")).await?;
        let function = fixture.function("master-user");
        let token = fixture.stage(None)?;
        fixture.step(&function, "createSecret", &token).await?;
        let record = fixture.step(&function, "setSecret", &token).await?;
        let notes = record["notes"].to_string();
        ensure!(notes.contains(part) && notes.contains("Deferred until"), "{demand}: {notes}");
        let mut sessions = Vec::new();
        for _ in 0..3 {
            sessions.push(fixture.log_in_with(&in_use).await.context(demand)?);
        }
        fixture.give_up(&token)?;
    }
    Ok(())
}

/// A role replaces a privilege of the base user, and the master user may not grant the role. The
/// alternate user, which applications are using, must keep the privilege.
async fn denied_grant_takes_nothing_from_the_active_user<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let function = fixture.function("master-user");
    fixture.rotate(&function).await?;
    let in_use = fixture.value("AWSCURRENT")?;
    assert_eq!(in_use["username"], fixture.alternate());
    let mut admin = target.admin().await?;
    let (user, database) = (account(&fixture.user), &fixture.database);
    let role = format!("reader_{database}");
    for statement in [
        format!("CREATE TABLE `{database}`.stock (a INT)"),
        format!("CREATE ROLE {role}"),
        format!("GRANT SELECT ON `{database}`.* TO {role}"),
        format!("GRANT {role} TO {user}"),
        match W::KIND {
            Kind::MySql => format!("ALTER USER {user} DEFAULT ROLE {role}"),
            Kind::MariaDb => format!("SET DEFAULT ROLE {role} FOR {user}"),
        },
        format!("REVOKE SELECT ON `{database}`.* FROM {user}"),
    ] {
        sql(&mut admin, &statement).await?;
    }
    let select = format!("SELECT a FROM `{database}`.stock");
    sql(&mut fixture.log_in_with(&in_use).await?, &select).await?;
    fixture.expect_failure_without_preflight(&function, "PrivilegeMissing", &role).await?;
    sql(&mut fixture.log_in_with(&in_use).await?, &select).await.context("the privilege is gone")
}

/// Servers keep the grants on a dropped table, and reject new ones.
async fn grant_on_dropped_table_is_reported_and_does_not_block<W: Which>(
    target: Target<W>,
) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let (user, database) = (account(&fixture.user), &fixture.database);
    for statement in [
        format!("CREATE TABLE `{database}`.gone (a INT)"),
        format!("CREATE TABLE `{database}`.narrow (a INT, b INT)"),
        format!("GRANT UPDATE ON `{database}`.gone TO {user}"),
        format!("GRANT UPDATE (a), UPDATE (b) ON `{database}`.narrow TO {user}"),
        format!("DROP TABLE `{database}`.gone"),
        format!("ALTER TABLE `{database}`.narrow DROP COLUMN b"),
    ] {
        sql(&mut admin, &statement).await?;
    }
    for turn in 0..3 {
        let notes = fixture.notes_of_set_secret().await.with_context(|| format!("turn {turn}"))?;
        ensure!(notes.contains("gone") && notes.contains("does not exist"), "{notes}");
        let mut session = fixture.log_in().await?;
        sql(&mut session, "UPDATE narrow SET a = 1").await?;
    }
    Ok(())
}

/// Only its creator can call a routine, and that is the user who was current at that time.
async fn routine_of_alternate_user_works_for_both_users<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let user = account(&fixture.user);
    sql(&mut admin, &format!("GRANT CREATE ROUTINE ON `{}`.* TO {user}", fixture.database)).await?;
    let function = fixture.function("master-user");
    for turn in 0..4 {
        fixture.rotate(&function).await?;
        let mut session = fixture.log_in().await?;
        sql(&mut session, &format!("CREATE PROCEDURE made_{turn}() SELECT 1")).await?;
        for earlier in 0..=turn {
            sql(&mut session, &format!("CALL made_{earlier}()"))
                .await
                .with_context(|| format!("turn {turn}"))?;
        }
        // The previous user can call the earlier procedures, too.
        let previous = fixture.value("AWSPREVIOUS")?;
        let mut session = fixture.log_in_with(&previous).await?;
        for earlier in 0..turn {
            sql(&mut session, &format!("CALL made_{earlier}()"))
                .await
                .with_context(|| format!("turn {turn}"))?;
        }
    }
    Ok(())
}

/// `ALTER USER … ATTRIBUTE` merges JSON objects. It removes a key only if its value is set to null.
#[tokio::test]
async fn removed_attribute_key_is_synced() {
    on_each::<MySql, _>(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let mut admin = target.admin().await?;
        let function = fixture.function("master-user");
        let attribute = async |user: &str| -> Result<Option<String>> {
            let query =
                "SELECT CONVERT(ATTRIBUTE, CHAR) FROM information_schema.USER_ATTRIBUTES WHERE \
                 USER = ?";
            Ok(sqlx::query_scalar(query).bind(user).fetch_one(&mut target.admin().await?).await?)
        };
        for text in [
            r#"{"team": "red", "deep": {"a": 1, "b": 2}, "comment": "it's"}"#,
            r#"{"team": null, "deep": {"b": null}}"#,
            r#"{"comment": "other"}"#,
        ] {
            let user = account(&fixture.user);
            let quoted = text.replace('\'', "''");
            sql(&mut admin, &format!("ALTER USER {user} ATTRIBUTE '{quoted}'")).await?;
            for _ in 0..2 {
                fixture.rotate(&function).await.context(text)?;
            }
            assert_eq!(
                attribute(&fixture.alternate()).await?,
                attribute(&fixture.user).await?,
                "{text}"
            );
        }
        Ok(())
    })
    .await;
}

/// MySQL adds the master user's partial revokes to the privileges that the master user grants.
#[tokio::test]
async fn partial_revokes_of_the_master_are_not_revoked_twice() {
    on_each::<MySql, _>(|target| async move {
        let Some((_server, target)) = target.another(options()?).await? else { return Ok(()) };
        let fixture = Fixture::new(&target).await?;
        let mut admin = target.admin().await?;
        let (user, master) = (account(&fixture.user), account(&fixture.master));
        for statement in [
            "SET GLOBAL partial_revokes = ON".to_owned(),
            format!("GRANT ALL ON *.* TO {master} WITH GRANT OPTION"),
            format!("REVOKE INSERT, DELETE ON mysql.* FROM {master}"),
            format!("GRANT SELECT, INSERT ON *.* TO {user}"),
            format!("REVOKE INSERT ON mysql.* FROM {user}"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        for _ in 0..3 {
            fixture.rotate(&fixture.function("master-user")).await?;
            fixture.log_in().await?;
        }
        let grants = async |user: &str| -> Result<Vec<String>> {
            let query = AssertSqlSafe(format!("SHOW GRANTS FOR {}", account(user)));
            let rows: Vec<String> =
                sqlx::query_scalar(query).fetch_all(&mut target.admin().await?).await?;
            Ok(rows.iter().map(|row| row.replace(&format!("`{user}`"), "USER")).collect())
        };
        assert_eq!(grants(&fixture.alternate()).await?, grants(&fixture.user).await?);
        Ok(())
    })
    .await;
}

/// `READ_ONLY ADMIN` has an underscore as MySQL's dynamic privileges do, but it is not a dynamic
/// privilege.
#[tokio::test]
async fn mariadb_read_only_admin_is_granted_and_revoked() {
    on_each::<rotation_tests::mysql::MariaDb, _>(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let mut admin = target.admin().await?;
        let (user, master) = (account(&fixture.user), account(&fixture.master));
        sql(
            &mut admin,
            &format!("GRANT SELECT, READ_ONLY ADMIN ON *.* TO {master} WITH GRANT OPTION"),
        )
        .await?;
        let function = fixture.function("master-user");
        let shown = async |user: &str| -> Result<String> {
            let query = AssertSqlSafe(format!("SHOW GRANTS FOR {}", account(user)));
            let rows: Vec<String> =
                sqlx::query_scalar(query).fetch_all(&mut target.admin().await?).await?;
            Ok(rows.join("\n"))
        };
        for (statement, has, option) in [
            (format!("GRANT READ_ONLY ADMIN ON *.* TO {user} WITH GRANT OPTION"), true, true),
            (format!("REVOKE GRANT OPTION ON *.* FROM {user}"), true, false),
            (format!("GRANT SELECT ON *.* TO {user}"), true, false),
            (format!("REVOKE READ_ONLY ADMIN ON *.* FROM {user}"), false, false),
        ] {
            sql(&mut admin, &statement).await?;
            for _ in 0..2 {
                fixture.rotate(&function).await.with_context(|| statement.clone())?;
            }
            let shown = shown(&fixture.alternate()).await?;
            let global = shown.lines().find(|line| line.contains("ON *.*")).unwrap_or_default();
            assert_eq!(global.contains("READ_ONLY ADMIN"), has, "{statement}: {shown}");
            assert_eq!(global.contains("WITH GRANT OPTION"), option, "{statement}: {shown}");
        }
        Ok(())
    })
    .await;
}
