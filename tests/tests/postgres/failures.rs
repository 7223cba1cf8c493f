//! Failures of the database, told apart: each with its own type, the next thing to do, in time, and without a leak.

use anyhow::Context;
use rotation_postgres::identifier;
use rotation_tests::postgres::{Scene, on_each, options, sql};
use serde_json::{Value, json};

#[tokio::test]
async fn refusals_that_no_password_mends_end_the_search_at_once() {
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
            ("ALTER ROLE {user} CONNECTION LIMIT 0", json!({}), "TooManyConnections", "connection limit"),
        ];
        for (statement, change, error_type, part) in rows {
            let scene = Scene::new(&target).await?;
            if !statement.is_empty() {
                let statement = statement
                    .replace("{user}", &identifier(&scene.user))
                    .replace("{database}", &identifier(&scene.database));
                sql(&mut scene.admin().await?, &statement).await?;
            }
            scene.change(&change)?;
            scene.expect(&scene.function("single-user"), error_type, part).await?;
            assert_eq!(scene.failed_logins()?, 0);
            if target.log.is_some() {
                let tried = scene.server_log()?.matches(&format!("user={}", scene.user)).count();
                assert!(tried <= 1, "{tried} sessions");
            }
        }
        Ok(())
    })
    .await;
}

/// An earlier attempt may be at work still: its connection broke, and the server has not noticed.
#[tokio::test]
async fn another_session_that_changes_the_same_is_waited_for_and_not_in_the_way() {
    on_each(|target| async move {
        let strategies =
            [("single-user", 0), ("single-user-by-master", 0), ("master-user", 1), ("master-user", 2)];
        for (strategy, rotations_before) in strategies {
            let scene = Scene::new(&target).await?;
            let function = scene.function(strategy);
            for _ in 0..rotations_before {
                scene.rotate(&function).await?;
            }
            let user = if rotations_before == 2 { scene.alternate() } else { scene.user.clone() };
            let mut other = scene.admin().await?;
            sql(&mut other, &format!("BEGIN; ALTER ROLE {} CONNECTION LIMIT -1", identifier(&user))).await?;
            let (rotated, committed) = tokio::join!(scene.rotate(&function), async {
                for _ in 0..500 {
                    if is_waited_for(&mut other).await? {
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                }
                sql(&mut other, "COMMIT").await
            });
            committed?;
            rotated.context(strategy)?;
            scene.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// Whether somebody waits for a lock of this session.
async fn is_waited_for(session: &mut sqlx::PgConnection) -> anyhow::Result<bool> {
    const QUERY: &str = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))";
    Ok(sqlx::query_scalar(QUERY).fetch_one(session).await?)
}

#[tokio::test]
async fn a_server_that_is_full_and_one_that_rejects_by_its_rules() {
    on_each(|target| async move {
        let mut full = options()?;
        full.configuration = "max_connections = 4\nsuperuser_reserved_connections = 3\n".into();
        let Some((_full, full)) = target.another(full)? else { return Ok(()) };
        let scene = Scene::new(&full).await?;
        // The sessions that made the scene may still be ending.
        let mut taken = scene.log_in().await;
        for _ in 0..50 {
            if taken.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            taken = scene.log_in().await;
        }
        let taken = taken?;
        scene.expect(&scene.function("single-user"), "TooManyConnections", "connection limit").await?;
        drop(taken);

        let mut strict = options()?;
        strict.access_rules = "host all rejected_user all reject\nhost all postgres all scram-sha-256\n\
            host all +nobody_is_in_here all scram-sha-256\nhost all all all reject"
            .into();
        let Some((_strict, strict)) = target.another(strict)? else { return Ok(()) };
        let scene = Scene::new(&strict).await?;
        scene.expect(&scene.function("single-user"), "ClientRejected", "pg_hba.conf").await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_expired_role_is_told_by_whoever_may_look() {
    on_each(|target| async move {
        // The server hides it from the role itself: same answer as for a wrong password, so the error names it too.
        let scene = Scene::new(&target).await?;
        let expire = format!("ALTER ROLE {} VALID UNTIL '2001-01-01'", identifier(&scene.user));
        sql(&mut scene.admin().await?, &expire).await?;
        scene.expect(&scene.function("single-user"), "CredentialsRefused", "rolvaliduntil").await?;

        // With alternating users the master sees it.
        let scene = Scene::new(&target).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        let expire = format!("ALTER ROLE {} VALID UNTIL '2001-01-01'", identifier(&scene.user));
        sql(&mut scene.admin().await?, &expire).await?;
        scene.expect(&function, "AccountExpired", "VALID UNTIL 'infinity'").await?;
        scene.log_in().await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_master_without_the_privilege_is_told_the_statement_and_nothing_is_promoted() {
    on_each(|target| async move {
        let version = target.version().await?;
        let scene = Scene::new(&target).await?;
        let (user, master) = (identifier(&scene.user), identifier(&scene.master));
        let mut admin = scene.admin().await?;
        let (take, part) = if version >= 160_000 {
            (format!("REVOKE {user} FROM {master}"), format!("GRANT {user} TO {master} WITH ADMIN OPTION"))
        } else {
            (format!("ALTER ROLE {master} NOCREATEROLE"), format!("ALTER ROLE {master} CREATEROLE"))
        };
        sql(&mut admin, &take).await?;
        let before = scene.value("AWSCURRENT")?;
        scene.preflight_finds(&scene.function("master-user"), "PrivilegeMissing", &part).await?;
        scene.expect(&scene.function("master-user"), "PrivilegeMissing", &part).await?;
        assert_eq!(scene.value("AWSCURRENT")?, before);
        let clone = format!("{}_clone", scene.user);
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_roles WHERE rolname = $1")
            .bind(&clone)
            .fetch_one(&mut admin)
            .await?;
        assert_eq!(left, 0, "a failed rotation has left a role");
        scene.log_in().await?;

        // What the error has told, run by an administrator, is enough.
        sql(&mut admin, &format!("ALTER ROLE {master} CREATEROLE")).await?;
        if version >= 160_000 {
            sql(&mut admin, &part).await?;
        }
        let token = scene.version("AWSPENDING")?.context("no pending version")?;
        let rotation = scene.attempt(&scene.function("master-user"), &token, 1).await;
        assert_eq!(rotation.failed, None);
        scene.log_in().await?;
        Ok(())
    })
    .await;
}
