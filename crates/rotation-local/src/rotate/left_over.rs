//! The unfinished rotation of an earlier run, and the conditions under which this run continues it.

use anyhow::{Result, bail};
use serde_json::Value;

use crate::journal::{Journal, LeftOver};
use crate::progress::say;
use crate::service::CURRENT;

/// Returns `true` if a version's text and a file have the same value, apart from the ARN that a run
/// adds.
fn is_same(text: Option<&str>, file: &Value) -> bool {
    let Some(Ok(mut value)) = text.map(serde_json::from_str::<Value>) else { return false };
    if let (Some(fields), None) = (value.as_object_mut(), file.get("masterarn")) {
        fields.remove("masterarn");
    }
    value == *file
}

/// Returns the unfinished rotation if it continues with the file as it is now; `None` if a new one
/// starts.
///
/// A rotation whose password has reached no database has nothing to go on from.
pub(super) fn still_good(
    left_over: LeftOver,
    now: &Value,
    strategy: &str,
    journal: &Journal,
) -> Result<Option<LeftOver>> {
    let is_written =
        left_over.secret.labelled(CURRENT).is_some_and(|version| is_same(version.text(), now));
    if left_over.secret.unfinished().is_none() && is_written {
        // The run ended after it had written the result.
        journal.remove()?;
        return Ok(None);
    }
    let begun = &left_over.strategy;
    let other_strategy = !begun.is_empty() && begun != strategy;
    let changed: Vec<_> = ["engine", "host", "port", "username", "dbname", "ssl"]
        .into_iter()
        .filter(|key| now.get(*key) != left_over.file.get(*key))
        .collect();
    if !other_strategy && changed.is_empty() {
        return Ok(Some(left_over));
    }
    if !left_over.reached {
        say("An earlier run changed nothing in the database, and is discarded.");
        journal.remove()?;
        return Ok(None);
    }
    let what = match changed.first() {
        Some(key) => format!("\"{key}\" in the secret's file has changed since"),
        None => format!("it was begun with the strategy {begun}, and this is {strategy}"),
    };
    bail!(
        "an unfinished rotation is in {}, and {what}. The database may have its password. Change it back and run the \
         command again to finish it. Or give it up: the same command as then, with --abandon, looks whether the database \
         has the password, and discards it if not.",
        journal.path().display()
    )
}
