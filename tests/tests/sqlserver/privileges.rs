//! Tests of the sync of privileges: after the next rotation, the alternate user has the permissions
//! of the base user, and no other.

use anyhow::{Context, Result, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::sqlserver::{Fixture, Target, on_each, sql};

use super::granted::{GRANTS, catalog_rows, prepared};

/// Either user can be the current one when permissions are granted or revoked.
#[tokio::test]
async fn every_privilege_is_granted_and_revoked() {
    on_each(|target| async move {
        for alternate_is_current in [false, true] {
            every_privilege(&target, alternate_is_current).await?;
        }
        Ok(())
    })
    .await;
}

/// Grants and revokes every privilege, while one of the two users is the current one.
pub(crate) async fn every_privilege(target: &Target, alternate_is_current: bool) -> Result<()> {
    let fixture = Fixture::new(target).await?;
    prepared(&fixture).await?;
    let function = fixture.function("master-user");
    if alternate_is_current {
        fixture.rotate(&function).await?;
    }
    let (user, alternate) = (fixture.user.clone(), fixture.alternate());
    let filled = |statement: &str| {
        let statement = statement
            .replace("{u}", &identifier(&user))
            .replace("{m}", &identifier(&fixture.master));
        statement.replace("{d}", &identifier(&fixture.database))
    };
    let mut admin = fixture.admin().await?;
    let database = identifier(&fixture.database);
    for (grant, _) in GRANTS {
        sql(&mut admin, &format!("USE {database}; {}", filled(grant))).await?;
    }
    fixture.rotate(&function).await?;
    let wanted = catalog_rows(&fixture, &user).await?;
    assert!(wanted.len() > GRANTS.len(), "{wanted:#?}");
    let mut copied = catalog_rows(&fixture, &alternate).await?;
    if alternate_is_current {
        // CHECK_EXPIRATION is deferred while the login is active.
        // sync::expiration_is_deferred_while_alternate_is_active checks that.
        for line in copied.iter_mut().filter(|line| line.starts_with("login ")) {
            ensure!(line.ends_with(" 0 0"), "{line}");
            *line = line.replace(" 0 0", " 1 1");
        }
    }
    assert_eq!(copied, wanted);
    for (_, revoke) in GRANTS {
        sql(&mut admin, &format!("USE {database}; {}", filled(revoke))).await?;
    }
    fixture.rotate(&function).await?;
    let less = catalog_rows(&fixture, &user).await?;
    assert!(less.len() + 15 < wanted.len(), "{less:#?}");
    assert_eq!(catalog_rows(&fixture, &alternate).await?, less);
    // If nothing has changed, the rotation changes nothing.
    let rotation = fixture.rotate(&function).await?;
    let records = format!("{:?}", rotation.steps);
    assert!(records.contains("was in sync with"), "{records}");
    assert_eq!(fixture.failed_logins()?, 0);
    fixture.search_for_passwords("")
}

/// Every state of a permission changes into every other, including permissions on a column of an
/// object that is granted as a whole.
#[tokio::test]
async fn permission_state_changes_are_synced() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        prepared(&fixture).await?;
        let function = fixture.function("master-user");
        let (user, mut admin) = (identifier(&fixture.user), fixture.admin().await?);
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
            fixture.rotate(&function).await.with_context(|| statement.to_owned())?;
            let (wanted, has) = (
                catalog_rows(&fixture, &fixture.user).await?,
                catalog_rows(&fixture, &fixture.alternate()).await?,
            );
            assert_eq!(has, wanted, "after {statement}");
        }
        Ok(())
    })
    .await;
}

/// A permission that another principal has granted stays when the master user revokes it, and the
/// server reports nothing.
#[tokio::test]
async fn unrevocable_permission_is_reported() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        prepared(&fixture).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let mut admin = fixture.admin().await?;
        let clone = identifier(&fixture.alternate());
        // The permission is granted by a principal that has the grant option.
        let password = rotation_tests::fixture::new_password();
        let giver = format!("giver_{}", fixture.user);
        let (login, with) =
            (identifier(&giver), rotation_tests::sqlserver::with_password(&password));
        sql(
            &mut admin,
            &format!("CREATE LOGIN {login} WITH {with}; CREATE USER {login} FOR LOGIN {login}"),
        )
        .await?;
        sql(&mut admin, &format!("GRANT SELECT ON dbo.one TO {login} WITH GRANT OPTION")).await?;
        sql(&mut admin, &format!("GRANT VIEW DEFINITION TO {login}")).await?;
        let mut session = target.log_in(&giver, &password, &fixture.database).await?;
        sql(&mut session, &format!("GRANT SELECT ON dbo.one TO {clone}")).await?;
        let revoke = format!("REVOKE SELECT ON OBJECT::[dbo].[one] FROM {clone}");
        // The base user is the target, then the alternate user, whose testSecret compares both.
        for target in [&fixture.user, &fixture.alternate()] {
            let notes = fixture.notes_of_set_secret().await?;
            ensure!(notes.contains("without effect") && notes.contains(&revoke), "{notes}");
            assert_eq!(fixture.value("AWSCURRENT")?["username"], **target);
        }
        sql(&mut admin, &format!("REVOKE SELECT ON dbo.one FROM {clone} AS {login}")).await?;
        for _ in [&fixture.user, &fixture.alternate()] {
            let notes = fixture.notes_of_set_secret().await?;
            ensure!(!notes.contains("without effect"), "{notes}");
        }
        Ok(())
    })
    .await;
}

/// The catalog matches what sessions can do: an action fails before the grant, succeeds after it,
/// and fails after the permission is removed or denied.
#[tokio::test]
async fn synced_permissions_take_effect() {
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
                let fixture = Fixture::new(&target).await?;
                prepared(&fixture).await?;
                let function = fixture.function("master-user");
                for _ in 0..if alternate_is_current { 1 } else { 2 } {
                    fixture.rotate(&function).await?;
                }
                let (user, mut admin) = (identifier(&fixture.user), fixture.admin().await?);
                let current = fixture.value("AWSCURRENT")?;
                let clone =
                    if alternate_is_current { current } else { fixture.value("AWSPREVIOUS")? };
                assert_eq!(clone["username"], fixture.alternate());
                for (statement, allowed) in
                    [("SELECT 1", false), (*grant, true), (*takes_away, false)]
                {
                    sql(&mut admin, &statement.replace("{u}", &user)).await?;
                    // While the alternate user is not the target, it keeps its password.
                    let to_base = fixture.rotate(&function).await?;
                    let current = fixture.value("AWSCURRENT")?;
                    let of_clone = if current["username"] == clone["username"] {
                        current
                    } else {
                        fixture.value("AWSPREVIOUS")?
                    };
                    let may = sql(&mut fixture.log_in_with(&of_clone).await?, does).await;
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
async fn preflight_reports_ungrantable_privileges() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let (user, master) = (identifier(&fixture.user), identifier(&fixture.master));
        let mut admin = fixture.admin().await?;
        let function = fixture.function("master-user");
        let remedy = format!("ALTER ROLE db_owner ADD MEMBER {master}");
        sql(&mut admin, &format!("ALTER ROLE db_owner DROP MEMBER {master}")).await?;
        for (role, lacks) in [
            ("db_datareader", "ALTER ANY USER, membership in db_owner or db_securityadmin"),
            ("db_accessadmin", "lacks membership in db_owner or db_securityadmin"),
            ("db_securityadmin", "lacks ALTER ANY USER"),
        ] {
            sql(&mut admin, &format!("ALTER ROLE {role} ADD MEMBER {master}")).await?;
            fixture.preflight_finds(&function, "PrivilegeMissing", &remedy).await?;
            let checks = format!("{:?}", fixture.preflight(&function).await?);
            ensure!(checks.contains(lacks), "{role}: {checks}");
            sql(&mut admin, &format!("ALTER ROLE {role} DROP MEMBER {master}")).await?;
        }
        sql(&mut admin, &remedy).await?;
        for _ in 0..2 {
            let checks = fixture.preflight(&function).await?;
            ensure!(checks.iter().all(|check| check["status"] != "failed"), "{checks:#?}");
            fixture.rotate(&function).await?;
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
        fixture.preflight_finds(&function, "PrivilegeMissing", &remedy).await
    })
    .await;
}
