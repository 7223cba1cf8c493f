//! Tests of the statements that AWS's functions `…RotationSingleUser` and `…RotationMultiUser` run
//! in `set_secret` (see [AWS's repository]), as the master user that these functions use.
//!
//! [AWS's repository]: https://github.com/aws-samples/aws-secrets-manager-rotation-lambdas

use anyhow::Result;
use rotation_tests::mysql::{self, Which, account};
use rotation_tests::postgres;
use rotation_tests::server::Server;
use sqlx::{MySqlConnection, PgConnection};

/// The statements that AWS's functions run in the session of the master user.
pub(crate) trait AwsFunctions: Server {
    /// Creates the alternate user and gives it the privileges of the base user.
    async fn create_clone(
        master: &mut Self::Session,
        base: &str,
        password: &str,
        database: &str,
    ) -> Result<()>;
    /// Sets a user's password.
    async fn set_password(master: &mut Self::Session, user: &str, password: &str) -> Result<()>;
    /// Does what an application does as the alternate user while that is the current user.
    async fn work_as_clone(clone: &mut Self::Session) -> Result<()>;
    /// Runs a statement as an administrator of the database.
    async fn administer(&self, database: &str, statement: &str) -> Result<()>;
}

impl AwsFunctions for postgres::Target {
    async fn create_clone(
        master: &mut PgConnection,
        base: &str,
        password: &str,
        _database: &str,
    ) -> Result<()> {
        postgres::sql(
            master,
            &format!("CREATE ROLE \"{base}_clone\" WITH LOGIN PASSWORD '{password}'"),
        )
        .await?;
        postgres::sql(master, &format!("GRANT \"{base}\" TO \"{base}_clone\"")).await
    }

    async fn set_password(master: &mut PgConnection, user: &str, password: &str) -> Result<()> {
        postgres::sql(master, &format!("ALTER USER \"{user}\" WITH PASSWORD '{password}'")).await
    }

    async fn work_as_clone(clone: &mut PgConnection) -> Result<()> {
        postgres::sql(clone, "CREATE TABLE made.by_clone (a int)").await
    }

    async fn administer(&self, database: &str, statement: &str) -> Result<()> {
        postgres::sql(&mut self.admin(database).await?, statement).await
    }
}

impl<W: Which> AwsFunctions for mysql::Target<W> {
    async fn create_clone(
        master: &mut MySqlConnection,
        base: &str,
        password: &str,
        database: &str,
    ) -> Result<()> {
        let clone = account(&format!("{base}_clone"));
        mysql::sql(master, &format!("CREATE USER {clone} IDENTIFIED BY '{password}'")).await?;
        mysql::sql(master, &format!("GRANT SELECT ON `{database}`.* TO {clone}")).await
    }

    async fn set_password(master: &mut MySqlConnection, user: &str, password: &str) -> Result<()> {
        mysql::sql(master, &format!("ALTER USER {} IDENTIFIED BY '{password}'", account(user)))
            .await
    }

    async fn work_as_clone(clone: &mut MySqlConnection) -> Result<()> {
        mysql::sql(clone, "SELECT * FROM present").await
    }

    async fn administer(&self, _database: &str, statement: &str) -> Result<()> {
        mysql::sql(&mut self.admin().await?, statement).await
    }
}
