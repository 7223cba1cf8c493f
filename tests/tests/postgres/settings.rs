//! Tests of servers and roles whose settings affect the function's sessions.

use anyhow::Context;
use rotation_postgres::identifier;
use rotation_tests::postgres::{Fixture, on_each, sql};

/// The role's own settings must not prevent the change of its password.
#[tokio::test]
async fn role_settings_do_not_block_rotation() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        let user = identifier(&fixture.user);
        let owner = identifier(&format!("owner_of_{}", fixture.user));
        let mut admin = fixture.admin().await?;
        for statement in [
            format!("CREATE ROLE {owner}"),
            format!("GRANT {owner} TO {user}"),
            format!("ALTER ROLE {user} SET role = {owner}"),
            format!("ALTER ROLE {user} SET default_transaction_read_only = on"),
            format!("ALTER ROLE {user} SET standard_conforming_strings = off"),
            format!("ALTER ROLE {user} SET statement_timeout = '1h'"),
            format!("ALTER ROLE {user} SET search_path = nowhere"),
            format!("ALTER ROLE {user} SET default_transaction_isolation = 'serializable'"),
            format!("ALTER ROLE {user} SET idle_in_transaction_session_timeout = '1ms'"),
        ] {
            sql(&mut admin, &statement).await?;
        }
        for strategy in ["single-user", "master-user", "single-user", "master-user"] {
            fixture.rotate(&fixture.function(strategy)).await.context(strategy)?;
            let mut session = fixture.log_in().await?;
            let acts_as: String =
                sqlx::query_scalar("SELECT current_user::text").fetch_one(&mut session).await?;
            assert_eq!(identifier(&acts_as), owner, "{strategy}");
        }
        assert_eq!(fixture.failed_logins()?, 0);
        Ok(())
    })
    .await;
}

/// An acknowledged change is on disk, even if `synchronous_commit` is off for the role's sessions.
#[tokio::test]
async fn acknowledged_change_survives_server_crash() {
    on_each(|target| async move {
        let mut options = rotation_tests::postgres::options()?;
        options.configuration =
            "fsync = on\nwal_writer_delay = 10s\nsynchronous_commit = off\n".into();
        let Some((mut server, lazy)) = target.another(options)? else { return Ok(()) };
        let fixture = Fixture::new(&lazy).await?;
        sql(&mut lazy.admin("postgres").await?, "CHECKPOINT").await?;
        fixture.rotate(&fixture.function("single-user")).await?;
        server.crash_and_restart()?;
        fixture.log_in().await?;
        Ok(())
    })
    .await;
}

/// Preflight and `setSecret` both ignore the `role` setting of the master user, so they see the
/// same privileges.
#[tokio::test]
async fn preflight_and_set_secret_ignore_the_masters_role_setting() {
    on_each(|target| async move {
        for strategy in ["single-user-by-master", "master-user"] {
            let fixture = Fixture::new(&target).await?;
            let (master, dba) =
                (identifier(&fixture.master), identifier(&format!("dba_{}", fixture.master)));
            let mut admin = fixture.admin().await?;
            for statement in [
                format!("CREATE ROLE {dba} CREATEROLE"),
                format!("GRANT {dba} TO {master}"),
                format!("ALTER ROLE {master} NOCREATEROLE"),
                format!("ALTER ROLE {master} SET role = {dba}"),
            ] {
                sql(&mut admin, &statement).await?;
            }
            let function = fixture.function(strategy);
            let remedy = format!("ALTER ROLE {master} CREATEROLE");
            fixture
                .preflight_finds(&function, "PrivilegeMissing", &remedy)
                .await
                .context(strategy)?;
            fixture.expect(&function, "PrivilegeMissing", &remedy).await.context(strategy)?;

            sql(&mut admin, &format!("ALTER ROLE {master} CREATEROLE")).await?;
            if target.version().await? >= 160_000 {
                let user = identifier(&fixture.user);
                sql(&mut admin, &format!("GRANT {user} TO {master} WITH ADMIN OPTION")).await?;
            }
            let rotation = fixture.again(&function).await?;
            anyhow::ensure!(rotation.failed.is_none(), "{strategy}: {:?}", rotation.failed);
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}
