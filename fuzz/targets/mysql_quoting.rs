//! Fuzzes the quoting of identifiers and literals against the parsers of MySQL and MariaDB, with
//! and without `NO_BACKSLASH_ESCAPES`.
#![no_main]

mod server;

use libfuzzer_sys::fuzz_target;
use rotation_mysql::{Literals, identifier};
use rotation_tests::mysql::{MariaDb, MySql, Which, targets};
use server::Sessions;
use sqlx::{AssertSqlSafe, Column as _, MySqlConnection, Row as _};

thread_local!(static SESSIONS: Sessions<MySqlConnection> = const { Sessions::none() });

async fn of<W: Which>(sessions: &mut Vec<MySqlConnection>) {
    for target in targets::<W>().await.unwrap() {
        sessions.push(target.admin().await.unwrap());
    }
}

async fn sessions() -> Vec<MySqlConnection> {
    let mut sessions = Vec::new();
    of::<MySql>(&mut sessions).await;
    of::<MariaDb>(&mut sessions).await;
    sessions
}

fuzz_target!(|text: &str| {
    // Excludes texts that cannot be a name, and those whose first characters the server removes
    // from an alias.
    let is_name = !text.is_empty()
        && text.chars().count() <= 64
        && text.chars().all(|c| c != '\0' && c <= '\u{ffff}')
        && !text.ends_with(|c: char| c.is_whitespace())
        && !text.starts_with(|c: char| c.is_whitespace() || c.is_control());
    let alias = if is_name { identifier(text) } else { "plain".to_owned() };
    SESSIONS.with(|all| {
        all.each(sessions(), |session| {
            let (text, alias) = (text.to_owned(), alias.clone());
            Box::pin(async move {
                for (mode, literals) in [
                    ("", Literals::BackslashEscapes),
                    ("NO_BACKSLASH_ESCAPES", Literals::NoBackslashEscapes),
                ] {
                    let set = format!("SET SESSION sql_mode = '{mode}'");
                    sqlx::raw_sql(AssertSqlSafe(set)).execute(&mut *session).await.unwrap();
                    let query = format!("SELECT {} AS {alias}", literals.quote(&text));
                    let row =
                        sqlx::raw_sql(AssertSqlSafe(query)).fetch_one(&mut *session).await.unwrap();
                    if is_name {
                        assert_eq!(row.columns()[0].name(), text);
                    }
                    assert_eq!(row.get::<String, _>(0), text);
                }
            })
        });
    });
});
