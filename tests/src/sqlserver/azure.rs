//! Fixtures on Azure SQL Database, whose users have passwords of their own and no login.

use anyhow::{Context, Result};
use rotation_sqlserver::identifier;

use super::{Target, sql, with_password};
use crate::server::Made;

/// Creates a database with a user and a master user.
pub(super) async fn make(target: &Target, made: &Made<'_>) -> Result<()> {
    let (user, master, database) =
        (identifier(made.user), identifier(made.master), identifier(made.database));
    let mut admin = target.admin("master").await?;
    sql(&mut admin, &format!("CREATE DATABASE {database}")).await?;
    let (with, masters) = (with_password(made.password), with_password(made.masters_password));
    for statement in [
        format!("CREATE USER {user} WITH {with}"),
        format!("CREATE USER {master} WITH {masters}"),
        format!("ALTER ROLE db_owner ADD MEMBER {master}"),
        "CREATE TABLE present (a int)".to_owned(),
        format!("GRANT SELECT ON present TO {user}"),
    ] {
        sql(&mut admin, &format!("USE {database}; {statement}")).await?;
    }
    Ok(())
}

/// Gives the base user a role, a denied column, and an option of the user.
pub(super) async fn enrich(target: &Target, made: &Made<'_>) -> Result<()> {
    let user = identifier(made.user);
    let mut admin = target.admin(made.database).await?;
    for statement in [
        "CREATE ROLE readers".to_owned(),
        format!("ALTER ROLE readers ADD MEMBER {user}"),
        "CREATE TABLE partly (seen int, hidden int)".to_owned(),
        format!("GRANT SELECT ON partly TO {user}"),
        format!("DENY SELECT ON partly (hidden) TO {user}"),
        format!("ALTER USER {user} WITH DEFAULT_LANGUAGE = Deutsch"),
    ] {
        sql(&mut admin, &statement).await?;
    }
    Ok(())
}

pub(super) async fn give_password(target: &Target, user: &str, password: &str) -> Result<()> {
    let database = home(target, user).await?.context("no database has that user")?;
    let mut admin = target.admin(&database).await?;
    let with = with_password(password);
    sql(&mut admin, &format!("ALTER USER {} WITH {with}", identifier(user))).await
}

pub(super) async fn impair(
    target: &Target,
    alternate: &str,
    database: &str,
) -> Result<&'static [&'static str]> {
    let name = identifier(alternate);
    let mut admin = target.admin(database).await?;
    for statement in [
        format!("ALTER USER {name} WITH DEFAULT_LANGUAGE = NONE"),
        format!("ALTER ROLE readers DROP MEMBER {name}"),
    ] {
        sql(&mut admin, &statement).await?;
    }
    Ok(&["DEFAULT_LANGUAGE = [Deutsch]", "ALTER ROLE [readers] ADD MEMBER"])
}

pub(super) async fn drop_user(target: &Target, user: &str) -> Result<()> {
    let Some(database) = home(target, user).await? else { return Ok(()) };
    let mut admin = target.admin(&database).await?;
    sql(&mut admin, &format!("DROP USER {}", identifier(user))).await
}

/// Returns the database that has a user.
async fn home(target: &Target, user: &str) -> Result<Option<String>> {
    let mut admin = target.admin("master").await?;
    let databases = "SELECT d.name FROM sys.databases d WHERE d.database_id > 4";
    let rows = admin.simple_query(databases).await?.into_first_result().await?;
    for row in rows {
        let database: &str = row.get(0).context("a database has no name")?;
        let query = "SELECT p.name FROM sys.database_principals p WHERE p.name = @P1";
        // Another test may have dropped its database in the meantime.
        let Ok(mut inside) = target.admin(database).await else { continue };
        if inside.query(query, &[&user]).await?.into_row().await?.is_some() {
            return Ok(Some(database.to_owned()));
        }
    }
    Ok(None)
}
