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
        let deferred =
            format!("applications are using that user now: {}", revoke.replace('"', "\\\""));
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

/// The role DBA comes with UNLIMITED TABLESPACE, and goes with it and all quotas.
#[tokio::test]
async fn dba_role_and_quotas_are_synced() {
    on_each(|target| async move {
        for alternate_is_current in [false, true] {
            let fixture = Fixture::new(&target).await?;
            let function = fixture.function("master-user");
            if alternate_is_current {
                fixture.rotate(&function).await?;
            }
            let user = quoted(&fixture.user);
            let mut admin = target.admin().await?;
            for statements in [
                vec![format!("GRANT DBA TO {user}")],
                vec![format!("REVOKE UNLIMITED TABLESPACE FROM {user}")],
                vec![format!("GRANT UNLIMITED TABLESPACE TO {user}")],
                vec![
                    format!("REVOKE DBA FROM {user}"),
                    format!("ALTER USER {user} QUOTA 1000000 ON USERS"),
                ],
                vec![format!("GRANT DBA TO {user}")],
                vec![
                    format!("REVOKE DBA FROM {user}"),
                    format!("GRANT UNLIMITED TABLESPACE TO {user}"),
                ],
            ] {
                for statement in &statements {
                    sql(&mut admin, statement).await?;
                }
                fixture.rotate(&function).await?;
                let alternate = fixture.alternate();
                let wanted = system_privileges(&fixture, &fixture.user).await?;
                assert_eq!(system_privileges(&fixture, &alternate).await?, wanted);
                let query = "SELECT tablespace_name, TO_CHAR(max_bytes) FROM dba_ts_quotas WHERE \
                    username = :1";
                let quotas = async |user: &str| -> Result<Vec<Vec<String>>> {
                    let mut admin = target.admin().await?;
                    rows(&mut admin, query, &quoted(user).replace('"', "")).await
                };
                assert_eq!(quotas(&alternate).await?, quotas(&fixture.user).await?);
            }
        }
        Ok(())
    })
    .await;
}

/// These revokes need CASCADE CONSTRAINTS or FORCE, with which the alternate user would lose more
/// than the privilege.
#[tokio::test]
async fn revoke_with_dependents_needs_decision() {
    on_each(|target| async move {
        for (object, create, privilege, column, clause) in [
            (
                "parent",
                "CREATE TABLE {o}.parent (a NUMBER)",
                "REFERENCES",
                "NUMBER REFERENCES {o}.parent (a)",
                "CASCADE CONSTRAINTS",
            ),
            ("kind", "CREATE TYPE {o}.kind AS OBJECT (a NUMBER)", "EXECUTE", "{o}.kind", "FORCE"),
        ] {
            let fixture = Fixture::new(&target).await?;
            let function = fixture.function("master-user");
            fixture.rotate(&function).await?;
            fixture.rotate(&function).await?;
            let owner = format!("\"{} DATA\"", fixture.user.to_uppercase());
            let (user, clone) = (quoted(&fixture.user), quoted(&fixture.alternate()));
            let filled = |text: &str| text.replace("{o}", &owner);
            let mut admin = target.admin().await?;
            for statement in [
                filled(create),
                format!("GRANT {privilege} ON {owner}.{object} TO {clone}"),
                format!("GRANT CREATE TABLE TO {clone}"),
                format!("CREATE TABLE {clone}.dependent (a {})", filled(column)),
            ] {
                sql(&mut admin, &statement).await?;
            }
            let error = fixture.expect(&function, "NeedsDecision", clause).await?;
            let name = object.to_uppercase();
            let revoke = format!("REVOKE {privilege} ON {owner}.\"{name}\" FROM {clone}");
            ensure!(error.message.contains(&revoke), "{}", error.message);
            fixture.log_in().await?;
            // Either remedy helps.
            let decision = match clause {
                "FORCE" => format!("{revoke} FORCE"),
                _ => format!("GRANT {privilege} ON {owner}.{object} TO {user}"),
            };
            sql(&mut admin, &decision).await?;
            assert_eq!(fixture.again(&function).await?.failed, None);
        }
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

/// A package grants privileges on rules. They are not copied, and the record names them as long as
/// the alternate user lacks them.
#[tokio::test]
async fn privilege_on_rule_is_a_note() {
    on_each(|target| async move {
        if target.log().is_none() {
            println!("skipped: the master user may not see the rules of that server");
            return Ok(());
        }
        let fixture = Fixture::new(&target).await?;
        let function = fixture.function("master-user");
        fixture.rotate(&function).await?;
        let rule = format!("{}.{}_rule", target.superuser, fixture.user);
        let grant = |user: &str| {
            format!(
                "BEGIN DBMS_RULE_ADM.GRANT_OBJECT_PRIVILEGE(privilege => \
                 DBMS_RULE_ADM.EXECUTE_ON_RULE, object_name => '{rule}', grantee => '{}'); END;",
                quoted(user).replace('"', "")
            )
        };
        let mut admin = target.admin().await?;
        let create = format!(
            "BEGIN DBMS_RULE_ADM.CREATE_RULE(rule_name => '{rule}', condition => '1 = 1'); END;"
        );
        sql(&mut admin, &create).await?;
        sql(&mut admin, &grant(&fixture.user)).await?;
        let note = format!("EXECUTE on rule {}", rule.to_uppercase());
        for _ in 0..2 {
            let records = format!("{:?}", fixture.rotate(&function).await?.steps);
            ensure!(records.contains("Not copied") && records.contains(&note), "{records}");
        }
        sql(&mut admin, &grant(&fixture.alternate())).await?;
        let records = format!("{:?}", fixture.rotate(&function).await?.steps);
        ensure!(!records.contains("Not copied"), "{records}");
        Ok(())
    })
    .await;
}
