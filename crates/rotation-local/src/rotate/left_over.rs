//! The unfinished rotation of an earlier run, and the conditions under which this run continues it.

use anyhow::{Result, bail};
use secretsmanager_emulator::CURRENT;
use serde_json::Value;

use crate::journal::{RecoveryFile, UnfinishedRotation};
use crate::progress::say;

/// Returns `true` if a version's text and a file have the same value, apart from the ARN that a run
/// adds.
fn is_same(text: Option<&str>, file: &Value) -> bool {
    let Some(Ok(mut value)) = text.map(serde_json::from_str::<Value>) else { return false };
    if let (Some(fields), None) = (value.as_object_mut(), file.get("masterarn")) {
        fields.remove("masterarn");
    }
    value == *file
}

/// Returns the unfinished rotation if this run can resume it with the file as it is now, or `None`
/// if a new rotation starts.
///
/// If the file or the strategy has changed, a rotation whose password has reached no database is
/// discarded. Otherwise the function returns an error.
pub(super) fn resumable(
    left_over: UnfinishedRotation,
    now: &Value,
    strategy: &str,
    journal: &RecoveryFile,
) -> Result<Option<UnfinishedRotation>> {
    let is_written =
        left_over.secret.labelled(CURRENT).is_some_and(|version| is_same(version.text(), now));
    if left_over.secret.unfinished().is_none() && is_written {
        // The earlier run ended after it had written the result.
        journal.remove()?;
        return Ok(None);
    }
    let begun = &left_over.strategy;
    let other_strategy = begun != strategy;
    let changed: Vec<_> = ["engine", "host", "port", "username", "dbname", "ssl"]
        .into_iter()
        .filter(|key| now.get(*key) != left_over.file.get(*key))
        .collect();
    if !other_strategy && changed.is_empty() {
        return Ok(Some(left_over));
    }
    if !left_over.reached {
        say("The unfinished rotation of an earlier run is discarded, because it changed nothing \
             in the database.");
        journal.remove()?;
        return Ok(None);
    }
    let what = match changed.first() {
        Some(key) => format!("\"{key}\" in the secret's file has changed since it started"),
        None => format!("it started with the strategy {begun}, but this run has {strategy}"),
    };
    bail!(
        "an unfinished rotation is in {}, and {what}. The database may have its password. Undo \
         this change and run the command again to finish the rotation. To cancel it instead, run \
         the command of that rotation with --abandon: it checks whether the database has the \
         password, and discards the rotation if not",
        journal.path().display()
    )
}
