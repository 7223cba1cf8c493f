//! Tests that the general log, the slow log and the binary log never contain the cleartext
//! password.

use anyhow::{Result, ensure};
use rotation_tests::mysql::{Fixture, Target, Which, account, sql};

crate::on_both! { server_logs_contain_no_password }

async fn server_logs_contain_no_password<W: Which>(target: Target<W>) -> Result<()> {
    let Some(folder) = &target.address.logs else {
        println!("skipped: the server's logs are not on this machine");
        return Ok(());
    };
    let fixture = Fixture::new(&target).await?;
    let mut passwords = Vec::new();
    for strategy in ["single-user", "master-user", "master-user"] {
        // The passwords consist of letters and digits, so that no log can write them in another
        // spelling.
        let function = fixture.program(strategy).env("EXCLUDE_PUNCTUATION", "true").into();
        fixture.rotate(&function).await?;
        passwords
            .push(fixture.value("AWSCURRENT")?["password"].as_str().unwrap_or_default().to_owned());
    }
    // The server logs the text of this statement unchanged, so the search must find it.
    let mut admin = target.admin().await?;
    let probe = "a-text-that-must-be-found";
    sql(
        &mut admin,
        &format!("CREATE TABLE {}.probe (a varchar(80)) COMMENT '{probe}'", fixture.database),
    )
    .await?;
    sql(&mut admin, "FLUSH LOGS").await?;

    let mut found = [0, 0, 0];
    for entry in std::fs::read_dir(folder)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind =
            ["general.log", "slow.log", "binlog.0"].iter().position(|kind| name.starts_with(kind));
        let Some(kind) = kind else { continue };
        let bytes = std::fs::read(entry.path())?;
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        found[kind] += usize::from(has(probe));
        for password in &passwords {
            ensure!(!has(password), "found a password in {name}");
        }
    }
    ensure!(found.iter().all(|count| *count > 0), "a log was not searched: {found:?}");
    // Logging was not turned off: the log contains the user.
    let general = String::from_utf8_lossy(&std::fs::read(folder.join("general.log"))?).into_owned();
    ensure!(general.contains(&account(&fixture.user)), "the general log does not contain the user");
    fixture.search_for_passwords("")
}
