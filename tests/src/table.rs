//! The table in `docs/reliability.md`, which the recovery tests fill.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The result of one kind of fault on one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row<'a> {
    /// The engine.
    pub engine: &'a str,
    /// The strategy.
    pub strategy: &'a str,
    /// The fault.
    pub what: &'a str,
    /// The action of the operator after the fault.
    pub then: &'a str,
    /// The number of points that were tried.
    pub points: usize,
    /// The maximum number of passwords that were rejected after one fault.
    pub refused: usize,
}

/// The markers in the page before and after the table.
const BEGIN: &str = "<!-- make reliability -->\n";
const END: &str = "<!-- end -->\n";

/// Returns the folder for the rows of a run, if the run collects them.
fn folder() -> Option<PathBuf> {
    std::env::var_os("RELIABILITY_ROWS").map(PathBuf::from)
}

impl Row<'_> {
    /// Prints the row, and writes it to a file if the run collects the rows.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub fn tell(&self) -> Result<()> {
        let Row { engine, strategy, what, then, points, refused } = self;
        println!(
            "{engine}, {strategy}, {what}, {then}: {points} points, at most {refused} passwords \
             rejected"
        );
        let Some(folder) = folder() else { return Ok(()) };
        fs::create_dir_all(&folder)?;
        let name = format!("{}.json", uuid::Uuid::new_v4());
        fs::write(folder.join(name), serde_json::to_vec(self)?).context("writing a row")
    }
}

/// Writes the rows of a run into the page as a table.
///
/// # Errors
/// Returns an error if there are no rows, or the page has no markers for the table.
pub fn write(folder: &Path, page: &Path) -> Result<()> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).context("could not read the rows")? {
        texts.push(fs::read_to_string(entry?.path())?);
    }
    let rows =
        texts.iter().map(|text| serde_json::from_str(text)).collect::<Result<Vec<Row<'_>>, _>>()?;
    let old = fs::read_to_string(page)?;
    let (before, rest) =
        old.split_once(BEGIN).context("the page has no marker before the table")?;
    let (_, after) = rest.split_once(END).context("the page has no marker after the table")?;
    Ok(fs::write(page, format!("{before}{BEGIN}\n{}\n{END}{after}", table(&rows)))?)
}

/// Returns the table. It has one line for each fault, recovery and strategy, and one column for
/// each engine.
fn table(rows: &[Row<'_>]) -> String {
    let mut engines: Vec<&str> = rows.iter().map(|row| row.engine).collect();
    engines.sort_unstable();
    engines.dedup();
    // If an engine has several servers, a cell shows the range of points and the maximum of
    // rejected passwords.
    let mut cells: BTreeMap<_, BTreeMap<&str, Vec<&Row<'_>>>> = BTreeMap::new();
    for row in rows {
        let line = cells.entry((row.what, row.then, row.strategy)).or_default();
        line.entry(row.engine).or_default().push(row);
    }
    let mut text = format!("| fault | recovery | strategy | {} |\n", engines.join(" | "));
    let _ = writeln!(text, "| --- | --- | --- |{}", " --- |".repeat(engines.len()));
    for ((what, then, strategy), line) in &cells {
        let _ = write!(text, "| {what} | {then} | `{strategy}` |");
        for engine in &engines {
            let cell = line.get(engine).map(|rows| cell(rows)).unwrap_or_default();
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

fn cell(rows: &[&Row<'_>]) -> String {
    let range = |of: fn(&Row<'_>) -> usize| {
        let least = rows.iter().map(|row| of(row)).min().unwrap_or(0);
        let most = rows.iter().map(|row| of(row)).max().unwrap_or(0);
        if least == most { most.to_string() } else { format!("{least}–{most}") }
    };
    let refused = rows.iter().map(|row| row.refused).max().unwrap_or(0);
    format!("{} ({refused})", range(|row| row.points))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_one_engine_share_a_cell() {
        let row = |engine, points, refused| Row {
            engine,
            strategy: "single-user",
            what: "a wire",
            then: "again",
            points,
            refused,
        };
        let text = table(&[row("b", 3, 1), row("a", 12, 0), row("a", 14, 1)]);
        assert!(text.contains("| strategy | a | b |\n"), "{text}");
        assert!(
            text.ends_with("| a wire | again | `single-user` | 12–14 (1) | 3 (1) |\n"),
            "{text}"
        );
    }
}
