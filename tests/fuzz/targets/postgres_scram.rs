//! A password as the verifier that we compute: PostgreSQL must let its owner in.
#![no_main]

mod server;

use std::num::NonZeroU32;

use libfuzzer_sys::fuzz_target;
use rotation_database::Password;
use rotation_postgres::{Encryption, literal, verifier};
use rotation_tests::postgres::{Target, sql, targets};
use server::Sessions;
use sqlx::PgConnection;

const ROLE: &str = "fuzzed";

thread_local!(static SESSIONS: Sessions<(Target, PgConnection)> = const { Sessions::none() });

async fn sessions() -> Vec<(Target, PgConnection)> {
    let mut sessions = Vec::new();
    for target in targets().await.unwrap() {
        let mut admin = target.admin("postgres").await.unwrap();
        sql(&mut admin, &format!("DROP ROLE IF EXISTS {ROLE}; CREATE ROLE {ROLE} LOGIN")).await.unwrap();
        sessions.push((target, admin));
    }
    sessions
}

fuzz_target!(|password: &str| {
    // What the protocol or our own rules do not take.
    if password.is_empty() || password.len() > 256 || password.contains('\0') {
        return;
    }
    // The driver refuses some as well: then the verifier is of no use to anybody.
    let Ok(verifier) =
        verifier(ROLE, &Password::new(password), Encryption::ScramSha256(NonZeroU32::new(16).unwrap()))
    else {
        return;
    };
    SESSIONS.with(|all| {
        all.each(sessions(), |(target, admin)| {
            let statement = format!("ALTER ROLE {ROLE} PASSWORD {}", literal(&verifier));
            let password = password.to_owned();
            Box::pin(async move {
                sql(admin, &statement).await.unwrap();
                target.log_in(ROLE, &password, "postgres").await.unwrap();
            })
        });
    });
});
