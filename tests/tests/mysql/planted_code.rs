//! Tests of a database owner and a server that change the meaning of statements.
//!
//! No planted code runs with a master user's privileges, and no session depends on the server's
//! settings.

use anyhow::{Result, ensure};
use rotation_tests::fixture::unique;
use rotation_tests::mysql::{Fixture, Target, Which, account, options, sql};
use serde_json::json;

crate::on_both! {
    planted_functions_and_settings_have_no_effect
}

/// The names of native functions that the rotation's statements use.
const NATIVE_FUNCTIONS: [&str; 3] = ["HEX", "CURRENT_ROLE", "QUOTE"];

async fn planted_functions_and_settings_have_no_effect<W: Which>(target: Target<W>) -> Result<()> {
    let mut options = options()?;
    options.arguments.push("--log-bin-trust-function-creators=1".to_owned());
    let Some((_server, target)) = target.another(options).await? else { return Ok(()) };
    for user in ["app", "it's", "b\\s", "b\\'", "qu\"ote"] {
        let unique = unique();
        let fixture =
            Fixture::with_user(&target, &format!("{user}_{}", &unique[..6]), &unique).await?;
        let database = fixture.database.clone();
        let mut admin = target.admin().await?;
        let owner = account(&fixture.user);
        sql(&mut admin, &format!("GRANT ALL ON `{database}`.* TO {owner}")).await?;
        sql(&mut admin, &format!("CREATE TABLE `{database}`.witness (who text)")).await?;
        // The database's owner plants the functions. They run with the privileges of their caller.
        let mut session = fixture.log_in().await?;
        sql(&mut session, "SET SESSION sql_mode = ''").await?;
        for name in NATIVE_FUNCTIONS {
            let body = "SQL SECURITY INVOKER BEGIN INSERT INTO witness VALUES (CURRENT_USER()); \
                RETURN ''; END";
            let create = format!("CREATE FUNCTION `{name}` (x text) RETURNS text {body}");
            sql(&mut session, &create).await?;
        }
        for table in ["user", "global_priv", "dual"] {
            sql(&mut session, &format!("CREATE TABLE `{table}` (Host text, User text)")).await?;
        }
        // These settings apply to the sessions of users without administrator privileges, such as
        // the master users of the tests.
        for setting in [
            "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",
            "init_connect = \"SET NAMES gbk, sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'\"",
        ] {
            sql(&mut admin, &format!("SET GLOBAL {setting}")).await?;
        }
        // The master secret names the owner's database.
        fixture.change_master(&json!({"dbname": database}))?;
        for strategy in ["single-user", "single-user-by-master", "master-user", "master-user"] {
            let function = fixture.function(strategy);
            for check in fixture.preflight(&function).await? {
                ensure!(check["status"] != "failed", "{user} {strategy}: {check}");
            }
            fixture.rotate(&function).await?;
            fixture.log_in().await?;
        }
        let query = "SELECT count(*) FROM witness";
        let ran: i64 = sqlx::query_scalar(query).fetch_one(&mut fixture.log_in().await?).await?;
        assert_eq!(ran, 0, "{user}: a planted function ran");
        sql(&mut admin, "SET GLOBAL sql_mode = '', init_connect = ''").await?;
    }
    Ok(())
}
