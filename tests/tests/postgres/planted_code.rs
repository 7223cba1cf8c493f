//! Tests that no SQL of another user runs with a master user's privileges.

use anyhow::{Context, Result, ensure};
use rotation_postgres::identifier;
use rotation_tests::postgres::{Fixture, on_each, sql};

const STRATEGIES: [&str; 3] = ["single-user", "single-user-by-master", "master-user"];

/// The objects that an attacker who owns a database creates in a schema of its own. Each function
/// reports to the server's log, which no rollback reverts, and tries to create a role. It acts only
/// in the sessions of the master user, so that the owner's own sessions work.
const PLANTED: &str = r#"
CREATE SCHEMA evil;
GRANT ALL ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.spring(what text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF session_user = '{master}' OR current_user = '{master}' THEN
        RAISE LOG 'planted code has run as {master}: %', what;
        BEGIN
            EXECUTE 'CREATE ROLE "pwned_{master}"';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END IF;
END $$;
CREATE TABLE evil.pg_roles AS SELECT * FROM pg_catalog.pg_roles;
CREATE TABLE evil.pg_settings AS SELECT * FROM pg_catalog.pg_settings;
CREATE DOMAIN evil.text AS pg_catalog.text CHECK (evil.spring('domain text') IS NOT NULL OR true);
CREATE DOMAIN evil.bool AS pg_catalog.bool CHECK (evil.spring('domain bool') IS NOT NULL OR true);
"#;

/// The operators and functions that the rotation's statements use, with the argument types that
/// occur there. A function has its signature, its result type and the body of the planted copy.
const OPERATORS: [(&str, &str); 3] = [("=", "="), ("<>", "<>"), ("||", "||")];
const TYPES: [&str; 7] = ["name", "text", "oid", "bool", "int4", "\"char\"", "regclass"];
const FUNCTIONS: [(&str, &str, &str); 12] = [
    ("current_setting(a text)", "text", "pg_catalog.current_setting(a)"),
    ("current_setting(a text, b boolean)", "text", "pg_catalog.current_setting(a, b)"),
    ("set_config(a text, b text, c boolean)", "text", "pg_catalog.set_config(a, b, c)"),
    ("current_database()", "name", "pg_catalog.current_database()"),
    ("to_jsonb(a anyelement)", "jsonb", "pg_catalog.to_jsonb(a)"),
    ("unnest(a text[])", "setof text", "pg_catalog.unnest(a)"),
    ("format(a text)", "text", "a"),
    ("version()", "text", "pg_catalog.version()"),
    ("pg_has_role(a name, b oid, c text)", "boolean", "pg_catalog.pg_has_role(a, b, c)"),
    ("pg_has_role(a oid, b oid, c text)", "boolean", "pg_catalog.pg_has_role(a, b, c)"),
    ("pg_backend_pid()", "int4", "pg_catalog.pg_backend_pid()"),
    ("now()", "timestamptz", "pg_catalog.now()"),
];

/// Returns the log line with which planted code reports that it ran in a session of the fixture's
/// master user.
fn report_of(fixture: &Fixture) -> String {
    format!("LOG:  planted code has run as {}: ", fixture.master)
}

/// Makes the fixture's user the owner of its database, and plants every object that the owner can
/// create.
async fn plant(fixture: &Fixture) -> Result<()> {
    let (user, database) = (identifier(&fixture.user), identifier(&fixture.database));
    let mut admin = fixture.target.admin("postgres").await?;
    sql(&mut admin, &format!("ALTER DATABASE {database} OWNER TO {user}")).await?;
    let mut owner = fixture.log_in().await?;
    sql(&mut owner, &PLANTED.replace("{master}", &fixture.master)).await?;
    // Also plants operators that the catalog does not have, such as int4 = name.
    let mut planted = 0;
    for (operator, body) in OPERATORS {
        for (left, right) in
            TYPES.iter().flat_map(|left| TYPES.iter().map(move |right| (left, right)))
        {
            let returns = if operator == "||" { "text" } else { "bool" };
            let name = format!("{}_{planted}", if operator == "=" { "eq" } else { "op" });
            let statements = format!(
                "CREATE FUNCTION evil.{name}(a {left}, b {right}) RETURNS pg_catalog.{returns} \
                 LANGUAGE plpgsql \
                 SET search_path = pg_catalog AS $$ BEGIN PERFORM evil.spring('operator \
                 {operator}'); \
                 RETURN a::pg_catalog.text {body} b::pg_catalog.text; END $$; \
                 CREATE OPERATOR evil.{operator} (FUNCTION = evil.{name}, LEFTARG = {left}, \
                 RIGHTARG = {right})"
            );
            sql(&mut owner, &statements).await?;
            planted += 1;
        }
    }
    for (signature, returns, body) in FUNCTIONS {
        let query = if returns.starts_with("setof") { "RETURN QUERY SELECT" } else { "RETURN" };
        let statement = format!(
            "CREATE FUNCTION evil.{signature} RETURNS {returns} LANGUAGE plpgsql SET search_path \
             = pg_catalog \
             AS $$ BEGIN PERFORM evil.spring('function {}'); {query} {body}; END $$",
            signature.replace('\'', "")
        );
        sql(&mut owner, &statement).await?;
    }
    for setting in [
        "search_path = evil, pg_catalog",
        "role = {user}",
        "standard_conforming_strings = off",
        "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'",
    ] {
        let setting = setting.replace("{user}", &user);
        // The base role's own settings apply to the alternate role as well.
        for subject in
            [format!("DATABASE {database}"), format!("ROLE {user} IN DATABASE {database}")]
        {
            let done = sql(&mut owner, &format!("ALTER {subject} SET {setting}")).await;
            ensure!(done.is_ok() || subject.starts_with("ROLE"), "{setting}: {done:?}");
        }
    }
    // Only superusers can install code that runs at every login or at every command.
    sql(
        &mut owner,
        "CREATE FUNCTION evil.trigger() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$",
    )
    .await?;
    for event in ["login", "ddl_command_start"] {
        let create = format!("CREATE EVENT TRIGGER t ON {event} EXECUTE FUNCTION evil.trigger()");
        ensure!(sql(&mut owner, &create).await.is_err(), "an event trigger on {event}");
    }
    for setting in ["session_preload_libraries = 'evil'", "session_replication_role = replica"] {
        let alter = format!("ALTER DATABASE {database} SET {setting}");
        ensure!(sql(&mut owner, &alter).await.is_err(), "{setting}");
    }
    Ok(())
}

#[tokio::test]
async fn code_planted_by_the_database_owner_never_runs_as_master() {
    on_each(|target| async move {
        for strategy in STRATEGIES {
            let fixture = Fixture::new(&target).await?;
            plant(&fixture).await.context("planting")?;
            let function = fixture.function(strategy);
            let planted_is_quiet = || async {
                let log = fixture.server_log()?;
                let ran = log.lines().find(|line| line.contains(&report_of(&fixture)));
                ensure!(ran.is_none(), "{strategy}: {ran:?}");
                let mut admin = fixture.target.admin("postgres").await?;
                let query = "SELECT count(*) FROM pg_roles WHERE rolname = $1";
                let pwned = format!("pwned_{}", fixture.master);
                let created: i64 =
                    sqlx::query_scalar(query).bind(pwned).fetch_one(&mut admin).await?;
                ensure!(created == 0, "{strategy}: a role was created");
                anyhow::Ok(())
            };
            for _ in 0..3 {
                fixture.preflight(&function).await.context(strategy)?;
                planted_is_quiet().await.context("preflight")?;
                fixture.rotate(&function).await.context(strategy)?;
                planted_is_quiet().await.context("rotation")?;
            }
        }
        Ok(())
    })
    .await;
}

/// Planted code does run in a session of the master user that pins nothing. This shows that the
/// test above would detect it.
#[tokio::test]
async fn planted_code_runs_in_an_unpinned_session() {
    on_each(|target| async move {
        let fixture = Fixture::new(&target).await?;
        plant(&fixture).await?;
        let password = fixture.master_password()?;
        let mut master = target.log_in(&fixture.master, &password, &fixture.database).await?;
        sql(&mut master, "SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = current_user").await?;
        if target.log.is_some() {
            ensure!(
                fixture.server_log()?.contains(&report_of(&fixture)),
                "no planted code has run"
            );
        }
        Ok(())
    })
    .await;
}

/// Returns the statements of each session of a user, from the server's log.
fn sessions_of<'a>(log: &'a str, user: &str) -> Vec<Vec<&'a str>> {
    let authorized = format!("connection authorized: user={user} ");
    let process = |line: &'a str| {
        line.split_once('[').and_then(|(_, rest)| rest.split_once(']')).map(|s| s.0)
    };
    let processes: Vec<_> =
        log.lines().filter(|line| line.contains(&authorized)).filter_map(process).collect();
    let statement = |line: &'a str| {
        let (_, text) = line.split_once("LOG:  ")?;
        let of_parse = text.split_once(" ms  ").map(|(_, rest)| rest);
        text.strip_prefix("statement: ")
            .or(of_parse)
            .or(text.starts_with("execute ").then_some(text))
    };
    let of = |pid: &str| {
        log.lines().filter(|line| process(line) == Some(pid)).filter_map(statement).collect()
    };
    processes.into_iter().map(of).collect()
}

/// This test also covers code that is added to the function later. No statement of a session comes
/// before the pin, and none outside of a transaction that begins with the pin.
#[tokio::test]
async fn every_session_starts_with_the_pin() {
    on_each(|target| async move {
        if target.log.is_none() {
            return Ok(());
        }
        for strategy in STRATEGIES {
            let fixture = Fixture::new(&target).await?;
            let function = fixture.function(strategy);
            for _ in 0..3 {
                fixture.preflight(&function).await?;
                fixture.rotate(&function).await?;
            }
            let log = fixture.server_log()?;
            let mut begun = 0;
            for user in [&fixture.master, &fixture.user, &fixture.alternate()] {
                for statements in sessions_of(&log, user) {
                    let mut is_pinned = false;
                    for statement in statements {
                        let begins = statement
                            .starts_with("BEGIN ISOLATION LEVEL READ COMMITTED READ ")
                            && statement
                                .contains("; SET LOCAL search_path = pg_catalog, pg_temp; ");
                        begun += usize::from(begins);
                        ensure!(begins || is_pinned, "{strategy}, {user}: unpinned: {statement}");
                        is_pinned = !statement.ends_with("COMMIT");
                    }
                }
            }
            ensure!(begun >= 6, "{strategy}: only {begun} transactions in the log");
        }
        Ok(())
    })
    .await;
}

/// The owner of the database can set time limits for its sessions. Limits that a transaction can
/// override have no effect. Errors name the others.
#[tokio::test]
async fn database_time_limits_do_not_block_rotation() {
    on_each(|target| async move {
        let version = target.version().await?;
        let mut limits =
            vec!["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"];
        limits.extend((version >= 170_000).then_some("transaction_timeout"));
        for strategy in ["single-user", "master-user"] {
            let fixture = Fixture::new(&target).await?;
            let database = identifier(&fixture.database);
            for limit in &limits {
                sql(
                    &mut fixture.admin().await?,
                    &format!("ALTER DATABASE {database} SET {limit} = '50ms'"),
                )
                .await?;
            }
            fixture.rotate(&fixture.function(strategy)).await?;
            fixture.log_in().await?;
        }
        Ok(())
    })
    .await;
}
