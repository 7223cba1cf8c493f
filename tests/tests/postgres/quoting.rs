//! Tests that compare the function's quoting and verifiers with the server's own.

use std::num::NonZeroU32;

use anyhow::Result;
use rotation_database::Password;
use rotation_postgres::{Encryption, identifier, literal, verifier};
use rotation_tests::postgres::{on_each, sql};
use sqlx::AssertSqlSafe;

const NAMES: [&str; 9] = [
    "plain",
    "select",
    "Mixed Case",
    "quote\"inside",
    "apostrophe's",
    "per%cent%s",
    "back\\slash\\",
    "ünïcödé-имя",
    "a234567890123456789012345678901234567890123456789012345678901_3",
];

#[tokio::test]
async fn identifiers_are_quoted_like_quote_ident() {
    on_each(|target| async move {
        let mut session = target.admin("postgres").await?;
        for name in NAMES {
            let theirs: String = sqlx::query_scalar("SELECT quote_ident($1)")
                .bind(name)
                .fetch_one(&mut session)
                .await?;
            // quote_ident adds quotes only if the name needs them. The function always adds them.
            let quoted = theirs.starts_with('"');
            assert_eq!(identifier(name), if quoted { theirs } else { format!("\"{theirs}\"") });
            let query = format!("SELECT {} AS {}", literal(name), identifier(name));
            let row = sqlx::query(AssertSqlSafe(query)).fetch_one(&mut session).await?;
            assert_eq!(sqlx::Column::name(&sqlx::Row::columns(&row)[0]), name);
            assert_eq!(sqlx::Row::get::<String, _>(&row, 0), name);
        }
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn server_accepts_logins_with_computed_verifiers() {
    on_each(|target| async move {
        let mut admin = target.admin("postgres").await?;
        let role = format!("verifier_{}", uuid::Uuid::new_v4().simple());
        sql(&mut admin, &format!("CREATE ROLE {role} LOGIN")).await?;
        for password in [
            "simple",
            "all !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
            "ünïcödé \u{2168}",
            "ﬁ\u{ad}x",
            " ",
        ] {
            for encryption in [
                Encryption::ScramSha256(NonZeroU32::new(4096).unwrap()),
                Encryption::ScramSha256(NonZeroU32::new(1).unwrap()),
                Encryption::Md5,
            ] {
                let ours = verifier(&role, &Password::new(password), encryption).unwrap();
                sql(&mut admin, &format!("ALTER ROLE {role} PASSWORD {}", literal(&ours))).await?;
                let stored: String =
                    sqlx::query_scalar("SELECT rolpassword FROM pg_authid WHERE rolname = $1")
                        .bind(&role)
                        .fetch_one(&mut admin)
                        .await?;
                assert_eq!(stored, *ours, "the server treated the verifier as a password");
                // With `scram-sha-256` in pg_hba.conf, an MD5 verifier cannot log in, so the test
                // checks its form instead.
                if encryption != Encryption::Md5 {
                    target.log_in(&role, password, "postgres").await?;
                } else {
                    let theirs: String = sqlx::query_scalar("SELECT 'md5' || md5($1 || $2)")
                        .bind(password)
                        .bind(&role)
                        .fetch_one(&mut admin)
                        .await?;
                    assert_eq!(theirs, *ours);
                }
            }
        }
        sql(&mut admin, &format!("DROP ROLE {role}")).await
    })
    .await;
}

/// If the server stores MD5 passwords, the rotation sets one and succeeds.
#[tokio::test]
async fn password_encryption_md5_is_honoured() {
    on_each(|target| async move {
        let mut options = rotation_tests::postgres::options()?;
        options.configuration = "password_encryption = md5\n".into();
        options.access_rules = "host all all all md5".into();
        let Some((_server, target)) = target.another(options)? else { return Ok(()) };
        let fixture = rotation_tests::postgres::Fixture::new(&target).await?;
        // The password is already stored as MD5, as for clients that do not support SCRAM. A
        // password that is stored as SCRAM stays so: see password_form.rs.
        let password =
            fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned();
        let hash = verifier(&fixture.user, &Password::new(&password), Encryption::Md5);
        let hash = literal(&hash.map_err(anyhow::Error::msg)?);
        let store = format!("ALTER ROLE {} PASSWORD {hash}", identifier(&fixture.user));
        sql(&mut target.admin("postgres").await?, &store).await?;
        for strategy in ["single-user", "master-user"] {
            fixture.rotate(&fixture.function(strategy)).await?;
            fixture.log_in().await?;
            let user =
                fixture.value("AWSCURRENT")?["username"].as_str().unwrap_or_default().to_owned();
            let stored = fixture.stored_password(&user).await?;
            assert!(stored.starts_with("md5"), "{strategy}");
        }
        let result: Result<()> = fixture.search_for_passwords("");
        result
    })
    .await;
}

/// The server has `password_encryption = md5`, but `pg_hba.conf` accepts only SCRAM. An MD5 hash
/// would lock the user out.
#[tokio::test]
async fn md5_is_not_used_if_server_rejects_it() {
    on_each(|target| async move {
        let mut options = rotation_tests::postgres::options()?;
        options.configuration = "password_encryption = md5\n".into();
        let Some((_server, target)) = target.another(options)? else { return Ok(()) };
        let fixture = rotation_tests::postgres::Fixture::new(&target).await?;
        for strategy in ["single-user", "master-user"] {
            fixture.rotate(&fixture.function(strategy)).await?;
            fixture.log_in().await?;
            assert_eq!(fixture.failed_logins()?, 0);
        }
        fixture.search_for_passwords("")
    })
    .await;
}
