//! Tests of the sync of privileges: after the next rotation, the alternate user has the privileges
//! of the base user, and no other.

use anyhow::{Result, ensure};
use rotation_tests::oracle::{Fixture, SERVICE, Target, on_each, quoted, rows, sql};
use serde_json::json;

/// Returns everything that the dictionary shows about a user, without its name.
async fn catalog_rows(fixture: &Fixture, user: &str) -> Result<Vec<String>> {
    let name = quoted(user).replace('"', "");
    let mut admin = fixture.target.admin().await?;
    let mut all = Vec::new();
    for query in [
        "SELECT 'user', profile, default_tablespace, temporary_tablespace, authentication_type \
         FROM dba_users \
            WHERE username = :1",
        "SELECT 'system', privilege, admin_option, 'x', 'x' FROM dba_sys_privs WHERE grantee = :1",
        "SELECT 'role', granted_role, admin_option, default_role, 'x' FROM dba_role_privs WHERE \
         grantee = :1",
        "SELECT owner, table_name, privilege, grantable, hierarchy FROM dba_tab_privs WHERE \
         grantee = :1",
        "SELECT owner, table_name, column_name, privilege, grantable FROM dba_col_privs WHERE \
         grantee = :1",
        "SELECT 'quota', tablespace_name, TO_CHAR(max_bytes), 'x', 'x' FROM dba_ts_quotas WHERE \
         username = :1",
    ] {
        all.extend(rows(&mut admin, query, &name).await?.into_iter().map(|row| row.join(" ")));
    }
    all.sort();
    Ok(all)
}

/// Statements that a DBA runs, each with the statement that reverts it. `{u}` is the user, `{m}`
/// the master user, `{o}` the owner of the user's tables.
const GRANTS: &[(&str, &str)] = &[
    ("GRANT INSERT ON {o}.present TO {u}", "REVOKE INSERT ON {o}.present FROM {u}"),
    ("GRANT READ ON {o}.present TO {u}", "REVOKE READ ON {o}.present FROM {u}"),
    (
        "GRANT DELETE ON {o}.present TO {u} WITH GRANT OPTION",
        "REVOKE DELETE ON {o}.present FROM {u}",
    ),
    ("GRANT UPDATE (a) ON {o}.present TO {u}", "REVOKE UPDATE ON {o}.present FROM {u}"),
    (
        "GRANT READ ON DIRECTORY \"the dumps\" TO {m} WITH GRANT OPTION",
        "GRANT CREATE SESSION TO {m}",
    ),
    (
        "GRANT READ ON DIRECTORY \"the dumps\" TO {u}",
        "REVOKE READ ON DIRECTORY \"the dumps\" FROM {u}",
    ),
    ("GRANT CREATE TABLE TO {u}", "REVOKE CREATE TABLE FROM {u}"),
    ("GRANT CREATE VIEW TO {u} WITH ADMIN OPTION", "REVOKE CREATE VIEW FROM {u}"),
    ("GRANT \"some role\" TO {u} WITH ADMIN OPTION", "REVOKE \"some role\" FROM {u}"),
    ("GRANT CONNECT TO {u}", "REVOKE CONNECT FROM {u}"),
    ("ALTER USER {u} QUOTA 1000000 ON USERS", "ALTER USER {u} QUOTA 0 ON USERS"),
    ("ALTER USER {u} QUOTA UNLIMITED ON DATA", "ALTER USER {u} QUOTA 5 ON DATA"),
    (
        "ALTER USER {u} DEFAULT TABLESPACE DATA TEMPORARY TABLESPACE TEMP2",
        "ALTER USER {u} DEFAULT TABLESPACE USERS",
    ),
    ("ALTER USER {u} PROFILE \"some profile\"", "ALTER USER {u} PROFILE DEFAULT"),
    ("ALTER USER {u} DEFAULT ROLE CONNECT", "ALTER USER {u} DEFAULT ROLE NONE"),
];

async fn prepared(fixture: &Fixture) -> Result<()> {
    let mut admin = fixture.target.admin().await?;
    for statement in [
        "CREATE ROLE \"some role\"",
        "CREATE PROFILE \"some profile\" LIMIT PASSWORD_REUSE_MAX 3",
        "CREATE DIRECTORY \"the dumps\" AS '/tmp'",
    ] {
        // Another test may have created these objects.
        let _ = sql(&mut admin, statement).await;
    }
    Ok(())
}

/// Grants and revokes every kind of privilege, and rotates after each.
pub(crate) async fn every_privilege(target: &Target, alternate_is_current: bool) -> Result<()> {
    let fixture = Fixture::new(target).await?;
    prepared(&fixture).await?;
    let function = fixture.function("master-user");
    if alternate_is_current {
        fixture.rotate(&function).await?;
    }
    let owner = format!("\"{} DATA\"", fixture.user.to_uppercase());
    let filled = |text: &str| {
        let text = text.replace("{u}", &quoted(&fixture.user)).replace("{o}", &owner);
        text.replace("{m}", &quoted(&fixture.master))
    };
    let mut admin = target.admin().await?;
    for (grant, _) in GRANTS {
        sql(&mut admin, &filled(grant)).await?;
    }
    fixture.rotate(&function).await?;
    let wanted = catalog_rows(&fixture, &fixture.user).await?;
    assert!(wanted.len() + 2 >= GRANTS.len(), "{wanted:#?}");
    assert_eq!(catalog_rows(&fixture, &fixture.alternate()).await?, wanted);
    for (_, revoke) in GRANTS.iter().rev() {
        sql(&mut admin, &filled(revoke)).await?;
    }
    fixture.rotate(&function).await?;
    let less = catalog_rows(&fixture, &fixture.user).await?;
    assert!(less.len() + 8 <= wanted.len(), "{less:#?}");
    assert_eq!(catalog_rows(&fixture, &fixture.alternate()).await?, less);
    let rotation = fixture.rotate(&function).await?;
    let records = format!("{:?}", rotation.steps);
    assert!(records.contains("was in sync with"), "{records}");
    assert_eq!(fixture.failed_logins()?, 0);
    fixture.search_for_passwords("")
}

/// Either user can be the current one when privileges are granted or revoked.
#[tokio::test]
async fn every_privilege_is_granted_and_revoked() {
    on_each(|target| async move {
        if target.log.is_none() {
            println!("skipped: the test needs known tablespaces");
            return Ok(());
        }
        for alternate_is_current in [false, true] {
            every_privilege(&target, alternate_is_current).await?;
        }
        Ok(())
    })
    .await;
}

/// A quoted name is not converted to upper case, and the name of its alternate user is quoted as
/// well.
#[tokio::test]
async fn mixed_case_user_names_are_quoted() {
    on_each(|target| async move {
        let unique = rotation_tests::fixture::unique();
        let user = format!("\"Mixed Case {unique}\"");
        let fixture = Fixture::with_user(&target, &user, &unique).await?;
        for strategy in ["single-user", "master-user", "master-user"] {
            fixture.rotate(&fixture.function(strategy)).await?;
            fixture.log_in().await?;
        }
        assert_eq!(
            fixture.value("AWSPREVIOUS")?["username"],
            format!("\"Mixed Case {unique}_CLONE\"")
        );
        Ok(())
    })
    .await;
}

/// The secret has a SID instead of a service name, as old databases do.
#[tokio::test]
async fn sid_as_database_name_works() {
    on_each(|target| async move {
        if target.log.is_none() {
            println!("skipped: the SID of that database is not known");
            return Ok(());
        }
        let fixture = Fixture::new(&target).await?;
        fixture.change(&json!({"dbname": "FREE"}))?;
        fixture.change_master(&json!({"dbname": "FREE"}))?;
        for strategy in ["single-user", "master-user"] {
            fixture.rotate(&fixture.function(strategy)).await?;
            let value = fixture.value("AWSCURRENT")?;
            let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
            target.log_in(&text("username"), &text("password"), SERVICE).await?;
        }
        assert_eq!(fixture.failed_logins()?, 0);
        // The SID also works without TLS.
        let plain = target.start_another(None, &[]).await?;
        let fixture = Fixture::new(&plain.target).await?;
        fixture.change(&json!({"dbname": "FREE"}))?;
        fixture.rotate(&fixture.function("single-user")).await?;
        Ok(())
    })
    .await;
}

/// Preflight reports what is missing before any rotation, and its remedy helps.
#[tokio::test]
async fn preflight_reports_ungrantable_privileges() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (user, master) = (quoted(&fixture.user), quoted(&fixture.master));
        let table = format!("\"{} DATA\".\"PRESENT\"", fixture.user.to_uppercase());
        let mut admin = target.admin().await?;
        sql(&mut admin, &format!("GRANT RESOURCE TO {user}")).await?;
        let function = fixture.function("master-user");
        for (by, remedy) in [
            (
                "GRANT ANY OBJECT PRIVILEGE",
                format!("GRANT SELECT ON {table} TO {master} WITH GRANT OPTION"),
            ),
            ("GRANT ANY ROLE", format!("GRANT \"RESOURCE\" TO {master} WITH ADMIN OPTION")),
            ("GRANT ANY PRIVILEGE", format!("GRANT CREATE SESSION TO {master} WITH ADMIN OPTION")),
        ] {
            sql(&mut admin, &format!("REVOKE {by} FROM {master}")).await?;
            fixture.preflight_finds(&function, "PrivilegeMissing", &remedy).await?;
            sql(&mut admin, &remedy).await?;
            let found = fixture.preflight(&function).await?;
            ensure!(found.iter().all(|check| check["status"] != "failed"), "{found:#?}");
        }
        fixture.rotate(&function).await?;
        fixture.log_in().await.map(drop)
    })
    .await;
}

/// With ORA-28002, the record reports that the password of the user or of the master user expires
/// soon.
#[tokio::test]
async fn password_in_grace_period_is_reported() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let profile = quoted(&format!("{}_grace", fixture.user));
        let mut admin = target.admin().await?;
        // The unit is days, so the passwords expire after about a second.
        let limits = "PASSWORD_LIFE_TIME 0.00001 PASSWORD_GRACE_TIME 7";
        sql(&mut admin, &format!("CREATE PROFILE {profile} LIMIT {limits}")).await?;
        for user in [&fixture.user, &fixture.master] {
            sql(&mut admin, &format!("ALTER USER {} PROFILE {profile}", quoted(user))).await?;
        }
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        for (strategy, message) in [
            ("single-user", "was about to expire"),
            ("master-user", "The password of the master user"),
        ] {
            let records = format!("{:?}", fixture.rotate(&fixture.function(strategy)).await?.steps);
            ensure!(records.contains(message) && records.contains("ORA-28002"), "{records}");
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}

/// A user with the name of the alternate user exists, and nothing shows that it belongs to the
/// secret.
#[tokio::test]
async fn unrelated_user_named_like_alternate_is_not_changed() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let password = rotation_tests::fixture::new_password();
        let clone = quoted(&fixture.alternate());
        let mut admin = target.admin().await?;
        sql(&mut admin, &format!("CREATE USER {clone} IDENTIFIED BY \"{password}\"")).await?;
        sql(&mut admin, &format!("GRANT CONNECT TO {clone}")).await?;
        let function = fixture.function("master-user");
        fixture
            .expect(&function, "NeedsDecision", &format!("ALTER USER {clone} ACCOUNT LOCK"))
            .await?;
        target.log_in(&fixture.alternate(), &password, SERVICE).await?;
        // Failed logins of anyone can lock the user. Such a lock does not permit the function to
        // use it.
        let profile = quoted(&format!("{}_profile", fixture.user));
        sql(&mut admin, &format!("CREATE PROFILE {profile} LIMIT FAILED_LOGIN_ATTEMPTS 1")).await?;
        sql(&mut admin, &format!("ALTER USER {clone} PROFILE {profile}")).await?;
        ensure!(target.log_in(&fixture.alternate(), "wrong", SERVICE).await.is_err());
        let failed = fixture.again(&function).await?.failed;
        ensure!(
            failed.as_ref().is_some_and(|error| error.error_type == "NeedsDecision"),
            "{failed:?}"
        );
        // The lock of a user who owns objects does not permit it, either.
        sql(&mut admin, &format!("ALTER USER {clone} ACCOUNT LOCK")).await?;
        sql(&mut admin, &format!("CREATE TABLE {clone}.precious (a NUMBER)")).await?;
        let failed = fixture.again(&function).await?.failed;
        ensure!(
            failed.as_ref().is_some_and(|error| error.message.contains("owns 1 object")),
            "{failed:?}"
        );
        sql(&mut admin, &format!("DROP USER {clone} CASCADE")).await?;
        sql(&mut admin, &format!("CREATE USER {clone} IDENTIFIED BY \"{password}\" ACCOUNT LOCK"))
            .await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}
