//! Tests of the sync of privileges: the alternate user has exactly the privileges, requirements and
//! limits of the base user.

use anyhow::{Result, ensure};
use rotation_tests::mysql::{
    Fixture, MariaDb, MySql, Target, Which, account, account_at, on_each, sql,
};
use sqlx::{AssertSqlSafe, MySqlConnection};
use test_servers::mysql::Kind;

crate::on_both! {
    alternate_user_matches_base_user_exactly
    preflight_reports_ungrantable_privileges
    inactive_role_privileges_count_or_are_reported
}

/// Returns what the server shows of a user, without the user's name and password.
pub(crate) async fn shown(
    admin: &mut MySqlConnection,
    user: &str,
    host: &str,
) -> Result<Vec<String>> {
    let at = account_at(user, host);
    let create: String = sqlx::query_scalar(AssertSqlSafe(format!("SHOW CREATE USER {at}")))
        .fetch_one(&mut *admin)
        .await?;
    let grants: Vec<String> =
        sqlx::query_scalar(AssertSqlSafe(format!("SHOW GRANTS FOR {at}"))).fetch_all(admin).await?;
    let without_password = |line: &str| {
        let at = [
            line.find("IDENTIFIED WITH 'caching_sha2_password' AS "),
            line.find("IDENTIFIED BY PASSWORD "),
        ];
        let Some(start) = at.into_iter().flatten().next() else { return line.to_owned() };
        // The hash can contain any character, but none of the keywords that follow it.
        let end = ["DEFAULT ROLE", "REQUIRE", " WITH MAX", "PASSWORD EXPIRE"]
            .iter()
            .filter_map(|word| line[start + 30..].find(word).map(|at| at + start + 30))
            .min()
            .unwrap_or(line.len());
        format!("{}{}", &line[..start], &line[end..])
    };
    let mut lines: Vec<_> =
        std::iter::once(create).chain(grants).map(|line| without_password(&line)).collect();
    for line in &mut lines {
        *line = line.replace(&format!("`{user}`"), "`USER`");
        // A limit of 0 means that there is no limit, whether the server shows it or not.
        for limit in
            ["QUERIES_PER_HOUR", "UPDATES_PER_HOUR", "CONNECTIONS_PER_HOUR", "USER_CONNECTIONS"]
        {
            *line = line.replace(&format!(" MAX_{limit} 0"), "");
        }
        *line = line.replace(" WITH PASSWORD", " PASSWORD");
    }
    lines.sort();
    Ok(lines)
}

async fn alternate_user_matches_base_user_exactly<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let (user, master, database) =
        (account(&fixture.user), account(&fixture.master), &fixture.database);
    let tag = fixture.user.trim_start_matches("app_").to_owned();
    let function = fixture.function("master-user");
    sql(&mut admin, &format!("CREATE TABLE {database}.`t TO x` (a int, `b``c` int)")).await?;
    sql(&mut admin, &format!("CREATE PROCEDURE {database}.p() SELECT 1")).await?;
    sql(&mut admin, &format!("CREATE FUNCTION {database}.f() RETURNS int DETERMINISTIC RETURN 1"))
        .await?;
    sql(&mut admin, &format!("CREATE ROLE r1_{tag}")).await?;
    sql(&mut admin, &format!("CREATE ROLE r2_{tag}")).await?;
    sql(&mut admin, &format!("GRANT ALL PRIVILEGES ON *.* TO {master} WITH GRANT OPTION")).await?;
    for role in ["r1", "r2"] {
        sql(&mut admin, &format!("GRANT {role}_{tag} TO {master} WITH ADMIN OPTION")).await?;
    }
    // Each row has a statement that grants a privilege or sets an attribute, and one that reverts
    // it.
    let mut rows = vec![
        (
            format!("GRANT INSERT, UPDATE ON {database}.* TO {user}"),
            format!("REVOKE INSERT ON {database}.* FROM {user}"),
        ),
        (
            format!("GRANT DELETE ON `a\\_b%`.* TO {user} WITH GRANT OPTION"),
            format!("REVOKE GRANT OPTION ON `a\\_b%`.* FROM {user}"),
        ),
        (
            format!(
                "GRANT SELECT (a), UPDATE (a, `b``c`) ON {database}.`t TO x` TO {user} WITH GRANT \
                 OPTION"
            ),
            format!("REVOKE UPDATE (a) ON {database}.`t TO x` FROM {user}"),
        ),
        (
            format!("GRANT EXECUTE ON PROCEDURE {database}.p TO {user}"),
            format!("REVOKE EXECUTE ON PROCEDURE {database}.p FROM {user}"),
        ),
        (
            format!("GRANT EXECUTE ON FUNCTION {database}.f TO {user}"),
            format!("REVOKE EXECUTE ON FUNCTION {database}.f FROM {user}"),
        ),
        (format!("GRANT PROCESS ON *.* TO {user}"), format!("REVOKE PROCESS ON *.* FROM {user}")),
        (format!("GRANT r1_{tag} TO {user}"), format!("REVOKE r1_{tag} FROM {user}")),
        (format!("GRANT r2_{tag} TO {user} WITH ADMIN OPTION"), String::new()),
        (
            format!(
                "ALTER USER {user} REQUIRE SSL WITH MAX_USER_CONNECTIONS 9 MAX_QUERIES_PER_HOUR \
                 5000"
            ),
            format!("ALTER USER {user} REQUIRE NONE WITH MAX_QUERIES_PER_HOUR 0"),
        ),
        // MySQL shows an interval until it reloads the privileges, unless NEVER comes before
        // DEFAULT. Any failed statement about users reloads them.
        (
            format!("ALTER USER {user} PASSWORD EXPIRE INTERVAL 90 DAY"),
            format!("ALTER USER {user} PASSWORD EXPIRE NEVER"),
        ),
        (
            format!("ALTER USER {user} PASSWORD EXPIRE INTERVAL 90 DAY"),
            format!("ALTER USER {user} PASSWORD EXPIRE DEFAULT"),
        ),
    ];
    if W::KIND == Kind::MySql {
        rows.extend([
            (
                format!("GRANT BACKUP_ADMIN ON *.* TO {user}"),
                format!(
                    "REVOKE BACKUP_ADMIN ON *.* \
                FROM {user}"
                ),
            ),
            // The grant option belongs to this privilege alone, not to the other privileges on *.*.
            (
                format!("GRANT ROLE_ADMIN ON *.* TO {user} WITH GRANT OPTION"),
                format!(
                    "REVOKE \
                ROLE_ADMIN ON *.* FROM {user}"
                ),
            ),
            (
                format!("ALTER USER {user} DEFAULT ROLE r1_{tag}, r2_{tag}"),
                format!(
                    "ALTER USER \
                {user} DEFAULT ROLE r2_{tag}"
                ),
            ),
            (format!("ALTER USER {user} COMMENT 'it''s \"theirs\" \\\\ o'"), String::new()),
            (
                format!(
                    "ALTER USER {user} FAILED_LOGIN_ATTEMPTS 4 PASSWORD_LOCK_TIME 2 PASSWORD \
                    HISTORY 0 PASSWORD REQUIRE CURRENT OPTIONAL"
                ),
                format!("ALTER USER {user} FAILED_LOGIN_ATTEMPTS 0 PASSWORD_LOCK_TIME 0"),
            ),
        ]);
    } else {
        rows.extend([
            (
                format!("SET DEFAULT ROLE r2_{tag} FOR {user}"),
                format!("SET DEFAULT ROLE NONE FOR {user}"),
            ),
            (
                format!("ALTER USER {user} WITH MAX_STATEMENT_TIME 30.5"),
                format!("ALTER USER {user} WITH MAX_STATEMENT_TIME 0"),
            ),
        ]);
    }
    let clone = format!("{}_clone", fixture.user);
    for round in 0..2 {
        for (allow, _) in &rows {
            sql(&mut admin, allow).await?;
        }
        let checks = fixture.preflight(&function).await?;
        ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
        // The target is the base user in some of these rotations and the alternate user in the
        // others.
        for _ in 0..=round {
            fixture.rotate(&function).await?;
        }
        fixture.log_in().await?;
        assert_eq!(
            shown(&mut admin, &clone, "%").await?,
            shown(&mut admin, &fixture.user, "%").await?,
            "granted, round {round}"
        );
        for (_, revoke) in rows.iter().filter(|(_, revoke)| !revoke.is_empty()) {
            sql(&mut admin, revoke).await?;
        }
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
        let (theirs, base) =
            (shown(&mut admin, &clone, "%").await?, shown(&mut admin, &fixture.user, "%").await?);
        ensure!(base.iter().any(|line| line.contains("`t TO x`")), "{base:?}");
        assert_eq!(theirs, base, "revoked, round {round}");
    }
    // A privilege that the alternate user got from another source is revoked.
    sql(&mut admin, &format!("GRANT CREATE ON {database}.* TO {}", account(&clone))).await?;
    fixture.rotate(&function).await?;
    assert_eq!(shown(&mut admin, &clone, "%").await?, shown(&mut admin, &fixture.user, "%").await?);
    fixture.search_for_passwords("")
}

/// A privilege that is revoked for one database is also revoked for the alternate user.
#[tokio::test]
async fn partial_revokes_are_copied() {
    on_each::<MySql, _>(|target| async move {
        let mut options = rotation_tests::mysql::options()?;
        options.arguments = vec!["--partial-revokes=ON".into()];
        let Some((_server, partial)) = target.another(options).await? else { return Ok(()) };
        let fixture = Fixture::new(&partial).await?;
        let mut admin = partial.admin().await?;
        let (user, master) = (account(&fixture.user), account(&fixture.master));
        sql(&mut admin, &format!("GRANT ALL PRIVILEGES ON *.* TO {master} WITH GRANT OPTION"))
            .await?;
        sql(&mut admin, &format!("GRANT SELECT, INSERT ON *.* TO {user}")).await?;
        sql(&mut admin, &format!("CREATE DATABASE hidden_{}", fixture.database)).await?;
        let function = fixture.function("master-user");
        for statement in [
            format!("REVOKE SELECT ON hidden_{}.* FROM {user}", fixture.database),
            format!("REVOKE INSERT ON mysql.* FROM {user}"),
            format!("GRANT SELECT ON hidden_{}.* TO {user}", fixture.database),
        ] {
            sql(&mut admin, &statement).await?;
            fixture.rotate(&function).await?;
            fixture.log_in().await?;
            let base = shown(&mut admin, &fixture.user, "%").await?;
            ensure!(base.iter().any(|line| line.starts_with("REVOKE ")), "{base:?}");
            assert_eq!(shown(&mut admin, &fixture.alternate(), "%").await?, base, "{statement}");
        }
        Ok(())
    })
    .await;
}

/// The base user had all privileges on its database and keeps some of them. The alternate user does
/// not lose any while applications are using it.
#[tokio::test]
async fn narrowed_privileges_are_deferred_mysql() {
    on_each::<MySql, _>(narrow).await;
}

#[tokio::test]
async fn narrowed_privileges_are_deferred_mariadb() {
    on_each::<MariaDb, _>(narrow).await;
}

async fn narrow<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let (user, database) = (account(&fixture.user), &fixture.database);
    sql(&mut admin, &format!("GRANT ALL PRIVILEGES ON {database}.* TO {user}")).await?;
    let function = fixture.function("master-user");
    fixture.rotate(&function).await?;
    sql(&mut admin, &format!("REVOKE ALL PRIVILEGES ON {database}.* FROM {user}")).await?;
    sql(&mut admin, &format!("GRANT SELECT ON {database}.* TO {user}")).await?;
    let in_use = fixture.value("AWSCURRENT")?;
    let rotation = fixture.rotate(&function).await?;
    let set = rotation.steps[1].result.as_ref().map(ToString::to_string).unwrap_or_default();
    ensure!(set.contains("Deferred until"), "{set}");
    let mut session = fixture.log_in_with(&in_use).await?;
    sql(&mut session, "SELECT * FROM present").await?;
    fixture.rotate(&function).await?;
    let expected = shown(&mut admin, &fixture.user, "%").await?;
    assert_eq!(shown(&mut admin, &fixture.alternate(), "%").await?, expected);
    Ok(())
}

/// Preflight reports the missing grant option before any rotation.
async fn preflight_reports_ungrantable_privileges<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let (master, database) = (&fixture.master, &fixture.database);
    let revoke = format!("REVOKE GRANT OPTION ON {database}.* FROM {}", account(master));
    sql(&mut target.admin().await?, &revoke).await?;
    let function = fixture.function("master-user");
    let part = format!("GRANT SELECT ON `{database}`.* TO '{master}'@'HOST' WITH GRANT OPTION");
    fixture.preflight_finds(&function, "PrivilegeMissing", &part).await
}

/// The master user has its privileges from a role that is granted but not active by default.
async fn inactive_role_privileges_count_or_are_reported<W: Which>(target: Target<W>) -> Result<()> {
    let fixture = Fixture::new(&target).await?;
    let mut admin = target.admin().await?;
    let (master, role) = (account(&fixture.master), format!("ops_{}", fixture.database));
    for statement in [
        format!("CREATE ROLE {role}"),
        format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM {master}"),
        format!("GRANT CREATE USER ON *.* TO {role}"),
        format!("GRANT SELECT, UPDATE ON mysql.* TO {role}"),
        format!("GRANT ALL PRIVILEGES ON {}.* TO {role} WITH GRANT OPTION", fixture.database),
        format!("GRANT {role} TO {master}"),
    ] {
        sql(&mut admin, &statement).await?;
    }
    // Without its role, the master user cannot access the database.
    fixture.change_master(&serde_json::json!({"dbname": null}))?;
    let function = fixture.function("master-user");
    if W::KIND == Kind::MariaDb {
        // In MariaDB, one role at a time is active, and nothing shows which one to choose. The
        // remedy names it.
        let part = format!("SET DEFAULT ROLE `{role}`");
        fixture.preflight_finds(&function, "PrivilegeMissing", &part).await?;
        fixture.expect(&function, "PrivilegeMissing", &part).await?;
        sql(&mut admin, &format!("SET DEFAULT ROLE {role} FOR {master}")).await?;
        let token = fixture.version("AWSPENDING")?.unwrap_or_default();
        fixture.give_up(&token)?;
    }
    let checks = fixture.preflight(&function).await?;
    ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
    for _ in 0..2 {
        fixture.rotate(&function).await?;
        fixture.log_in().await?;
    }
    Ok(())
}
