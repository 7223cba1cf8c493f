//! Tests of the sync of permissions on securables of every class.

use anyhow::{Result, ensure};
use rotation_sqlserver::identifier;
use rotation_tests::sqlserver::{Fixture, Target, on_each_release, sql};

/// A securable: the statement that creates it, a permission on it, and the first release. The
/// release is 0 if Azure SQL Database has it, too.
type Securable = (&'static str, &'static str, u32);

const IN_DATABASE: &[Securable] = &[
    ("CREATE TABLE dbo.[of class] (a int)", "SELECT ON OBJECT::dbo.[of class]", 0),
    ("CREATE SCHEMA [of class]", "SELECT ON SCHEMA::[of class]", 0),
    ("CREATE USER [of class] WITHOUT LOGIN", "IMPERSONATE ON USER::[of class]", 0),
    ("CREATE ROLE [role of class]", "ALTER ON ROLE::[role of class]", 0),
    (
        "CREATE APPLICATION ROLE [app of class] WITH PASSWORD = N'First-Password-1'",
        "ALTER ON APPLICATION ROLE::[app of class]",
        0,
    ),
    ("CREATE TYPE dbo.[type] FROM int", "REFERENCES ON TYPE::dbo.[type]", 0),
    (
        "CREATE XML SCHEMA COLLECTION dbo.[xml] AS N'<schema \
         xmlns=\"http://www.w3.org/2001/XMLSchema\"/>'",
        "EXECUTE ON XML SCHEMA COLLECTION::dbo.[xml]",
        0,
    ),
    (
        "CREATE CERTIFICATE [cert] ENCRYPTION BY PASSWORD = N'First-Password-1' WITH SUBJECT = \
         N'tests'",
        "CONTROL ON CERTIFICATE::[cert]",
        0,
    ),
    (
        "CREATE SYMMETRIC KEY [key] WITH ALGORITHM = AES_256 ENCRYPTION BY CERTIFICATE [cert]",
        "VIEW DEFINITION ON SYMMETRIC KEY::[key]",
        0,
    ),
    (
        "CREATE ASYMMETRIC KEY [key] WITH ALGORITHM = RSA_2048 ENCRYPTION BY PASSWORD = \
         N'First-Password-1'",
        "CONTROL ON ASYMMETRIC KEY::[key]",
        0,
    ),
    ("CREATE FULLTEXT CATALOG [texts]", "REFERENCES ON FULLTEXT CATALOG::[texts]", 0),
    ("CREATE FULLTEXT STOPLIST [stop];", "REFERENCES ON FULLTEXT STOPLIST::[stop]", 0),
    (
        "CREATE DATABASE SCOPED CREDENTIAL [credential] WITH IDENTITY = N'tests'",
        "REFERENCES ON DATABASE SCOPED CREDENTIAL::[credential]",
        0,
    ),
    (
        "CREATE SEARCH PROPERTY LIST [properties];",
        "REFERENCES ON SEARCH PROPERTY LIST::[properties]",
        2017,
    ),
    (
        "CREATE ASSEMBLY [assembly] FROM 0x4D5A WITH PERMISSION_SET = SAFE",
        "REFERENCES ON ASSEMBLY::[assembly]",
        2017,
    ),
    (
        "CREATE MESSAGE TYPE [message] VALIDATION = NONE",
        "REFERENCES ON MESSAGE TYPE::[message]",
        2017,
    ),
    (
        "CREATE CONTRACT [contract] ([message] SENT BY ANY)",
        "REFERENCES ON CONTRACT::[contract]",
        2017,
    ),
    (
        "CREATE QUEUE dbo.[queue]; CREATE SERVICE [service] ON QUEUE dbo.[queue] ([contract])",
        "SEND ON SERVICE::[service]",
        2017,
    ),
    (
        "CREATE REMOTE SERVICE BINDING [binding] TO SERVICE N'service' WITH USER = [of class]",
        "ALTER ON REMOTE SERVICE BINDING::[binding]",
        2017,
    ),
    ("CREATE ROUTE [route] WITH ADDRESS = N'LOCAL'", "ALTER ON ROUTE::[route]", 2017),
    (
        "CREATE EXTERNAL LANGUAGE [language] FROM (CONTENT = N'/tests.zip', FILE_NAME = \
         'tests.so')",
        "REFERENCES ON EXTERNAL LANGUAGE::[language]",
        2019,
    ),
];

const ON_SERVER: &[Securable] = &[
    (
        "CREATE LOGIN [of class] WITH PASSWORD = N'First-Password-1'",
        "ALTER ON LOGIN::[of class]",
        0,
    ),
    ("CREATE SERVER ROLE [role of class]", "ALTER ON SERVER ROLE::[role of class]", 0),
    (
        "CREATE ENDPOINT [endpoint] STATE = STARTED AS TCP (LISTENER_PORT = 4022) FOR TSQL ()",
        "CONNECT ON ENDPOINT::[endpoint]",
        0,
    ),
    (
        "CREATE AVAILABILITY GROUP [group] FOR REPLICA ON N'PEER' WITH (ENDPOINT_URL = \
         N'TCP://peer:5022', AVAILABILITY_MODE = SYNCHRONOUS_COMMIT, FAILOVER_MODE = MANUAL)",
        "ALTER ON AVAILABILITY GROUP::[group]",
        0,
    ),
];

#[tokio::test]
async fn permissions_of_every_class_are_synced() {
    on_each_release(|target| async move { permissions_of_every_class(&target).await }).await;
}

/// Grants permissions on securables of every class that the release has, and revokes them.
pub(crate) async fn permissions_of_every_class(target: &Target) -> Result<()> {
    if target.log.is_none() {
        println!("skipped: a server has some of these securables only after a setup");
        return Ok(());
    }
    // Securables of the server are not dropped, so the server is not shared.
    let certificates = test_servers::Certificates::for_names(&rotation_tests::server::NAMES)?;
    let fake = target.start_another(Some(certificates), &[]).await?;
    let target = &fake.target;
    let fixture = Fixture::new(target).await?;
    let function = fixture.function("master-user");
    fixture.rotate(&function).await?;
    let release = target.release.as_deref().and_then(|release| release.parse().ok()).unwrap_or(0);
    let (user, alternate, master) =
        (identifier(&fixture.user), identifier(&fixture.alternate()), identifier(&fixture.master));
    let mut granted = Vec::new();
    let on_server = if target.is_azure() { &[] } else { ON_SERVER };
    for (securables, database) in [(IN_DATABASE, fixture.database.as_str()), (on_server, "master")]
    {
        let mut admin = target.admin(database).await?;
        for (create, permission, first) in securables {
            if *first > release {
                continue;
            }
            sql(&mut admin, create).await?;
            if database == "master" {
                let grant = format!("GRANT {permission} TO {master} WITH GRANT OPTION");
                sql(&mut admin, &grant).await?;
            }
            sql(&mut admin, &format!("GRANT {permission} TO {user}")).await?;
            granted.push((database, *permission));
        }
    }
    ensure!(granted.len() >= 13, "{granted:?}");
    // The base user is the target, and then the alternate user, which testSecret compares.
    for _ in 0..2 {
        fixture.rotate(&function).await?;
    }
    for (database, permission) in &granted {
        // A permission that is revoked without an error was not necessarily granted, so the count
        // of rows is compared.
        let count = permissions(&fixture, database, &fixture.alternate()).await?;
        // On the server, the master user is the grantor.
        let grantor = if *database == "master" { format!(" AS {master}") } else { String::new() };
        let revoke = format!("REVOKE {permission} FROM {alternate}{grantor}");
        sql(&mut target.admin(database).await?, &revoke).await?;
        let left = permissions(&fixture, database, &fixture.alternate()).await?;
        assert_eq!(left + 1, count, "{permission} was not granted");
    }
    // What was revoked from the alternate user comes back, and goes when the base user loses it.
    for _ in 0..2 {
        fixture.rotate(&function).await?;
    }
    for (database, permission) in &granted {
        let statement = format!("REVOKE {permission} FROM {user}");
        sql(&mut target.admin(database).await?, &statement).await?;
    }
    for _ in 0..2 {
        fixture.rotate(&function).await?;
    }
    for database in [fixture.database.as_str(), "master"] {
        if database == "master" && target.is_azure() {
            continue;
        }
        let base = permissions(&fixture, database, &fixture.user).await?;
        assert_eq!(permissions(&fixture, database, &fixture.alternate()).await?, base);
    }
    Ok(())
}

/// Returns the number of permissions of a principal in a database, or on the server for `master`.
async fn permissions(fixture: &Fixture, database: &str, name: &str) -> Result<usize> {
    let mut admin = fixture.target.admin(database).await?;
    let scope = if database == "master" { "server" } else { "database" };
    let query = format!(
        "SELECT g.permission_name FROM sys.{scope}_permissions g JOIN sys.{scope}_principals p ON \
         p.principal_id = g.grantee_principal_id WHERE p.name = @P1"
    );
    Ok(admin.query(query, &[&name]).await?.into_first_result().await?.len())
}
