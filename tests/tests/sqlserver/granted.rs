//! Every kind of permission, and what the catalog shows about it.

use anyhow::Result;
use rotation_tests::sqlserver::{Fixture, sql};

/// Returns everything that the catalog shows about a principal's roles, permissions and options,
/// without its name.
pub(crate) async fn catalog_rows(fixture: &Fixture, user: &str) -> Result<Vec<String>> {
    let mut admin = fixture.admin().await?;
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
pub(crate) const GRANTS: &[(&str, &str)] = &[
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

/// Creates the objects of [`GRANTS`].
pub(crate) async fn prepared(fixture: &Fixture) -> Result<()> {
    let mut admin = fixture.admin().await?;
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
