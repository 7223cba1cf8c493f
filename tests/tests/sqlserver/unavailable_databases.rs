//! Tests of databases that the master user cannot see, cannot read or cannot change.

use anyhow::{Result, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::server::{NAMES, Server};
use rotation_tests::sqlserver::{FakeServer, Fixture, Session, Target, on_each, sql};
use test_servers::Certificates;

use super::databases::create_other_database;

/// A fixture with a second database in which the base user is.
struct TwoDatabases {
    fixture: Fixture,
    /// The quoted name of the second database.
    other: String,
    admin: Session,
    _fake: Option<FakeServer>,
}

impl TwoDatabases {
    /// Creates the databases on a separate fake server. Returns `None` on a real server, where the
    /// test would disturb other tests.
    async fn create(target: &Target) -> Result<Option<Self>> {
        if target.log().is_none() {
            println!("skipped: the test would disturb other tests on that server");
            return Ok(None);
        }
        let fake = target.start_another(Some(Certificates::for_names(&NAMES)?), &[]).await?;
        let target = fake.target.clone();
        Ok(Some(Self { _fake: Some(fake), ..Self::on(&target).await? }))
    }

    /// Creates the databases on a server that other tests use at the same time.
    async fn on(target: &Target) -> Result<Self> {
        let fixture = Fixture::new(target).await?;
        let other = create_other_database(&fixture).await?;
        let mut admin = target.admin("master").await?;
        let user = identifier(&fixture.user);
        sql(&mut admin, &format!("USE {other}; CREATE USER {user} FOR LOGIN {user}")).await?;
        sql(&mut admin, "USE [master]").await?;
        Ok(Self { fixture, other, admin, _fake: None })
    }

    /// Runs a statement as an administrator. Replaces `{other}` and `{master}` with their names.
    async fn run(&mut self, statement: &str) -> Result<()> {
        let statement = statement.replace("{other}", &self.other);
        let statement = statement.replace("{master}", &identifier(&self.fixture.master));
        sql(&mut self.admin, &statement).await
    }

    /// Checks that a retry completes the rotation, and that the alternate user has access to the
    /// second database.
    async fn ensure_recovered(&self) -> Result<()> {
        let failed = self.fixture.again(&self.fixture.function("master-user")).await?.failed;
        ensure!(failed.is_none(), "{failed:?}");
        self.ensure_access().await
    }

    async fn ensure_access(&self) -> Result<()> {
        let value = self.fixture.value("AWSCURRENT")?;
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        let other = format!("{}_other", self.fixture.database);
        self.fixture.target.log_in(&text("username"), &text("password"), &other).await.map(drop)
    }
}

/// An OFFLINE database is not visible for a login without `ALTER ANY DATABASE` or `CREATE ANY
/// DATABASE`.
#[tokio::test]
async fn offline_database_is_reported() {
    on_each(|target| async move {
        for grant in ["SELECT 1", "GRANT ALTER ANY DATABASE TO {master}"] {
            let Some(mut setup) = TwoDatabases::create(&target).await? else { return Ok(()) };
            setup.run(grant).await?;
            setup.run("ALTER DATABASE {other} SET OFFLINE WITH ROLLBACK IMMEDIATE").await?;
            let function = setup.fixture.function("master-user");
            let error = setup.fixture.expect(&function, "NeedsDecision", "SET ONLINE").await?;
            let name = format!("{}_other", setup.fixture.database);
            ensure!(
                error.message.contains(&name) && error.message.contains("OFFLINE"),
                "{}",
                error.message
            );
            let exists = setup.fixture.target.has_login(&setup.fixture.alternate()).await?;
            ensure!(!exists, "the server was changed before the error");
            setup.run("ALTER DATABASE {other} SET ONLINE").await?;
            setup.ensure_recovered().await?;
        }
        Ok(())
    })
    .await;
}

/// Without `VIEW ANY DATABASE`, databases in which the base user is would be overlooked.
#[tokio::test]
async fn hidden_databases_are_reported() {
    on_each(|target| async move {
        for (deny, allow) in [
            ("DENY VIEW ANY DATABASE TO {master}", "GRANT VIEW ANY DATABASE TO {master}"),
            ("DENY VIEW ANY DATABASE TO public", "REVOKE VIEW ANY DATABASE FROM public"),
        ] {
            let Some(mut setup) = TwoDatabases::create(&target).await? else { return Ok(()) };
            setup.run(deny).await?;
            let function = setup.fixture.function("master-user");
            let master = identifier(&setup.fixture.master);
            let remedy = format!("GRANT VIEW ANY DATABASE TO {master}");
            let error = setup.fixture.expect(&function, "PrivilegeMissing", &remedy).await?;
            ensure!(error.message.contains("to public"), "{}", error.message);
            setup.run(allow).await?;
            setup.ensure_recovered().await?;
        }
        Ok(())
    })
    .await;
}

/// `VIEW ANY DEFINITION` implies `VIEW ANY DATABASE`.
#[tokio::test]
async fn hardened_public_role_needs_no_grant() {
    on_each(|target| async move {
        let Some(mut setup) = TwoDatabases::create(&target).await? else { return Ok(()) };
        setup.run("REVOKE VIEW ANY DATABASE FROM public").await?;
        setup.fixture.rotate(&setup.fixture.function("master-user")).await?;
        setup.ensure_access().await
    })
    .await;
}

/// The users of a READ_ONLY database cannot be changed. This is reported before the first change,
/// and only as long as there is something to change.
#[tokio::test]
async fn read_only_database_is_reported() {
    on_each(|target| async move {
        let mut setup = TwoDatabases::on(&target).await?;
        setup.run("ALTER DATABASE {other} SET READ_ONLY WITH ROLLBACK IMMEDIATE").await?;
        let function = setup.fixture.function("master-user");
        let remedy = format!("ALTER DATABASE {} SET READ_WRITE", setup.other);
        setup.fixture.expect(&function, "NeedsDecision", &remedy).await?;
        let exists = setup.fixture.target.has_login(&setup.fixture.alternate()).await?;
        ensure!(!exists, "the server was changed before the error");
        setup.run(&remedy).await?;
        setup.ensure_recovered().await?;
        setup.run("ALTER DATABASE {other} SET READ_ONLY").await?;
        setup.fixture.rotate(&function).await?;
        setup.fixture.rotate(&function).await?;
        setup.ensure_access().await
    })
    .await;
}

/// Log shipping copies the users of such a database from another server.
#[tokio::test]
async fn standby_database_is_skipped() {
    on_each(|target| async move {
        let Some(mut setup) = TwoDatabases::create(&target).await? else { return Ok(()) };
        setup.run("RESTORE LOG {other} FROM DISK = N'log' WITH STANDBY = N'undo'").await?;
        let rotation = setup.fixture.rotate(&setup.fixture.function("master-user")).await?;
        let notes = format!("{:?}", rotation.steps);
        ensure!(notes.contains("_other was skipped: it is a standby database"), "{notes}");
        Ok(())
    })
    .await;
}

/// The primary replica of an availability group is synced, whatever the collation of its property.
#[tokio::test]
async fn primary_replica_is_synced_and_secondary_is_skipped() {
    on_each(|target| async move {
        for (statement, is_primary) in [
            ("ALTER AVAILABILITY GROUP ag ADD DATABASE {other}", true),
            ("ALTER DATABASE {other} SET HADR AVAILABILITY GROUP = ag", false),
        ] {
            let Some(mut setup) = TwoDatabases::create(&target).await? else { return Ok(()) };
            setup.run(statement).await?;
            let rotation = setup.fixture.rotate(&setup.fixture.function("master-user")).await?;
            let notes = format!("{:?}", rotation.steps);
            ensure!(notes.contains("it is a secondary replica") != is_primary, "{notes}");
            ensure!(setup.ensure_access().await.is_ok() == is_primary, "{statement}");
        }
        Ok(())
    })
    .await;
}

/// `HAS_DBACCESS` is 0, but `CONNECT ANY DATABASE` would not help.
#[tokio::test]
async fn database_with_restricted_access_is_reported() {
    on_each(|target| async move {
        for access in ["SINGLE_USER", "RESTRICTED_USER"] {
            let Some(mut setup) = TwoDatabases::create(&target).await? else { return Ok(()) };
            setup.run("USE {other}; ALTER ROLE db_owner DROP MEMBER {master}").await?;
            setup.run("USE [master]").await?;
            setup.run(&format!("ALTER DATABASE {{other}} SET {access}")).await?;
            let function = setup.fixture.function("master-user");
            let error = setup.fixture.expect(&function, "NeedsDecision", "MULTI_USER").await?;
            ensure!(error.message.contains(&format!("_other ({access})")), "{}", error.message);
            setup.run("ALTER DATABASE {other} SET MULTI_USER").await?;
            setup.run("USE {other}; ALTER ROLE db_owner ADD MEMBER {master}").await?;
            setup.ensure_recovered().await?;
        }
        Ok(())
    })
    .await;
}

/// The master user has `VIEW ANY DEFINITION`, but not in one of the databases.
#[tokio::test]
async fn denied_definitions_of_one_database_are_reported() {
    on_each(|target| async move {
        let Some(mut setup) = TwoDatabases::create(&target).await? else { return Ok(()) };
        setup.run("USE {other}; DENY VIEW DEFINITION TO {master}").await?;
        let function = setup.fixture.function("master-user");
        let master = identifier(&setup.fixture.master);
        let remedy = format!("USE {}; GRANT VIEW DEFINITION TO {master}", setup.other);
        setup.fixture.expect(&function, "PrivilegeMissing", &remedy).await?;
        setup.run(&remedy).await?;
        setup.ensure_recovered().await
    })
    .await;
}

/// The instance is on Amazon RDS, where `CONNECT ANY DATABASE` cannot be granted.
#[tokio::test]
async fn closed_database_on_rds_has_possible_remedy() {
    on_each(|target| async move {
        let Some(mut setup) = TwoDatabases::create(&target).await? else { return Ok(()) };
        setup.run("REVOKE CONNECT ANY DATABASE FROM {master}").await?;
        setup.run("CREATE DATABASE rdsadmin").await?;
        setup.run("USE {other}; DROP USER {master}").await?;
        let function = setup.fixture.function("master-user");
        let master = identifier(&setup.fixture.master);
        let remedy = format!("USE {}; CREATE USER {master} FOR LOGIN {master}", setup.other);
        let error = setup.fixture.expect(&function, "PrivilegeMissing", &remedy).await?;
        ensure!(!error.message.contains("CONNECT ANY DATABASE"), "{}", error.message);
        ensure!(
            setup.run("USE [master]; GRANT CONNECT ANY DATABASE TO {master}").await.is_err(),
            "the fake server is not like RDS"
        );
        setup.run(&remedy).await?;
        setup.run("USE {other}; ALTER ROLE db_owner ADD MEMBER {master}").await?;
        setup.ensure_recovered().await
    })
    .await;
}
