//! Tests that the alternate user has every privilege of the base user, and no other.

use anyhow::{Context, Result, ensure};
use rotation_postgres::{identifier, literal};
use rotation_tests::postgres::{Fixture, on_each, sql};
use sqlx::PgConnection;

use crate::privilege_matrix::{May, PRIVILEGES, PRIVILEGES_SINCE_15};

struct Words<'a> {
    fixture: &'a Fixture,
    tag: String,
    large_object: i64,
    round: usize,
}

impl Words<'_> {
    fn fill(&self, statement: &str) -> String {
        let fixture = self.fixture;
        [
            ("{ul}", literal(&fixture.user)),
            ("{u}", identifier(&fixture.user)),
            ("{m}", identifier(&fixture.master)),
            ("{d}", identifier(&fixture.database)),
            ("{t}", self.tag.clone()),
            ("{n}", self.round.to_string()),
            ("{lo}", self.large_object.to_string()),
            ("{su}", literal(&fixture.target.superuser)),
            ("{sp}", literal(&fixture.target.password)),
        ]
        .into_iter()
        .fold(statement.to_owned(), |text, (word, value)| text.replace(word, &value))
    }
}

async fn prepare(fixture: &Fixture, admin: &mut PgConnection, tag: &str) -> Result<i64> {
    let user = identifier(&fixture.user);
    let database = identifier(&fixture.database);
    sql(
        admin,
        &format!(
            "CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO PUBLIC; CREATE SCHEMA s2; GRANT USAGE ON \
         SCHEMA s2 TO PUBLIC; \
         CREATE SCHEMA own AUTHORIZATION {user}; \
         CREATE TABLE s.t (a int); CREATE TABLE s.t_ins (a int); CREATE TABLE s.t_col (a int, b \
         int); CREATE TABLE s.t_del (a int); \
         CREATE TABLE s.t_ref (a int PRIMARY KEY); CREATE TABLE s.t_opt (a int); CREATE TABLE \
         s.owned (a int); CREATE SEQUENCE s.q; \
         CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION \
         s.f() FROM PUBLIC; \
         CREATE PROCEDURE s.p() LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON PROCEDURE s.p() FROM \
         PUBLIC; \
         CREATE TYPE s.ty AS ENUM ('x'); REVOKE ALL ON TYPE s.ty FROM PUBLIC; REVOKE USAGE ON \
         LANGUAGE plpgsql FROM PUBLIC; \
         REVOKE TEMP ON DATABASE {database} FROM PUBLIC; \
         CREATE TABLE s.rows (owner text); ALTER TABLE s.rows ENABLE ROW LEVEL SECURITY; \
         INSERT INTO s.rows VALUES ({}), ('another'); \
         CREATE ROLE readers_{tag}; CREATE ROLE readers2_{tag}; CREATE ROLE readers3_{tag}; \
         CREATE TABLE s.t_readers (a int); GRANT SELECT ON s.t_readers TO readers_{tag}; \
         CREATE EXTENSION postgres_fdw; REVOKE ALL ON FOREIGN DATA WRAPPER postgres_fdw FROM \
         PUBLIC",
            literal(&fixture.user)
        ),
    )
    .await?;
    let address: i32 =
        sqlx::query_scalar("SELECT inet_server_port()").fetch_one(&mut *admin).await?;
    sql(
        admin,
        &format!(
            "CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'localhost', port \
         '{address}', dbname {}); \
         CREATE TABLE public.remote (a int); CREATE FOREIGN TABLE s.foreign_t (a int) SERVER here \
         OPTIONS (schema_name 'public', table_name 'remote')",
            literal(&fixture.database)
        ),
    )
    .await?;
    Ok(sqlx::query_scalar("SELECT lo_from_bytea(0, 'x')::int8").fetch_one(admin).await?)
}

/// Logs in as the current user and uses a privilege, inside a transaction if possible.
async fn may(fixture: &Fixture, words: &Words<'_>, may: &May) -> Result<()> {
    let mut session = fixture.log_in().await?;
    let act = words.fill(may.act);
    // Statements that cannot run in a transaction run one at a time.
    if act.contains("DATABASE") {
        for statement in act.split("; ") {
            sql(&mut session, statement).await?;
        }
        return Ok(());
    }
    sql(&mut session, "BEGIN").await?;
    sql(&mut session, &act).await?;
    sql(&mut session, "ROLLBACK").await
}

#[tokio::test]
async fn alternate_user_has_exactly_the_base_privileges() {
    on_each(|target| async move {
        let version = target.version().await?;
        let fixture = Fixture::new(&target).await?;
        let tag = fixture.user.trim_start_matches("app_").to_owned();
        let mut admin = fixture.admin().await?;
        let large_object = prepare(&fixture, &mut admin, &tag).await?;
        let mut words = Words { fixture: &fixture, tag, large_object, round: 0 };
        let all: Vec<_> = PRIVILEGES
            .iter()
            .chain(if version >= 150_000 { PRIVILEGES_SINCE_15 } else { &[] })
            .collect();
        let function = fixture.function("master-user");

        // Before any privilege is granted, every action must fail. Otherwise, the later checks
        // would show nothing.
        for may_do in &all {
            ensure!(
                may(&fixture, &words, may_do).await.is_err(),
                "{} does not need the privilege",
                may_do.what
            );
        }
        // Each round grants the privileges, rotates and acts, then revokes them, rotates and fails.
        // Both users are checked.
        for round in 1..=2 {
            words.round = round;
            for may_do in &all {
                for statement in words.fill(may_do.allow).split("; ") {
                    sql(&mut admin, statement).await?;
                }
            }
            for _ in 0..2 {
                fixture.rotate(&function).await?;
                let user = fixture.value("AWSCURRENT")?["username"].clone();
                for may_do in &all {
                    may(&fixture, &words, may_do)
                        .await
                        .with_context(|| format!("{} as {user}", may_do.what))?;
                }
            }
            for may_do in &all {
                for statement in words.fill(may_do.revoke).split("; ") {
                    sql(&mut admin, statement).await.context(may_do.what)?;
                }
            }
            // The number of rotations is odd, so that the second round begins with the other user.
            for _ in 0..3 {
                fixture.rotate(&function).await?;
                let user = fixture.value("AWSCURRENT")?["username"].clone();
                for may_do in &all {
                    ensure!(
                        may(&fixture, &words, may_do).await.is_err(),
                        "{user} still has the revoked privilege: {}",
                        may_do.what
                    );
                }
            }
        }
        fixture.search_for_passwords("")
    })
    .await;
}
