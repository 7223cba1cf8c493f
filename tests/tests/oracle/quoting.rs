//! Tests that compare the function's quoting with the server's own.

use anyhow::Context;
use rotation_oracle::Name;
use rotation_tests::oracle::{on_each, rows};

const NAMES: &[&str] = &[
    "PLAIN",
    "TWO WORDS",
    "IT'S",
    "A$B#C_1",
    "1DIGIT",
    "GRÖSSE",
    "SELECT",
    "; DROP USER X --",
    "/* A */",
    "A.B",
    "%S :1",
];

/// `DBMS_ASSERT` accepts what the function writes as one name, and writes the same.
#[tokio::test]
async fn names_are_quoted_like_dbms_assert() {
    on_each(|target| async move {
        let mut admin = target.admin().await?;
        let mut asked = async |function: &str, text: &str| {
            rows(&mut admin, &format!("SELECT DBMS_ASSERT.{function}(:1) AS said FROM dual"), text)
                .await
        };
        for name in NAMES {
            // The name is quoted, so that neither side converts it to upper case.
            let ours = Name::written(&format!("\"{name}\""))
                .context("the text cannot be a name")?
                .to_string();
            assert_eq!(asked("ENQUOTE_NAME", name).await?, [[ours.clone()]]);
            assert_eq!(asked("SIMPLE_SQL_NAME", &ours).await?, [[ours]]);
        }
        for no_name in ["A\"B", "\"A\"B\"", "\"A\" IDENTIFIED BY \"B\""] {
            assert_eq!(Name::written(no_name), None);
            assert!(asked("ENQUOTE_NAME", no_name).await.is_err(), "{no_name} was accepted");
            assert!(asked("SIMPLE_SQL_NAME", no_name).await.is_err(), "{no_name} was accepted");
        }
        Ok(())
    })
    .await;
}
