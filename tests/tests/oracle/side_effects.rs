//! Tests of grants and revokes that have conditions or side effects.

use anyhow::{Result, ensure};
use rotation_tests::oracle::{Fixture, on_each, quoted, rows, sql};
use rotation_tests::server::Server;

async fn system_privileges(fixture: &Fixture, user: &str) -> Result<Vec<Vec<String>>> {
    let query = "SELECT privilege FROM dba_sys_privs WHERE grantee = :1 ORDER BY 1";
    rows(&mut fixture.target.admin().await?, query, &quoted(user).replace('"', "")).await
}

/// A privilege can be replaced by a role. While applications use the alternate user, it must get
/// the role first.
#[tokio::test]
async fn active_user_keeps_privilege_until_replacement_is_granted() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let (user, master) = (quoted(&fixture.user), quoted(&fixture.master));
        let role = quoted(&format!("{}_role", fixture.user));
        let mut admin = target.admin().await?;
        for statement in [
            format!("CREATE ROLE {role}"),
            format!("GRANT CREATE SESSION TO {role}"),
            format!("GRANT {role} TO {user}"),
            format!("REVOKE CREATE SESSION FROM {user}"),
            format!("REVOKE GRANT ANY ROLE FROM {master}"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        let remedy = format!("GRANT {role} TO {master} WITH ADMIN OPTION");
        fixture.expect(&function, "PrivilegeMissing", &remedy).await?;
        fixture.log_in().await?;
        sql(&mut admin, &remedy).await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        fixture.log_in().await?;
        fixture.log_in_with(&fixture.value("AWSPREVIOUS")?).await?;
        assert!(system_privileges(&fixture, &fixture.alternate()).await?.is_empty());
        Ok(())
    })
    .await;
}

/// An option is revoked together with its privilege, which is then granted again. An active user
/// must not lack the privilege in between.
#[tokio::test]
async fn active_user_keeps_privilege_that_loses_its_option() {
    on_each(|target| async move {
        let Some(log) = target.log().map(ToOwned::to_owned) else {
            println!("skipped: the test reads the log of the fake server");
            return Ok(());
        };
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        let (user, clone) = (quoted(&fixture.user), quoted(&fixture.alternate()));
        let mut admin = target.admin().await?;
        sql(&mut admin, &format!("GRANT CREATE TABLE TO {user} WITH ADMIN OPTION")).await?;
        fixture.rotate(&function).await?;
        sql(&mut admin, &format!("REVOKE CREATE TABLE FROM {user}")).await?;
        sql(&mut admin, &format!("GRANT CREATE TABLE TO {user}")).await?;
        let revoke = format!("REVOKE CREATE TABLE FROM {clone}");
        let token = fixture.stage(None)?;
        fixture.step(&function, "createSecret", &token).await?;
        let notes = fixture.step(&function, "setSecret", &token).await?["notes"].to_string();
        let deferred = format!("applications are using it: {}", revoke.replace('"', "\\\""));
        ensure!(notes.contains("Deferred until") && notes.contains(&deferred), "{notes}");
        ensure!(!std::fs::read_to_string(&log)?.contains(&revoke), "the privilege was revoked");
        assert_eq!(fixture.attempt(&function, &token, 1).await.failed, None);
        fixture.rotate(&function).await?;
        ensure!(std::fs::read_to_string(&log)?.contains(&revoke), "the option was not revoked");
        let query = "SELECT privilege FROM dba_sys_privs WHERE grantee = :1 AND admin_option = \
            'YES'";
        assert!(rows(&mut admin, query, &clone.replace('"', "")).await?.is_empty());
        Ok(())
    })
    .await;
}

/// GRANT does not support ADMINISTER RESOURCE MANAGER on every release. A package grants it.
#[tokio::test]
async fn privilege_of_a_package_needs_decision() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the server may support GRANT for it");
            return Ok(());
        }
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        let mut admin = target.admin().await?;
        let call = |procedure: &str, parameter: &str, user: &str, option: &str| {
            format!(
                "BEGIN DBMS_RESOURCE_MANAGER_PRIVS.{procedure}_SYSTEM_PRIVILEGE({parameter} => \
                 '{}', privilege_name => 'ADMINISTER_RESOURCE_MANAGER'{option}); END;",
                quoted(user).replace('"', "")
            )
        };
        let grant = |user: &str| call("GRANT", "grantee_name", user, ", admin_option => FALSE");
        sql(&mut admin, &grant(&fixture.user)).await?;
        let package = "DBMS_RESOURCE_MANAGER_PRIVS";
        fixture.expect(&function, "NeedsDecision", package).await?;
        fixture.log_in().await?;
        sql(&mut admin, &grant(&fixture.alternate())).await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        fixture.rotate(&function).await?;
        sql(&mut admin, &call("REVOKE", "revokee_name", &fixture.user, "")).await?;
        fixture.expect(&function, "NeedsDecision", package).await?;
        sql(&mut admin, &call("REVOKE", "revokee_name", &fixture.alternate(), "")).await?;
        assert_eq!(fixture.again(&function).await?.failed, None);
        Ok(())
    })
    .await;
}
