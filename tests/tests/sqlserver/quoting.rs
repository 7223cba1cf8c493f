//! Tests that compare the function's quoting with the server's own.

use anyhow::{Context, Result};
use rotation_sqlserver::{identifier, literal};
use rotation_tests::sqlserver::{Session, on_each};

const TEXTS: &[&str] = &[
    "plain",
    "it's",
    "''",
    "'; DROP LOGIN sa; --",
    "]",
    "]]",
    "a]b[c",
    "[brackets]",
    "\"double\"",
    "back\\slash\\",
    "/* no comment */ -- neither",
    "Größe-имя-名-𝒳",
    "%s {0} $(x) @p1",
    " spaces ",
    "tab\tand\nline",
    "\\ \n",
];

async fn text(
    session: &mut Session,
    query: &str,
    parameters: &[&dyn tiberius::ToSql],
) -> Result<String> {
    let row = session
        .query(query, parameters)
        .await?
        .into_row()
        .await?
        .context("the query returned no row")?;
    Ok(row.get::<&str, _>(0).context("the query returned null")?.to_owned())
}

#[tokio::test]
async fn quoting_matches_quotename_and_literals_round_trip() {
    on_each(|target| async move {
        let mut admin = target.admin("master").await?;
        for written in TEXTS {
            assert_eq!(
                text(&mut admin, "SELECT QUOTENAME(@P1)", &[written]).await?,
                identifier(written)
            );
            let literal = literal(written).context("the text cannot be a literal")?;
            assert_eq!(text(&mut admin, &format!("SELECT {literal}"), &[]).await?, *written);
        }
        Ok(())
    })
    .await;
}
