//! Whatever the base user may do, the alternate user may do, and nothing more.

use anyhow::{Context, Result, ensure};
use rotation_postgres::{identifier, literal};
use rotation_tests::postgres::{Scene, on_each, sql};
use rotation_tests::scene::new_password;
use sqlx::PgConnection;

/// Something that a user may do, by one kind of privilege. `{u}` is the base user, `{t}` a tag of this test.
struct May {
    what: &'static str,
    /// Run by a superuser to allow it.
    allow: &'static str,
    /// Run by a superuser to take it away; empty where that makes no sense.
    revoke: &'static str,
    /// Run by the user; fails when it may not.
    act: &'static str,
}

const EVERYTHING: &[May] = &[
    May {
        what: "SELECT",
        allow: "GRANT SELECT ON s.t TO {u}",
        revoke: "REVOKE SELECT ON s.t FROM {u}",
        act: "SELECT * FROM s.t",
    },
    May {
        what: "INSERT",
        allow: "GRANT INSERT ON s.t_ins TO {u}",
        revoke: "REVOKE INSERT ON s.t_ins FROM {u}",
        act: "INSERT INTO s.t_ins VALUES (1)",
    },
    May {
        what: "UPDATE of a column",
        allow: "GRANT SELECT (a), UPDATE (a) ON s.t_col TO {u}",
        revoke: "REVOKE UPDATE (a) ON s.t_col FROM {u}",
        act: "UPDATE s.t_col SET a = a",
    },
    May {
        what: "SELECT of a column",
        allow: "GRANT SELECT (b) ON s.t_col TO {u}",
        revoke: "REVOKE SELECT (b) ON s.t_col FROM {u}",
        act: "SELECT b FROM s.t_col",
    },
    May {
        what: "DELETE",
        allow: "GRANT DELETE ON s.t_del TO {u}",
        revoke: "REVOKE DELETE ON s.t_del FROM {u}",
        act: "DELETE FROM s.t_del",
    },
    May {
        what: "TRUNCATE",
        allow: "GRANT TRUNCATE ON s.t_del TO {u}",
        revoke: "REVOKE TRUNCATE ON s.t_del FROM {u}",
        act: "TRUNCATE s.t_del",
    },
    May {
        what: "REFERENCES",
        allow: "GRANT REFERENCES ON s.t_ref TO {u}",
        revoke: "REVOKE REFERENCES ON s.t_ref FROM {u}",
        act: "CREATE TEMP TABLE r (a int); DROP TABLE r; CREATE TABLE own.r (a int REFERENCES s.t_ref (a)); DROP TABLE own.r",
    },
    May {
        what: "TRIGGER",
        allow: "GRANT TRIGGER ON s.t_ref TO {u}",
        revoke: "REVOKE TRIGGER ON s.t_ref FROM {u}",
        act: "CREATE TRIGGER g BEFORE INSERT ON s.t_ref EXECUTE FUNCTION suppress_redundant_updates_trigger(); ",
    },
    May {
        what: "a sequence",
        allow: "GRANT USAGE ON SEQUENCE s.q TO {u}",
        revoke: "REVOKE USAGE ON SEQUENCE s.q FROM {u}",
        act: "SELECT nextval('s.q')",
    },
    May {
        what: "a function",
        allow: "GRANT EXECUTE ON FUNCTION s.f() TO {u}",
        revoke: "REVOKE EXECUTE ON FUNCTION s.f() FROM {u}",
        act: "SELECT s.f()",
    },
    May {
        what: "a procedure",
        allow: "GRANT EXECUTE ON PROCEDURE s.p() TO {u}",
        revoke: "REVOKE EXECUTE ON PROCEDURE s.p() FROM {u}",
        act: "CALL s.p()",
    },
    May {
        what: "a type",
        allow: "GRANT USAGE ON TYPE s.ty TO {u}",
        revoke: "REVOKE USAGE ON TYPE s.ty FROM {u}",
        act: "CREATE TABLE own.ty (a s.ty); DROP TABLE own.ty",
    },
    May {
        what: "a language",
        allow: "GRANT USAGE ON LANGUAGE plpgsql TO {u}",
        revoke: "REVOKE USAGE ON LANGUAGE plpgsql FROM {u}",
        act: "DO $$ BEGIN END $$ LANGUAGE plpgsql",
    },
    May {
        what: "CREATE in a schema",
        allow: "GRANT CREATE ON SCHEMA s2 TO {u}",
        revoke: "REVOKE CREATE ON SCHEMA s2 FROM {u}",
        act: "CREATE TABLE s2.x (); DROP TABLE s2.x",
    },
    May {
        what: "CREATE in the database",
        allow: "GRANT CREATE ON DATABASE {d} TO {u}",
        revoke: "REVOKE CREATE ON DATABASE {d} FROM {u}",
        act: "CREATE SCHEMA made; DROP SCHEMA made",
    },
    May {
        what: "temporary tables",
        allow: "GRANT TEMP ON DATABASE {d} TO {u}",
        revoke: "REVOKE TEMP ON DATABASE {d} FROM {u}",
        act: "CREATE TEMP TABLE x (); DROP TABLE x",
    },
    May {
        what: "a large object",
        allow: "GRANT SELECT ON LARGE OBJECT {lo} TO {u}",
        revoke: "REVOKE SELECT ON LARGE OBJECT {lo} FROM {u}",
        act: "SELECT lo_get({lo})",
    },
    May {
        what: "a foreign-data wrapper",
        allow: "GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO {u}",
        revoke: "REVOKE USAGE ON FOREIGN DATA WRAPPER postgres_fdw FROM {u}",
        act: "CREATE SERVER made FOREIGN DATA WRAPPER postgres_fdw; DROP SERVER made",
    },
    May {
        what: "a foreign server",
        allow: "GRANT USAGE ON FOREIGN SERVER here TO {u}",
        revoke: "REVOKE USAGE ON FOREIGN SERVER here FROM {u}",
        act: "CREATE FOREIGN TABLE own.f2 (a int) SERVER here; DROP FOREIGN TABLE own.f2",
    },
    May {
        what: "a user mapping",
        allow: "CREATE USER MAPPING FOR {u} SERVER here OPTIONS (user {su}, password {sp}); GRANT SELECT ON s.foreign_t TO {u}",
        revoke: "DROP USER MAPPING FOR {u} SERVER here",
        act: "SELECT * FROM s.foreign_t",
    },
    May {
        what: "rows by a policy",
        allow: "GRANT SELECT ON s.rows TO {u}; CREATE POLICY mine ON s.rows TO {u} USING (owner = {ul})",
        revoke: "DROP POLICY mine ON s.rows",
        act: "SELECT 1 / (count(*) = 1)::int FROM s.rows",
    },
    May {
        what: "a role's privileges",
        allow: "GRANT readers_{t} TO {u}",
        revoke: "REVOKE readers_{t} FROM {u}",
        act: "SELECT * FROM s.t_readers",
    },
    May {
        what: "SET ROLE",
        allow: "GRANT readers2_{t} TO {u}",
        revoke: "REVOKE readers2_{t} FROM {u}",
        act: "SET ROLE readers2_{t}; RESET ROLE",
    },
    May {
        what: "ADMIN OPTION",
        allow: "GRANT readers3_{t} TO {u} WITH ADMIN OPTION",
        revoke: "REVOKE readers3_{t} FROM {u}",
        act: "GRANT readers3_{t} TO readers_{t}",
    },
    May {
        what: "GRANT OPTION",
        allow: "GRANT SELECT ON s.t_opt TO {u} WITH GRANT OPTION",
        revoke: "REVOKE SELECT ON s.t_opt FROM {u} CASCADE",
        act: "GRANT SELECT ON s.t_opt TO readers_{t}; SELECT 1 / has_table_privilege('readers_{t}', 's.t_opt', 'SELECT')::int",
    },
    May {
        what: "default privileges",
        allow: "ALTER DEFAULT PRIVILEGES IN SCHEMA s2 GRANT SELECT ON TABLES TO {u}; CREATE TABLE s2.later_{n} ()",
        revoke: "REVOKE SELECT ON s2.later_{n} FROM {u}",
        act: "SELECT * FROM s2.later_{n}",
    },
    May {
        what: "an owned table",
        allow: "ALTER TABLE s.owned OWNER TO {u}",
        revoke: "ALTER TABLE s.owned OWNER TO CURRENT_USER",
        act: "ALTER TABLE s.owned ADD COLUMN x int; ALTER TABLE s.owned DROP COLUMN x",
    },
    May {
        what: "CREATEDB",
        allow: "ALTER ROLE {u} CREATEDB; ALTER ROLE {m} CREATEDB",
        revoke: "ALTER ROLE {u} NOCREATEDB",
        act: "CREATE DATABASE made_{t}; DROP DATABASE made_{t}",
    },
    May {
        what: "CREATEROLE",
        allow: "ALTER ROLE {u} CREATEROLE",
        revoke: "ALTER ROLE {u} NOCREATEROLE",
        act: "CREATE ROLE made_{t}; DROP ROLE made_{t}",
    },
    May {
        what: "a setting",
        allow: "ALTER ROLE {u} SET work_mem = '9MB'",
        revoke: "ALTER ROLE {u} RESET work_mem",
        act: "SELECT 1 / (current_setting('work_mem') = '9MB')::int",
    },
    May {
        what: "a setting for one database",
        allow: "ALTER ROLE {u} IN DATABASE {d} SET lock_timeout = '77s'",
        revoke: "ALTER ROLE {u} IN DATABASE {d} RESET lock_timeout",
        act: "SELECT 1 / (current_setting('lock_timeout') = '77s')::int",
    },
    May {
        what: "a search path",
        allow: "ALTER ROLE {u} SET search_path = s, \"Odd \"\"name\", public",
        revoke: "ALTER ROLE {u} RESET search_path",
        act: "SELECT 1 / (current_setting('search_path') = 's, \"Odd \"\"name\", public')::int",
    },
    May {
        what: "a predefined role",
        allow: "GRANT pg_read_all_settings TO {u}",
        revoke: "REVOKE pg_read_all_settings FROM {u}",
        act: "SHOW data_directory",
    },
];

/// Only on servers that know them.
const SINCE_15: &[May] = &[
    May {
        what: "a setting of the application's own",
        allow: "GRANT SET ON PARAMETER app.tenant TO {m}; ALTER ROLE {u} SET app.tenant = 'it''s \\ 42'",
        revoke: "ALTER ROLE {u} RESET app.tenant",
        act: "SELECT 1 / (current_setting('app.tenant') = 'it''s \\ 42')::int",
    },
    May {
        what: "a parameter",
        allow: "GRANT SET ON PARAMETER log_min_messages TO {u}",
        revoke: "REVOKE SET ON PARAMETER log_min_messages FROM {u}",
        act: "SET log_min_messages = 'warning'",
    },
];

struct Words<'a> {
    scene: &'a Scene,
    tag: String,
    large_object: i64,
    round: usize,
}

impl Words<'_> {
    fn fill(&self, statement: &str) -> String {
        let scene = self.scene;
        [
            ("{ul}", literal(&scene.user)),
            ("{u}", identifier(&scene.user)),
            ("{m}", identifier(&scene.master)),
            ("{d}", identifier(&scene.database)),
            ("{t}", self.tag.clone()),
            ("{n}", self.round.to_string()),
            ("{lo}", self.large_object.to_string()),
            ("{su}", literal(&scene.target.superuser)),
            ("{sp}", literal(&scene.target.password)),
        ]
        .into_iter()
        .fold(statement.to_owned(), |text, (word, value)| text.replace(word, &value))
    }
}

async fn prepare(scene: &Scene, admin: &mut PgConnection, tag: &str) -> Result<i64> {
    let user = identifier(&scene.user);
    let database = identifier(&scene.database);
    sql(admin, &format!(
        "CREATE SCHEMA s; GRANT USAGE ON SCHEMA s TO PUBLIC; CREATE SCHEMA s2; GRANT USAGE ON SCHEMA s2 TO PUBLIC; \
         CREATE SCHEMA own AUTHORIZATION {user}; \
         CREATE TABLE s.t (a int); CREATE TABLE s.t_ins (a int); CREATE TABLE s.t_col (a int, b int); CREATE TABLE s.t_del (a int); \
         CREATE TABLE s.t_ref (a int PRIMARY KEY); CREATE TABLE s.t_opt (a int); CREATE TABLE s.owned (a int); CREATE SEQUENCE s.q; \
         CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION s.f() FROM PUBLIC; \
         CREATE PROCEDURE s.p() LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON PROCEDURE s.p() FROM PUBLIC; \
         CREATE TYPE s.ty AS ENUM ('x'); REVOKE ALL ON TYPE s.ty FROM PUBLIC; REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC; \
         REVOKE TEMP ON DATABASE {database} FROM PUBLIC; \
         CREATE TABLE s.rows (owner text); ALTER TABLE s.rows ENABLE ROW LEVEL SECURITY; \
         INSERT INTO s.rows VALUES ({}), ('another'); \
         CREATE ROLE readers_{tag}; CREATE ROLE readers2_{tag}; CREATE ROLE readers3_{tag}; \
         CREATE TABLE s.t_readers (a int); GRANT SELECT ON s.t_readers TO readers_{tag}; \
         CREATE EXTENSION postgres_fdw; REVOKE ALL ON FOREIGN DATA WRAPPER postgres_fdw FROM PUBLIC",
        literal(&scene.user)
    )).await?;
    let address: i32 = sqlx::query_scalar("SELECT inet_server_port()").fetch_one(&mut *admin).await?;
    sql(admin, &format!(
        "CREATE SERVER here FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'localhost', port '{address}', dbname {}); \
         CREATE TABLE public.remote (a int); CREATE FOREIGN TABLE s.foreign_t (a int) SERVER here OPTIONS (schema_name 'public', table_name 'remote')",
        literal(&scene.database)
    )).await?;
    Ok(sqlx::query_scalar("SELECT lo_from_bytea(0, 'x')::int8").fetch_one(admin).await?)
}

/// Logs in as the one that is current and does it, inside a transaction where that is possible.
async fn may(scene: &Scene, words: &Words<'_>, may: &May) -> Result<()> {
    let mut session = scene.log_in().await?;
    let act = words.fill(may.act);
    // What cannot be undone is done outside of a transaction, one statement at a time.
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
async fn the_alternate_user_may_do_what_the_base_user_may_and_nothing_more() {
    on_each(|target| async move {
        let version = target.version().await?;
        let scene = Scene::new(&target).await?;
        let tag = scene.user.trim_start_matches("app_").to_owned();
        let mut admin = scene.admin().await?;
        let large_object = prepare(&scene, &mut admin, &tag).await?;
        let mut words = Words { scene: &scene, tag, large_object, round: 0 };
        let all: Vec<_> = EVERYTHING.iter().chain(if version >= 150_000 { SINCE_15 } else { &[] }).collect();
        let function = scene.function("master-user");

        // Before anything is granted, nothing may be done: otherwise the rest would show nothing.
        for may_do in &all {
            ensure!(may(&scene, &words, may_do).await.is_err(), "{} needs no privilege", may_do.what);
        }
        // Each round: grant, rotate, do; revoke, rotate, fail. It ends on base and alternate in turn.
        for round in 1..=2 {
            words.round = round;
            for may_do in &all {
                for statement in words.fill(may_do.allow).split("; ") {
                    sql(&mut admin, statement).await?;
                }
            }
            for _ in 0..2 {
                scene.rotate(&function).await?;
                let user = scene.value("AWSCURRENT")?["username"].clone();
                for may_do in &all {
                    may(&scene, &words, may_do)
                        .await
                        .with_context(|| format!("{} as {user}", may_do.what))?;
                }
            }
            for may_do in &all {
                for statement in words.fill(may_do.revoke).split("; ") {
                    sql(&mut admin, statement).await.context(may_do.what)?;
                }
            }
            // An odd number, so that the second round begins on the other user.
            for _ in 0..3 {
                scene.rotate(&function).await?;
                let user = scene.value("AWSCURRENT")?["username"].clone();
                for may_do in &all {
                    ensure!(
                        may(&scene, &words, may_do).await.is_err(),
                        "{} as {user}, though revoked",
                        may_do.what
                    );
                }
            }
        }
        scene.search_for_passwords("")
    })
    .await;
}

/// What the application makes after a rotation it can still use after the next.
#[tokio::test]
async fn what_the_alternate_user_makes_belongs_to_the_base_user() {
    on_each(|target| async move {
        let scene = Scene::new(&target).await?;
        let mut admin = scene.admin().await?;
        sql(&mut admin, &format!("CREATE SCHEMA own AUTHORIZATION {}", identifier(&scene.user))).await?;
        let function = scene.function("master-user");
        for round in 0..4 {
            scene.rotate(&function).await?;
            let mut session = scene.log_in().await?;
            sql(&mut session, &format!("CREATE TABLE own.t{round} (a int)")).await?;
            for earlier in 0..=round {
                let change = format!("INSERT INTO own.t{earlier} VALUES (1); ALTER TABLE own.t{earlier} ADD COLUMN c{round} int");
                sql(&mut session, &change).await?;
            }
        }
        let owners: Vec<String> =
            sqlx::query_scalar("SELECT DISTINCT tableowner::text FROM pg_tables WHERE schemaname = 'own'").fetch_all(&mut admin).await?;
        assert_eq!(owners, std::slice::from_ref(&scene.user));
        Ok(())
    })
    .await;
}

/// A pair of users from AWS's own function: the alternate is only a member, and owns what it has made.
#[tokio::test]
async fn a_pair_from_the_reference_is_taken_over() {
    on_each(|target| async move {
        let scene = Scene::new(&target).await?;
        let (user, master) = (identifier(&scene.user), identifier(&scene.master));
        let clone = identifier(&format!("{}_clone", scene.user));
        let mut admin = scene.admin().await?;
        sql(&mut admin, &format!(
            "CREATE ROLE {clone} LOGIN; GRANT {user} TO {clone}; CREATE SCHEMA own AUTHORIZATION {user}; \
             CREATE TABLE own.by_clone (a int); ALTER TABLE own.by_clone OWNER TO {clone}; \
             CREATE ROLE stray_{0}; GRANT stray_{0} TO {clone}", scene.database
        )).await?;
        let function = scene.function("master-user");
        if target.version().await? >= 160_000 {
            sql(&mut admin, &format!("GRANT {clone} TO {master} WITH ADMIN OPTION")).await?;
            sql(&mut admin, &format!("GRANT stray_{} TO {master} WITH ADMIN OPTION", scene.database)).await?;
        }
        // The master may not give away what it is no member of: the error says what would help, and that does.
        let error = scene.failure(&function).await?;
        assert!(["PrivilegeMissing"].contains(&error.error_type.as_str()), "{}", error.message);
        sql(&mut admin, &format!("GRANT {clone}, {user} TO {master}")).await?;
        sql(&mut admin, &format!("REVOKE stray_{} FROM {clone}", scene.database)).await?;
        let token = scene.version("AWSPENDING")?.context("no pending version")?;
        let rotation = scene.attempt(&function, &token, 1).await;
        assert_eq!(rotation.failed, None);
        for _ in 0..2 {
            let mut session = scene.log_in().await?;
            sql(&mut session, "INSERT INTO own.by_clone VALUES (1); ALTER TABLE own.by_clone ADD COLUMN x int; ALTER TABLE own.by_clone DROP COLUMN x").await?;
            scene.rotate(&function).await?;
        }
        Ok(())
    })
    .await;
}

/// Two roles whose names look like a pair, and which are none.
#[tokio::test]
async fn unrelated_roles_are_not_touched() {
    on_each(|target| async move {
        for is_clones_secret in [false, true] {
            let scene = Scene::new(&target).await?;
            let mut admin = scene.admin().await?;
            let other = format!("{}_clone", scene.user);
            let password = new_password();
            let made = scene.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
            sql(&mut admin, &format!("CREATE ROLE {} LOGIN", identifier(&other))).await?;
            let version = target.version().await?;
            if version >= 160_000 {
                let master = identifier(&scene.master);
                sql(&mut admin, &format!("GRANT {} TO {master} WITH ADMIN OPTION", identifier(&other)))
                    .await?;
            }
            let verifier = |user: &str, password: &str| {
                let encryption = rotation_postgres::Encryption::ScramSha256(std::num::NonZeroU32::MIN);
                let password = rotation_database::Password::new(password);
                rotation_postgres::verifier(user, &password, encryption).map_err(anyhow::Error::msg)
            };
            let set = format!(
                "ALTER ROLE {} PASSWORD {}",
                identifier(&other),
                literal(&verifier(&other, &password)?)
            );
            sql(&mut admin, &set).await?;
            let mut mine = (scene.user.clone(), made);
            let mut theirs = (other, password);
            if is_clones_secret {
                std::mem::swap(&mut mine, &mut theirs);
                scene.change(&serde_json::json!({"username": mine.0, "password": mine.1}))?;
            }
            let error = scene.failure(&scene.function("master-user")).await?;
            assert_eq!(error.error_type, "NeedsDecision", "{}", error.message);
            assert!(error.message.contains("GRANT "), "{}", error.message);
            for (user, password) in [mine, theirs] {
                target
                    .log_in(&user, &password, &scene.database)
                    .await
                    .with_context(|| format!("{user} is locked out"))?;
            }
        }
        Ok(())
    })
    .await;
}
