//! Fuzzes passwords. PostgreSQL must accept the verifier that the function computes, and then the
//! function's own login with the password.
#![no_main]

mod server;

use std::num::NonZeroU32;

use libfuzzer_sys::fuzz_target;
use rotation_database::{CaCertificates, Engine as _, Login, Password, TlsUse};
use rotation_postgres::{Encryption, Postgres, literal, verifier};
use rotation_tests::postgres::{Target, sql, targets};
use server::Sessions;
use sqlx::PgConnection;

const ROLE: &str = "fuzzed";

thread_local!(
    static SESSIONS: Sessions<(Target, PgConnection, CaCertificates)> = const { Sessions::none() }
);

async fn sessions() -> Vec<(Target, PgConnection, CaCertificates)> {
    let mut sessions = Vec::new();
    for target in targets().await.unwrap() {
        let mut admin = target.admin("postgres").await.unwrap();
        sql(&mut admin, &format!("DROP ROLE IF EXISTS {ROLE}; CREATE ROLE {ROLE} LOGIN"))
            .await
            .unwrap();
        let file =
            std::env::temp_dir().join(format!("authority-of-fuzz-{}.pem", std::process::id()));
        std::fs::write(&file, target.authority.as_deref().unwrap_or_default()).unwrap();
        let path = file.to_string_lossy().into_owned();
        let authorities =
            CaCertificates::read(&|name| (name == "TLS_CA_FILE").then(|| path.clone())).unwrap();
        std::fs::remove_file(&file).unwrap();
        sessions.push((target, admin, authorities));
    }
    sessions
}

fuzz_target!(|password: &str| {
    // Excludes passwords that the protocol or the function's own rules reject.
    if password.is_empty() || password.len() > 256 || password.contains('\0') {
        return;
    }
    let Ok(verifier) = verifier(
        ROLE,
        &Password::new(password),
        Encryption::ScramSha256(NonZeroU32::new(16).unwrap()),
    ) else {
        return;
    };
    SESSIONS.with(|all| {
        all.each(sessions(), |(target, admin, authorities)| {
            let statement = format!("ALTER ROLE {ROLE} PASSWORD {}", literal(&verifier));
            let password = password.to_owned();
            Box::pin(async move {
                sql(admin, &statement).await.unwrap();
                let login = Login {
                    host: &target.host,
                    port: target.port,
                    user: ROLE,
                    password: &Password::new(&password),
                    database: Some("postgres"),
                    tls: TlsUse::Verified,
                    authorities,
                };
                let postgres = Postgres::default();
                postgres.log_out(postgres.log_in(&login).await.unwrap()).await;
            })
        });
    });
});
