//! Fuzzes the quoting of identifiers and literals against PostgreSQL's own parser.
#![no_main]

mod server;

use libfuzzer_sys::fuzz_target;
use rotation_postgres::{identifier, literal};
use rotation_tests::postgres::targets;
use server::Sessions;
use sqlx::{AssertSqlSafe, Column as _, PgConnection, Row as _};

thread_local!(static SESSIONS: Sessions<PgConnection> = const { Sessions::none() });

async fn sessions() -> Vec<PgConnection> {
    let mut sessions = Vec::new();
    for target in targets().await.unwrap() {
        sessions.push(target.admin("postgres").await.unwrap());
    }
    sessions
}

fuzz_target!(|text: &str| {
    // Excludes texts that PostgreSQL cannot store. It truncates longer names.
    if text.contains('\0') || text.is_empty() || text.len() > 63 {
        return;
    }
    SESSIONS.with(|all| {
        all.each(sessions(), |session| {
            let query = format!("SELECT {} AS {}", literal(text), identifier(text));
            let text = text.to_owned();
            Box::pin(async move {
                let row = sqlx::raw_sql(AssertSqlSafe(query)).fetch_one(session).await.unwrap();
                assert_eq!(row.columns()[0].name(), text);
                assert_eq!(row.get::<String, _>(0), text);
            })
        });
    });
});
