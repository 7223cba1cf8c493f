//! Tests of failures that only PostgreSQL reports.
//!
//! Each must have its own error type and a remedy, be reported in time, and leak no password.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rotation_driver::Function;
use rotation_postgres::identifier;
use rotation_tests::machine_speed::scaled;
use rotation_tests::postgres::{Fixture, on_each, options, sql};
use serde_json::{Value, json};

#[tokio::test]
async fn non_password_errors_stop_the_search() {
    on_each(|target| async move {
        let rows: [(&str, Value, &str, &str); 4] = [
            ("ALTER ROLE {user} NOLOGIN", json!({}), "LoginNotPermitted", "LOGIN."),
            ("", json!({"dbname": "no_such_database"}), "DatabaseNotFound", "\"dbname\""),
            (
                "REVOKE CONNECT ON DATABASE {database} FROM PUBLIC",
                json!({}),
                "DatabaseAccessDenied",
                "GRANT CONNECT ON DATABASE",
            ),
            (
                "ALTER ROLE {user} CONNECTION LIMIT 0",
                json!({}),
                "TooManyConnections",
                "connection limit",
            ),
        ];
        for (statement, change, error_type, part) in rows {
            let fixture = Fixture::new(&target).await?;
            if !statement.is_empty() {
                let statement = statement
                    .replace("{user}", &identifier(&fixture.user))
                    .replace("{database}", &identifier(&fixture.database));
                sql(&mut fixture.admin().await?, &statement).await?;
            }
            fixture.change(&change)?;
            let function = fixture.function("single-user");
            // Preflight does not run first, because its session would be counted as well.
            fixture.expect_failure_without_preflight(&function, error_type, part).await?;
            assert_eq!(fixture.failed_logins()?, 0);
            if target.log.is_some() {
                let tried =
                    fixture.server_log()?.matches(&format!("user={}", fixture.user)).count();
                assert!(tried <= 1, "{tried} sessions instead of one");
            }
            fixture.preflight_finds(&function, error_type, part).await?;
        }
        Ok(())
    })
    .await;
}

/// An earlier attempt may still be running: its connection broke, and the server has not noticed.
#[tokio::test]
async fn concurrent_change_is_awaited_and_does_not_block() {
    on_each(|target| async move {
        const CHANGE: &str = "ALTER ROLE {user} CONNECTION LIMIT -1";
        let strategies = [
            ("single-user", 0, CHANGE),
            ("single-user-by-master", 0, CHANGE),
            (
                "master-user",
                0,
                "CREATE ROLE {alternate}; GRANT {user} TO {alternate}; GRANT \
                {alternate} TO {master} WITH ADMIN OPTION",
            ),
            ("master-user", 1, CHANGE),
            ("master-user", 2, "ALTER ROLE {alternate} CONNECTION LIMIT -1"),
        ];
        for (strategy, rotations_before, statement) in strategies {
            let fixture = Fixture::new(&target).await?;
            let function = fixture.function(strategy);
            for _ in 0..rotations_before {
                fixture.rotate(&function).await?;
            }
            let statement = statement
                .replace("{user}", &identifier(&fixture.user))
                .replace("{master}", &identifier(&fixture.master))
                .replace("{alternate}", &identifier(&fixture.alternate()));
            let mut other = fixture.admin().await?;
            sql(&mut other, &format!("BEGIN; {statement}")).await?;
            let (rotated, committed) = tokio::join!(fixture.rotate(&function), async {
                wait_for_blocked(&mut other, 1).await.context(strategy)?;
                sql(&mut other, "COMMIT").await
            });
            rotated.context(strategy)?;
            committed?;
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// A change that conflicted with another session is not retried if its rotation was cancelled. A
/// retry would overwrite the password that the next rotation has set.
#[tokio::test]
async fn blocked_then_cancelled_rotation_does_not_overwrite_next() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let functions = [fixture.function("single-user"), fixture.function("single-user")];
        let mut other = fixture.admin().await?;
        sql(
            &mut other,
            &format!("BEGIN; ALTER ROLE {} CONNECTION LIMIT -1", identifier(&fixture.user)),
        )
        .await?;
        let old = fixture.stage(None)?;
        fixture.step(&functions[0], "createSecret", &old).await?;
        let cancelled = fixture.step(&functions[0], "setSecret", &old);
        let next = async {
            wait_for_blocked(&mut other, 1).await?;
            fixture.give_up(&old)?;
            let token = fixture.stage(None)?;
            fixture.step(&functions[1], "createSecret", &token).await?;
            let (set, committed) =
                tokio::join!(fixture.step(&functions[1], "setSecret", &token), async {
                    wait_for_blocked(&mut other, 2).await?;
                    sql(&mut other, "COMMIT").await
                });
            committed?;
            set?;
            anyhow::Ok(token)
        };
        let (cancelled, token) = tokio::join!(cancelled, next);
        let error = cancelled.err().context("the cancelled rotation continued")?.to_string();
        assert!(error.starts_with("DatabaseBusy: "), "{error}");
        assert_eq!(fixture.attempt(&functions[1], &token?, 1).await.failed, None);
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// A function is frozen in the middle of a transaction, or its network is gone. The server receives
/// nothing, not even the end of the connection.
#[tokio::test]
async fn abandoned_transaction_releases_user_in_time() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let frozen = fixture.function("single-user");
        let mut other = fixture.admin().await?;
        sql(
            &mut other,
            &format!("BEGIN; ALTER ROLE {} CONNECTION LIMIT -1", identifier(&fixture.user)),
        )
        .await?;
        let token = fixture.stage(None)?;
        fixture.step(&frozen, "createSecret", &token).await?;
        let Function::Program(program) = &frozen else { unreachable!() };
        let process = program.process_id().context("the function has no process")?.to_string();
        let signal =
            |name: &str| std::process::Command::new("kill").args([name, &process]).status();
        let next = async {
            wait_for_blocked(&mut other, 1).await?;
            signal("-STOP")?;
            sql(&mut other, "ROLLBACK").await?;
            let function = fixture.function("single-user");
            // PostgreSQL ends the transaction after 15 s, the limit that the function itself sets.
            let until = Instant::now() + Duration::from_secs(15) + scaled(Duration::from_secs(10));
            while let Some(error) = fixture.attempt(&function, &token, 1).await.failed {
                assert_eq!(error.error_type, "DatabaseBusy", "{}", error.message);
                anyhow::ensure!(
                    Instant::now() < until,
                    "the user is still locked: {}",
                    error.message
                );
            }
            signal("-KILL")?;
            anyhow::Ok(())
        };
        let (_killed, done) = tokio::join!(fixture.step(&frozen, "setSecret", &token), next);
        done?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// Waits until `many` sessions wait for this one, directly or indirectly.
async fn wait_for_blocked(session: &mut sqlx::PgConnection, many: i64) -> anyhow::Result<()> {
    const QUERY: &str = "WITH RECURSIVE waits AS (SELECT DISTINCT pid, pg_blocking_pids(pid) AS \
        behind FROM pg_locks WHERE NOT granted), \
        queue AS (SELECT pid FROM waits WHERE pg_backend_pid() = ANY (behind) \
        UNION SELECT w.pid FROM waits w JOIN queue q ON q.pid = ANY (w.behind)) SELECT count(*) \
        FROM queue";
    for _ in 0..3000 {
        if sqlx::query_scalar::<_, i64>(QUERY).fetch_one(&mut *session).await? >= many {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    anyhow::bail!("no session waits for this one")
}

#[tokio::test]
async fn connection_limit_and_hba_rejection_are_reported() {
    on_each(|target| async move {
        let mut full = options()?;
        full.configuration = "max_connections = 4\nsuperuser_reserved_connections = 3\n".into();
        let Some((_full, full)) = target.another(full)? else { return Ok(()) };
        let fixture = Fixture::new(&full).await?;
        // The sessions that created the fixture may still be ending.
        let mut taken = fixture.log_in().await;
        for _ in 0..300 {
            if taken.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            taken = fixture.log_in().await;
        }
        let taken = taken?;
        fixture
            .expect(&fixture.function("single-user"), "TooManyConnections", "connection limit")
            .await?;
        drop(taken);

        let mut strict = options()?;
        strict.access_rules =
            "host all rejected_user all reject\nhost all postgres all scram-sha-256\n\
            host all +nobody_is_in_here all scram-sha-256\nhost all all all reject"
                .into();
        let Some((_strict, strict)) = target.another(strict)? else { return Ok(()) };
        let fixture = Fixture::new(&strict).await?;
        fixture.expect(&fixture.function("single-user"), "ClientRejected", "pg_hba.conf").await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn expired_role_is_reported() {
    on_each(|target| async move {
        // The server hides the expiry from the role itself. It gives the same answer as for a wrong
        // password, so that error also names the expiry as a possible cause.
        let fixture = Fixture::new(&target).await?;
        let expire = format!("ALTER ROLE {} VALID UNTIL '2001-01-01'", identifier(&fixture.user));
        sql(&mut fixture.admin().await?, &expire).await?;
        fixture
            .expect(&fixture.function("single-user"), "CredentialsRefused", "rolvaliduntil")
            .await?;

        // With alternating users, the master user can read the expiry.
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let expire = format!("ALTER ROLE {} VALID UNTIL '2001-01-01'", identifier(&fixture.user));
        sql(&mut fixture.admin().await?, &expire).await?;
        fixture.expect(&function, "AccountExpired", "VALID UNTIL 'infinity'").await?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn missing_master_privilege_names_statement() {
    on_each(|target| async move {
        let version = target.version().await?;
        let fixture = Fixture::new(&target).await?;
        let (user, master) = (identifier(&fixture.user), identifier(&fixture.master));
        let mut admin = fixture.admin().await?;
        let (take, part) = if version >= 160_000 {
            (
                format!("REVOKE {user} FROM {master}"),
                format!("GRANT {user} TO {master} WITH ADMIN OPTION"),
            )
        } else {
            (format!("ALTER ROLE {master} NOCREATEROLE"), format!("ALTER ROLE {master} CREATEROLE"))
        };
        sql(&mut admin, &take).await?;
        let before = fixture.value("AWSCURRENT")?;
        fixture
            .preflight_finds(&fixture.function("master-user"), "PrivilegeMissing", &part)
            .await?;
        fixture.expect(&fixture.function("master-user"), "PrivilegeMissing", &part).await?;
        assert_eq!(fixture.value("AWSCURRENT")?, before);
        let clone = format!("{}_clone", fixture.user);
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_roles WHERE rolname = $1")
            .bind(&clone)
            .fetch_one(&mut admin)
            .await?;
        assert_eq!(left, 0, "a failed rotation has left a role");
        fixture.log_in().await?;

        // After an administrator runs the statement of the error, the rotation succeeds.
        sql(&mut admin, &format!("ALTER ROLE {master} CREATEROLE")).await?;
        if version >= 160_000 {
            sql(&mut admin, &part).await?;
        }
        let token = fixture.version("AWSPENDING")?.context("no pending version")?;
        let rotation = fixture.attempt(&fixture.function("master-user"), &token, 1).await;
        assert_eq!(rotation.failed, None);
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn standby_is_reported_and_nothing_is_promoted() {
    on_each(|target| async move {
        let Some((mut server, target)) = target.another(options()?)? else { return Ok(()) };
        let mut fixtures = Vec::new();
        for strategy in ["single-user", "single-user-by-master", "master-user"] {
            fixtures.push((strategy, Fixture::new(&target).await?));
        }
        server.restart_as_standby()?;
        for (strategy, fixture) in fixtures {
            let before = fixture.version("AWSCURRENT")?;
            let function = fixture.function(strategy);
            fixture.preflight_finds(&function, "NeedsDecision", "endpoint of the writer").await?;
            let error =
                fixture.expect(&function, "NeedsDecision", "endpoint of the writer").await?;
            ensure!(error.message.contains("it is a standby"), "{}", error.message);
            assert_eq!(fixture.version("AWSCURRENT")?, before);
        }
        Ok(())
    })
    .await;
}
