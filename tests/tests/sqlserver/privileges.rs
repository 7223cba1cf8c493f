//! Tests of the sync of privileges: after the next rotation, the alternate user has the permissions
//! of the base user, and no other.

use anyhow::{Context, Result, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::sqlserver::{Fixture, on_each, sql};

/// Returns everything that the catalog shows about a principal's roles, permissions and options,
/// without its name.
async fn all_of(scene: &Fixture, user: &str) -> Result<Vec<String>> {
    let mut admin = scene.admin().await?;
    let mut all = Vec::new();
    for (what, query) in [
        (
            "role",
            "SELECT r.name, N'', N'', N'' FROM sys.database_role_members m \
            JOIN sys.database_principals r ON r.principal_id = m.role_principal_id \
            JOIN sys.database_principals u ON u.principal_id = m.member_principal_id WHERE u.name \
             = @P1",
        ),
        (
            "server role",
            "SELECT r.name, N'', N'', N'' FROM sys.server_role_members m \
            JOIN sys.server_principals r ON r.principal_id = m.role_principal_id \
            JOIN sys.server_principals u ON u.principal_id = m.member_principal_id WHERE u.name = \
             @P1",
        ),
        (
            "permission",
            "SELECT p.permission_name, p.state_desc, CAST(p.class AS nvarchar(10)), \
            CAST(CAST(p.major_id AS bigint) * 1000 + p.minor_id AS nvarchar(30)) FROM \
             sys.database_permissions p \
            JOIN sys.database_principals u ON u.principal_id = p.grantee_principal_id WHERE \
             u.name = @P1",
        ),
        (
            "server permission",
            "SELECT p.permission_name, p.state_desc, CAST(p.class AS nvarchar(10)), \
            CAST(p.major_id AS nvarchar(20)) FROM sys.server_permissions p \
            JOIN sys.server_principals u ON u.principal_id = p.grantee_principal_id WHERE u.name \
             = @P1",
        ),
        (
            "schema",
            "SELECT u.default_schema_name, N'', N'', N'' FROM sys.database_principals u WHERE \
             u.name = @P1",
        ),
        (
            "login",
            "SELECT l.default_database_name, l.default_language_name, CAST(l.is_policy_checked AS \
             nvarchar(1)), \
            CAST(l.is_expiration_checked AS nvarchar(1)) FROM sys.sql_logins l WHERE l.name = \
             @P1",
        ),
    ] {
        for row in admin.query(query, &[&user]).await?.into_first_result().await? {
            let text = |column: usize| row.get::<&str, _>(column).unwrap_or_default().to_owned();
            all.push(format!("{what} {} {} {} {}", text(0), text(1), text(2), text(3)));
        }
    }
    all.sort();
    Ok(all)
}

/// Statements that `sa` runs, each with the statement that reverts it. `{u}` is the user, `{m}` the
/// master user, `{d}` the database.
const GRANTS: &[(&str, &str)] = &[
    ("GRANT SELECT ON dbo.one TO {u}", "REVOKE SELECT ON dbo.one FROM {u}"),
    (
        "GRANT UPDATE ON dbo.one TO {u} WITH GRANT OPTION",
        "REVOKE UPDATE ON dbo.one FROM {u} CASCADE",
    ),
    ("DENY DELETE ON dbo.one TO {u}", "REVOKE DELETE ON dbo.one FROM {u}"),
    (
        "GRANT SELECT ON dbo.two TO {u}; DENY SELECT ON dbo.two (b) TO {u}",
        "REVOKE SELECT ON dbo.two FROM {u}",
    ),
    ("GRANT UPDATE ON dbo.two (a) TO {u}", "REVOKE UPDATE ON dbo.two (a) FROM {u}"),
    ("GRANT EXECUTE ON dbo.[a pro]]c] TO {u}", "REVOKE EXECUTE ON dbo.[a pro]]c] FROM {u}"),
    (
        "GRANT INSERT ON SCHEMA::[sales; DROP] TO {u}",
        "REVOKE INSERT ON SCHEMA::[sales; DROP] FROM {u}",
    ),
    ("GRANT CREATE TABLE TO {u}", "REVOKE CREATE TABLE FROM {u}"),
    ("DENY VIEW DEFINITION TO {u}", "REVOKE VIEW DEFINITION FROM {u}"),
    (
        "GRANT IMPERSONATE ON USER::[some one] TO {u}",
        "REVOKE IMPERSONATE ON USER::[some one] FROM {u}",
    ),
    ("GRANT ALTER ON ROLE::[some role] TO {u}", "REVOKE ALTER ON ROLE::[some role] FROM {u}"),
    (
        "GRANT REFERENCES ON TYPE::dbo.money2 TO {u}",
        "REVOKE REFERENCES ON TYPE::dbo.money2 FROM {u}",
    ),
    (
        "GRANT CONTROL ON CERTIFICATE::[a cert] TO {u}",
        "REVOKE CONTROL ON CERTIFICATE::[a cert] FROM {u}",
    ),
    ("ALTER ROLE db_datareader ADD MEMBER {u}", "ALTER ROLE db_datareader DROP MEMBER {u}"),
    ("ALTER ROLE [some role] ADD MEMBER {u}", "ALTER ROLE [some role] DROP MEMBER {u}"),
    (
        "ALTER USER {u} WITH DEFAULT_SCHEMA = [sales; DROP]",
        "ALTER USER {u} WITH DEFAULT_SCHEMA = dbo",
    ),
    (
        "USE [master]; GRANT VIEW SERVER STATE TO {m} WITH GRANT OPTION; GRANT VIEW SERVER STATE \
         TO {u}",
        "USE [master]; REVOKE VIEW SERVER STATE FROM {u}",
    ),
    (
        "USE [master]; GRANT IMPERSONATE ON LOGIN::{m} TO {u}; REVOKE IMPERSONATE ON LOGIN::{m} \
         FROM {u}",
        "SELECT 1",
    ),
    (
        "ALTER SERVER ROLE processadmin ADD MEMBER {m}; ALTER SERVER ROLE processadmin ADD MEMBER \
         {u}",
        "ALTER SERVER ROLE processadmin DROP MEMBER {u}",
    ),
    (
        "ALTER LOGIN {u} WITH DEFAULT_DATABASE = {d}",
        "ALTER LOGIN {u} WITH DEFAULT_DATABASE = [master]",
    ),
    (
        "ALTER LOGIN {u} WITH CHECK_POLICY = ON, CHECK_EXPIRATION = ON",
        "ALTER LOGIN {u} WITH CHECK_POLICY = OFF",
    ),
];

async fn prepared(scene: &Fixture) -> Result<()> {
    let mut admin = scene.admin().await?;
    for statement in [
        "CREATE TABLE dbo.one (a int)",
        "CREATE TABLE dbo.two (a int, b int)",
        "CREATE PROCEDURE dbo.[a pro]]c] AS SELECT 1",
        "CREATE SCHEMA [sales; DROP]",
        "CREATE TABLE [sales; DROP].[three] (a int)",
        "CREATE USER [some one] WITHOUT LOGIN",
        "CREATE ROLE [some role]",
        "CREATE TYPE dbo.money2 FROM int",
        "CREATE CERTIFICATE [a cert] ENCRYPTION BY PASSWORD = 'pGFD4bb925DGvbd2439587y' WITH \
         SUBJECT = 'tests'",
    ] {
        sql(&mut admin, statement).await?;
    }
    Ok(())
}

/// Either user can be the current one when permissions are granted or revoked.
#[tokio::test]
async fn every_privilege_follows_and_goes() {
    on_each(|target| async move {
        for alternate_is_current in [false, true] {
            let scene = Fixture::new(&target).await?;
            prepared(&scene).await?;
            let function = scene.function("master-user");
            if alternate_is_current {
                scene.rotate(&function).await?;
            }
            let (user, alternate) = (scene.user.clone(), scene.alternate());
            let filled = |statement: &str| {
                let statement = statement
                    .replace("{u}", &identifier(&user))
                    .replace("{m}", &identifier(&scene.master));
                statement.replace("{d}", &identifier(&scene.database))
            };
            let mut admin = scene.admin().await?;
            let database = identifier(&scene.database);
            for (grant, _) in GRANTS {
                sql(&mut admin, &format!("USE {database}; {}", filled(grant))).await?;
            }
            scene.rotate(&function).await?;
            let wanted = all_of(&scene, &user).await?;
            assert!(wanted.len() > GRANTS.len(), "{wanted:#?}");
            let mut copied = all_of(&scene, &alternate).await?;
            if alternate_is_current {
                // CHECK_EXPIRATION is deferred while the login is active.
                // sync::expiration_waits_for_the_turn_of_the_alternate_login checks that.
                for line in copied.iter_mut().filter(|line| line.starts_with("login ")) {
                    ensure!(line.ends_with(" 0 0"), "{line}");
                    *line = line.replace(" 0 0", " 1 1");
                }
            }
            assert_eq!(copied, wanted);
            for (_, revoke) in GRANTS {
                sql(&mut admin, &format!("USE {database}; {}", filled(revoke))).await?;
            }
            scene.rotate(&function).await?;
            let less = all_of(&scene, &user).await?;
            assert!(less.len() + 15 < wanted.len(), "{less:#?}");
            assert_eq!(all_of(&scene, &alternate).await?, less);
            // If nothing has changed, the rotation changes nothing.
            let rotation = scene.rotate(&function).await?;
            let records = format!("{:?}", rotation.steps);
            assert!(records.contains("was in step with"), "{records}");
            assert_eq!(scene.failed_logins()?, 0);
            scene.search_for_passwords("")?;
        }
        Ok(())
    })
    .await;
}

/// Every state of a permission changes into every other, including permissions on a column of an
/// object that is granted as a whole.
#[tokio::test]
async fn states_of_a_permission_become_one_another() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        prepared(&scene).await?;
        let function = scene.function("master-user");
        let (user, mut admin) = (identifier(&scene.user), scene.admin().await?);
        for statement in [
            "GRANT SELECT ON dbo.two TO {u}",
            "GRANT SELECT ON dbo.two TO {u} WITH GRANT OPTION",
            "REVOKE GRANT OPTION FOR SELECT ON dbo.two FROM {u} CASCADE",
            "REVOKE SELECT ON dbo.two (b) FROM {u}",
            "DENY SELECT ON dbo.two (b) TO {u}",
            "GRANT SELECT ON dbo.two TO {u}",
            "DENY SELECT ON dbo.two TO {u}",
            "GRANT SELECT ON dbo.two (a) TO {u}",
            "GRANT SELECT ON dbo.two TO {u} WITH GRANT OPTION",
            "DENY SELECT ON dbo.two TO {u} CASCADE",
            "REVOKE SELECT ON dbo.two FROM {u}",
        ] {
            sql(&mut admin, &statement.replace("{u}", &user)).await?;
            scene.rotate(&function).await.with_context(|| statement.to_owned())?;
            let (wanted, has) =
                (all_of(&scene, &scene.user).await?, all_of(&scene, &scene.alternate()).await?);
            assert_eq!(has, wanted, "after {statement}");
        }
        Ok(())
    })
    .await;
}

/// A permission that another principal has granted stays when the master user revokes it, and the
/// server reports nothing.
#[tokio::test]
async fn a_permission_that_cannot_be_taken_away_is_reported() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        prepared(&scene).await?;
        let function = scene.function("master-user");
        scene.rotate(&function).await?;
        let mut admin = scene.admin().await?;
        let clone = identifier(&scene.alternate());
        // The permission is granted by a principal that has the grant option.
        let password = rotation_tests::scene::new_password();
        let giver = format!("giver_{}", scene.user);
        let (login, with) =
            (identifier(&giver), rotation_tests::sqlserver::with_password(&password));
        sql(
            &mut admin,
            &format!("CREATE LOGIN {login} WITH {with}; CREATE USER {login} FOR LOGIN {login}"),
        )
        .await?;
        sql(&mut admin, &format!("GRANT SELECT ON dbo.one TO {login} WITH GRANT OPTION")).await?;
        sql(&mut admin, &format!("GRANT VIEW DEFINITION TO {login}")).await?;
        let mut session = target.log_in(&giver, &password, &scene.database).await?;
        sql(&mut session, &format!("GRANT SELECT ON dbo.one TO {clone}")).await?;
        let revoke = format!("REVOKE SELECT ON OBJECT::[dbo].[one] FROM {clone}");
        // The base user is the target, then the alternate user, whose testSecret compares both.
        for target in [&scene.user, &scene.alternate()] {
            let notes = scene.notes_of_set_secret().await?;
            ensure!(notes.contains("without effect") && notes.contains(&revoke), "{notes}");
            assert_eq!(scene.value("AWSCURRENT")?["username"], **target);
        }
        sql(&mut admin, &format!("REVOKE SELECT ON dbo.one FROM {clone} AS {login}")).await?;
        for _ in [&scene.user, &scene.alternate()] {
            let notes = scene.notes_of_set_secret().await?;
            ensure!(!notes.contains("without effect"), "{notes}");
        }
        Ok(())
    })
    .await;
}

/// The catalog matches what sessions can do: an action fails before the grant, succeeds after it,
/// and fails after the permission is removed or denied.
#[tokio::test]
async fn what_is_granted_can_be_done_and_what_is_denied_cannot() {
    const CASES: &[(&str, &str, &str)] = &[
        (
            "GRANT SELECT ON dbo.one TO {u}",
            "SELECT a FROM dbo.one",
            "REVOKE SELECT ON dbo.one FROM {u}",
        ),
        (
            "GRANT SELECT ON SCHEMA::dbo TO {u}",
            "SELECT a FROM dbo.one",
            "DENY SELECT ON dbo.one TO {u}",
        ),
        (
            "GRANT SELECT ON dbo.two TO {u}",
            "SELECT b FROM dbo.two",
            "DENY SELECT ON dbo.two (b) TO {u}",
        ),
        (
            "GRANT EXECUTE ON dbo.[a pro]]c] TO {u}",
            "EXEC dbo.[a pro]]c]",
            "REVOKE EXECUTE ON dbo.[a pro]]c] FROM {u}",
        ),
        (
            "ALTER ROLE db_datawriter ADD MEMBER {u}",
            "DELETE FROM dbo.one",
            "ALTER ROLE db_denydatawriter ADD MEMBER {u}",
        ),
        (
            "GRANT INSERT ON [sales; DROP].[three] TO {u}; ALTER USER {u} WITH DEFAULT_SCHEMA = \
             [sales; DROP]",
            "INSERT INTO three DEFAULT VALUES",
            "ALTER USER {u} WITH DEFAULT_SCHEMA = dbo",
        ),
    ];
    on_each(|target| async move {
        for alternate_is_current in [true, false] {
            for (grant, does, takes_away) in CASES {
                let scene = Fixture::new(&target).await?;
                prepared(&scene).await?;
                let function = scene.function("master-user");
                for _ in 0..if alternate_is_current { 1 } else { 2 } {
                    scene.rotate(&function).await?;
                }
                let (user, mut admin) = (identifier(&scene.user), scene.admin().await?);
                let current = scene.value("AWSCURRENT")?;
                let clone =
                    if alternate_is_current { current } else { scene.value("AWSPREVIOUS")? };
                assert_eq!(clone["username"], scene.alternate());
                for (statement, allowed) in
                    [("SELECT 1", false), (*grant, true), (*takes_away, false)]
                {
                    sql(&mut admin, &statement.replace("{u}", &user)).await?;
                    // While the alternate user is not the target, it keeps its password.
                    let to_base = scene.rotate(&function).await?;
                    let current = scene.value("AWSCURRENT")?;
                    let of_clone = if current["username"] == clone["username"] {
                        current
                    } else {
                        scene.value("AWSPREVIOUS")?
                    };
                    let may = sql(&mut scene.log_in_with(&of_clone).await?, does).await;
                    ensure!(
                        may.is_ok() == allowed,
                        "after {statement}: {does}: {may:?} {:?}",
                        to_base.steps.last()
                    );
                }
            }
        }
        Ok(())
    })
    .await;
}

/// Preflight reports what is missing before any rotation, and its remedy helps.
#[tokio::test]
async fn preflight_names_what_the_master_cannot_pass_on() {
    on_each(|target| async move {
        let scene = Fixture::new(&target).await?;
        let (user, master) = (identifier(&scene.user), identifier(&scene.master));
        let mut admin = scene.admin().await?;
        let function = scene.function("master-user");
        let remedy = format!("ALTER ROLE db_owner ADD MEMBER {master}");
        sql(&mut admin, &format!("ALTER ROLE db_owner DROP MEMBER {master}")).await?;
        for (role, lacks) in [
            ("db_datareader", "ALTER ANY USER, to be in db_owner or db_securityadmin"),
            ("db_accessadmin", "lacks to be in db_owner or db_securityadmin"),
            ("db_securityadmin", "lacks ALTER ANY USER"),
        ] {
            sql(&mut admin, &format!("ALTER ROLE {role} ADD MEMBER {master}")).await?;
            scene.preflight_finds(&function, "PrivilegeMissing", &remedy).await?;
            let checks = format!("{:?}", scene.preflight(&function).await?);
            ensure!(checks.contains(lacks), "{role}: {checks}");
            sql(&mut admin, &format!("ALTER ROLE {role} DROP MEMBER {master}")).await?;
        }
        sql(&mut admin, &remedy).await?;
        for _ in 0..2 {
            let checks = scene.preflight(&function).await?;
            ensure!(checks.iter().all(|check| check["found"] != "bad"), "{checks:#?}");
            scene.rotate(&function).await?;
        }
        // Preflight also detects a role that is granted later.
        sql(
            &mut admin,
            &format!(
                "ALTER ROLE db_owner DROP MEMBER {master}; ALTER ROLE db_datareader ADD \
                MEMBER {user}"
            ),
        )
        .await?;
        scene.preflight_finds(&function, "PrivilegeMissing", &remedy).await
    })
    .await;
}
